"""The dry run: what a launch would do. Writes nothing, and loads mlflow only where there is a store to read."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator import executors
from orchestrator.progress.forecast import Forecast, epochs, kind
from orchestrator.spec import SweepSpec
from orchestrator.spec.form import Replicates
from orchestrator.system import paths
from orchestrator.system.machine import share
from orchestrator.trial import Outcome, Params, Trial
from orchestrator.trials.grid import expand
from orchestrator.trials.record import Record
from orchestrator.trials.search_space import SearchSpace


@dataclass(frozen=True)
class Plan:
    """What each trial's state is, which combinations cannot be, and how long the rest may take."""

    spec: SweepSpec
    trials: Sequence[Trial]  # all of them, or those that a search has begun
    proposals: int  # that a search has yet to make
    further_seeds: int  # that there may be at most beside these
    example: Params | None  # what they may be like
    invalid: Sequence[str]  # a line for each combination that cannot be
    outcomes: Mapping[str, Outcome | None]  # by trial_key, of those that the store has
    reusable: Mapping[str, str]  # by trial_key, the other sweep from which a launch would take the result
    at_a_time: int  # trials
    seconds: float | None  # None where there is nothing to learn from
    spent: float  # seconds of training

    @property
    def pending(self) -> list[Trial]:
        """The known trials that a launch would run."""
        return [trial for trial in self.trials if not self.is_done(trial)]

    def is_done(self, trial: Trial) -> bool:
        """Whether it has its result, here or where a launch would take it from."""
        outcome = self.outcomes.get(trial.trial_key)
        return trial.trial_key in self.reusable if outcome is None else outcome.is_result

    def state(self, trial: Trial) -> str:
        """What a launch would do with it, in words."""
        outcome = self.outcomes.get(trial.trial_key)
        if trial.trial_key in self.outcomes:
            outcome = outcome or Outcome.INTERRUPTED
            return f"done: {outcome}" if outcome.is_result else f"to run (was {outcome})"
        sweep = self.reusable.get(trial.trial_key)
        return "to run" if sweep is None else f"done in {sweep}"


def make(spec: SweepSpec, uri: str, workers: int | None) -> Plan:
    """Read a sweep and the store, without changing either.

    Raises:
        InputError: a trial takes more than this machine has.
    """
    executors.check(spec)
    own: list[Record] = []
    others: list[Record] = []
    if paths.exists(uri):
        from orchestrator.trackers import Store

        reader = Store(uri)
        own = reader.records(spec.name)
        others = [r for name in reader.sweeps() if name != spec.name for r in reader.records(name)]
    outcomes = {record.trial_key: record.outcome for record in own}
    reusable = {r.trial_key: r.tags["sweep"] for r in others if spec.reuse and r.outcome and r.outcome.is_reusable}
    if spec.method.is_listed:
        expansion = expand(spec)
        trials, invalid, proposals, example = list(expansion.trials), expansion.invalid, 0, None
    else:
        space = SearchSpace(spec)
        trials, invalid = [begun.trial for begun in space.trials(own)], ()
        proposals = max(0, (spec.proposal_cap or 0) - len(trials))
        if spec.method.finds_boundary and _is_known_well(spec, own):
            proposals = 0
        example = next(iter(space.examples()), None)
    further = 0
    if spec.replicates is not None:
        trials, further = _with_further_seeds(spec, spec.replicates, trials, own, proposals)
    shares = share(spec.stacking.count(trials) + proposals + further, workers, spec.resources)
    at_a_time = max(1, min(shares.workers * spec.stacking.width, len(trials) + proposals + further))
    keys = {trial.trial_key for trial in trials}
    spent = sum(r.seconds or 0.0 for r in own if r.trial_key in keys and not r.is_reused)
    plan = Plan(spec, trials, proposals, further, example, invalid, outcomes, reusable, at_a_time, None, spent)
    return replace(plan, seconds=_estimate(plan, [*own, *others]))


def _with_further_seeds(
    spec: SweepSpec, replicates: Replicates, trials: Sequence[Trial], own: Iterable[Record], proposals: int
) -> tuple[list[Trial], int]:
    """The trials with the further seeds that are asked for by now, and how many more there may be at most."""
    from orchestrator.samplers.listed import ListSampler
    from orchestrator.samplers.replicates import ReplicatingSampler

    sampler = ReplicatingSampler(spec, ListSampler(trials), replicates)
    sampler.replay({record.trial_key: record for record in own}, [])
    known = list(sampler.trials)
    return known, max(0, sampler.total - len(known) - proposals) if proposals or sampler.has_more else 0


def _is_known_well(spec: SweepSpec, records: Iterable[Record]) -> bool:
    """Whether a boundary is as narrow as the file asks for, so that a launch would propose nothing more."""
    from orchestrator import samplers

    sampler = samplers.of(spec)
    sampler.replay({record.trial_key: record for record in records}, [])
    return not sampler.has_more


def _estimate(plan: Plan, records: Iterable[Record]) -> float | None:
    """Seconds that the rest may take, from earlier trials; None if a trial resembles none of them."""
    pace = plan.spec.function.declaration.pace
    forecast, total = Forecast(pace, records), 0.0
    for params in [*(trial.params for trial in plan.pending), *[plan.example or {}] * plan.proposals]:
        seconds = forecast.seconds(kind(plan.spec.function.name, params, pace), epochs(params))
        if seconds is None:
            return None
        total += seconds
    if plan.spec.time_cap is not None:
        total = min(total, max(0.0, plan.spec.time_cap - plan.spent))
    return total / plan.at_a_time
