"""The dry run: what a launch would do. Writes nothing, and loads mlflow only where there is a store to read."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING

from orchestrator import executors
from orchestrator.prior import planned
from orchestrator.progress.forecast import Forecast, epochs, kind, tells_pace
from orchestrator.progress.target import Target
from orchestrator.samplers import preview
from orchestrator.spec import SweepSpec
from orchestrator.spec.block_forms import Replicates
from orchestrator.system import paths
from orchestrator.system.machine import share
from orchestrator.trial import Outcome, Params, Trial
from orchestrator.trials.checkpoints import in_words
from orchestrator.trials.grid import expand
from orchestrator.trials.longer import Longer, goes_on, taken_up
from orchestrator.trials.record import Record, changed, has_other_code, is_reusable
from orchestrator.trials.search_space import SearchSpace
from orchestrator.trials.starts import Starts

if TYPE_CHECKING:
    from orchestrator.trackers import Store

NEXT_PROPOSALS = 3  # that are shown


@dataclass(frozen=True)
class Plan:
    """What each trial's state is, which combinations cannot be, and how long the rest may take."""

    spec: SweepSpec
    trials: Sequence[Trial]  # all of them, or those that a search has begun
    proposals: int | None  # that are yet to be made; None: until the sweep is stopped
    further_seeds: int  # that there may be at most beside these
    example: Params | None  # what they may be like
    invalid: Sequence[str]  # a line for each combination that cannot be
    outcomes: Mapping[str, Outcome | None]  # by trial_key, of those that the store has
    reusable: Mapping[str, str]  # by trial_key, the other sweep from which a launch would take the result
    at_a_time: int  # trials
    place: str  # where trials run, if not on this machine
    seconds: float | None  # None where there is nothing to learn from
    spent: float  # seconds of training
    remark: str = ""  # what else there is to say of how many trials there are
    changed: str = ""  # whether the code has changed since some trials were begun
    with_other_code: Collection[str] = ()  # trial_keys
    deleted: Collection[str] = ()  # trial_keys of what lies in MLflow's trash
    trashed: str = ""  # which trials these are
    refused: str = ""  # why a launch would not begin
    reached: str = ""  # by which trial the metric's target: then nothing more runs
    longer: Mapping[str, str] = field(default_factory=dict)  # by trial_key: from where those with more epochs go on
    had: Mapping[str, int] = field(default_factory=dict)  # by trial_key: the epochs that they need not train again
    checkpoints: str = ""  # which are kept, and what they take on disk
    starts: Sequence[str] = ()  # what a search tries first, of its proposals
    prior: Sequence[str] = ()  # what it learns from beside its own trials, in lines
    ranges: Sequence[str] = ()  # that a search varies, in lines
    startup: int | None = None  # results after which a search learns, at the latest; None where it waits for none
    next: Sequence[Trial] = ()  # what a search proposes before further results, one of each configuration
    learned_from: int = 0  # trials, on which the time rests

    @property
    def commands(self) -> list[tuple[str, str]]:
        """The command lines of a program's trials, by their labels; of a search, what they may be like."""
        program, example = self.spec.function.program, self.example
        if program is None:
            return []
        further = [("for example", program.line(example))] if example and not self.trials else []
        return [(trial.label, program.line(trial.params)) for trial in self.trials] + further

    @property
    def remarks(self) -> list[str]:
        """What else there is to say, in lines."""
        said = (
            self.unchecked,
            self.refused,
            self.trashed,
            self.remark,
            self.reached,
            self.changed,
            self.checkpoints,
            self.report,
        )
        return [*filter(None, said)]

    @property
    def report(self) -> str:
        """Where a launch keeps a report current; empty where it does not."""
        return (
            f"report: {paths.REPORTS_FOLDER / paths.folder_name(self.spec.name) / paths.REPORT_FILE} is kept current"
            if self.spec.report
            else ""
        )

    @property
    def to_run(self) -> int | None:
        """How many trials a launch would run; None: until it is stopped."""
        return None if self.proposals is None else len(self.pending) + self.proposals

    @property
    def unchecked(self) -> str:
        """Whether any names and values go for parameters, since the function takes a dict; empty where it does not."""
        function = self.spec.function
        if function.program is not None or not function.is_open:
            return ""
        return f"parameters are not checked: {function.title} takes them as a dict, {function.form.argument}"

    @property
    def pending(self) -> list[Trial]:
        """The known trials that a launch would run."""
        if self.reached:
            return []
        return [trial for trial in self.trials if not self.is_done(trial)]

    @property
    def started_up(self) -> int:
        """How many of the startup trials have their result."""
        return min(self.startup or 0, sum(map(self.is_done, self.trials)))

    def is_done(self, trial: Trial) -> bool:
        """Whether it has its result, here or where a launch would take it from."""
        outcome = self.outcomes.get(trial.trial_key)
        if trial.trial_key in self.deleted:
            return True
        return trial.trial_key in self.reusable if outcome is None else outcome.is_result

    def state(self, trial: Trial) -> str:
        """What a launch would do with it, in words."""
        outcome = self.outcomes.get(trial.trial_key)
        if trial.trial_key in self.deleted:
            return "in MLflow's trash: not to run"
        to_run = "not to run" if self.reached else "to run"
        if trial.trial_key in self.outcomes:
            outcome = outcome or Outcome.INTERRUPTED
            code = " (with other code)" if trial.trial_key in self.with_other_code else ""
            return f"done: {outcome}{code}" if outcome.is_result else f"{to_run} (was {outcome})"
        if trial.trial_key in self.longer:
            return f"{to_run} to {trial.params['epochs']} epochs, {self.longer[trial.trial_key]}"
        sweep = self.reusable.get(trial.trial_key)
        return to_run if sweep is None else f"done in {sweep}"


def make(spec: SweepSpec, uri: str, workers: int | None, place: executors.Place = executors.HERE) -> Plan:
    """Read a sweep and the store, without changing either.

    Raises:
        InputError: a trial takes more than this machine has.
    """
    executors.check(spec, place)
    digest = spec.function.digest
    own: list[Record] = []
    trash: dict[str, Record] = {}
    requests: Mapping[str, int] = {}
    refused, reader = "", None
    if paths.exists(uri):
        from orchestrator.trackers import Store, more, refusal

        reader = Store(uri)
        refused = refusal(reader, spec)
        own = reader.results(spec.name, spec.objectives)
        trash = reader.trash(spec.name)
        requests = more.requests_of(reader, spec.name)

    @cache
    def others() -> list[Record]:
        return [] if reader is None else of_others(reader, spec.name)

    prior = planned(spec, reader, has_begun=bool(own))
    reusable = {r.trial_key: r.tags["sweep"] for r in others() if _is_reusable(r, digest)} if spec.reuse else {}
    for record in own:
        trash.pop(record.trial_key, None)
    longer = Longer.of(spec, [*trash.values(), *own], requests)
    begun = [longer.asked(record) for record in (*trash.values(), *own)]
    known = _known(spec, begun)
    trials, proposals, further = known.trials, known.proposals, 0
    if spec.replicates is not None and proposals is not None:
        trials, further = _with_further_seeds(spec, spec.replicates, trials, begun, proposals)
    shorter = [longer.waiting[trial.trial_key] for trial in trials if trial.trial_key in longer.waiting]
    trials = [longer.trial(trial) for trial in trials]
    keys = {trial.trial_key for trial in trials}
    gone, trashed = [record for key, record in trash.items() if key in keys], ""
    if gone:
        from orchestrator.trackers import trash_in_words

        trashed = trash_in_words(gone, uri)
    mine = [record for record in own if record.trial_key in keys]
    target = Target.of(spec.objectives)
    target.begin([*mine, *shorter])
    if target.is_reached:
        proposals = further = 0
    outcomes = {record.trial_key: record.outcome for record in own}
    stacks = None if proposals is None else spec.stacking.count(trials) + proposals + further
    slots = share(stacks, workers, spec.resources).workers if place.is_here else workers or place.slots or 1
    at_a_time = slots * spec.stacking.width
    plan = Plan(
        spec,
        trials,
        proposals,
        further,
        next(iter(SearchSpace(spec).examples()), None) if proposals != 0 else None,
        known.invalid,
        outcomes,
        reusable,
        at_a_time,
        place=place.in_words(spec.resources),
        seconds=None,
        spent=sum(record.seconds or 0.0 for record in (*mine, *shorter) if not record.is_reused),
        remark=known.remark,
        deleted=trash.keys(),
        trashed=trashed,
        refused=refused,
        reached=target.remark,
        longer={key: goes_on(spec.function, record) for key, record in longer.before.items()},
        had={key: had for key, record in longer.before.items() if (had := taken_up(spec.function, record))},
        checkpoints=in_words(spec, own, None if proposals is None else len(trials) + proposals),
        starts=known.starts if proposals != 0 else (),
        prior=prior.remarks,
        changed=changed(spec.function, mine),
        with_other_code=frozenset(r.trial_key for r in mine if has_other_code(spec.function, r)),
    )
    if proposals != 0 and not spec.is_listed:
        startup = preview.startup(spec)
        count = min(filter(None, (NEXT_PROPOSALS, proposals, None if begun else startup)))
        shown = () if plan.prior else preview.first(spec, count, begun)
        awaited = None if plan.prior or not startup else startup * len(SearchSpace(spec).seeds)
        plan = replace(plan, ranges=preview.ranges(spec), startup=awaited, next=shown)
    if proposals is not None and (wanted := len(plan.pending) + proposals + further or len(trials)):
        plan = replace(plan, at_a_time=min(at_a_time, wanted))
    seconds, learned_from = _estimate(plan, lambda: [*own, *others()])
    return replace(plan, seconds=seconds, learned_from=learned_from)


def of_others(reader: "Store", sweep: str) -> list[Record]:
    """The results of all sweeps but one."""
    return [record for name in reader.sweeps() if name != sweep for record in reader.results(name)]


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


@dataclass(frozen=True)
class _Known:
    trials: Sequence[Trial]
    proposals: int | None = 0
    invalid: Sequence[str] = ()
    remark: str = ""
    starts: Sequence[str] = ()


def _known(spec: SweepSpec, records: Sequence[Record]) -> _Known:
    """The trials of a sweep that are known, and how many there will be beside them."""
    if spec.is_listed:
        expansion = expand(spec)
        return _Known(expansion.trials, 0, expansion.invalid, expansion.remark)
    if spec.method.is_listed:
        from orchestrator.samplers.drawn import DrawnSampler

        sampler = DrawnSampler(spec)
        sampler.replay({record.trial_key: record for record in records}, [])
        return _Known(sampler.trials, None if sampler.draws_more else 0, remark=sampler.remark)
    space = SearchSpace(spec)
    trials = [begun.trial for begun in space.trials(records)]
    if spec.method.finds_boundary and _is_known_well(spec, records):
        return _Known(trials)
    proposals = None if spec.proposal_cap is None else max(0, spec.proposal_cap - len(trials))
    starts = Starts.of(space, (trial.params for trial in trials))
    remark = "" if proposals is None else starts.without_room(proposals)
    return _Known(trials, proposals, remark=remark, starts=starts.in_words)


def _is_reusable(record: Record, digest: str | None) -> bool:
    return is_reusable(record.outcome, record.tags) and record.digest in (None, digest)


def _is_known_well(spec: SweepSpec, records: Iterable[Record]) -> bool:
    """Whether a boundary is as narrow as the file asks for, so that a launch would propose nothing more."""
    from orchestrator.samplers.boundary import BoundarySampler

    sampler = BoundarySampler(spec)
    sampler.replay({record.trial_key: record for record in records}, [])
    return not sampler.wants_more


def _estimate(plan: Plan, records: Callable[[], Iterable[Record]]) -> tuple[float | None, int]:
    """Seconds that the rest may take, and from how many earlier trials that is known.

    None if a trial resembles none, or there is no end.
    """
    cap = None if plan.spec.time_cap is None else max(0.0, plan.spec.time_cap - plan.spent)
    if plan.proposals is None:
        return None if cap is None else cap / plan.at_a_time, 0
    pace = plan.spec.function.declaration.pace
    pending = [(trial.params, plan.had.get(trial.trial_key, 0)) for trial in plan.pending]
    waiting = [*pending, *[(plan.example or {}, 0)] * plan.proposals]
    known = [*records()] if waiting else []
    forecast, total = Forecast(pace, known), 0.0
    for params, had in waiting:
        seconds = forecast.seconds(kind(plan.spec.function.name, params, pace), (epochs(params) or had) - had)
        if seconds is None:
            return None, 0
        total += seconds
    alike = sum(tells_pace(record) and record.tags.get("trial") == plan.spec.function.name for record in known)
    return (total if cap is None else min(total, cap)) / plan.at_a_time, alike
