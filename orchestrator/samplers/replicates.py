"""Further seeds for the proposals of another sampler, where seeds do not tell a configuration from the best."""

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.comparison.configuration import Configuration
from orchestrator.comparison.paired import Difference, Looks, Standing, borrowing
from orchestrator.comparison.ranking import Ranking
from orchestrator.spec import SweepSpec
from orchestrator.spec.block_forms import Replicates
from orchestrator.spec.form import MOST_TRIALS
from orchestrator.trial import Outcome, Params, Proposal, Trial
from orchestrator.trials.asked import further_seeds
from orchestrator.trials.observation import Observation, valued
from orchestrator.trials.record import Record

if TYPE_CHECKING:
    from orchestrator.samplers import Sampler


@dataclass
class ReplicatedConfiguration:
    """A configuration, the trials that were asked for, and the parameters of the next one."""

    seeds: Configuration
    trials: list[Trial] = field(default_factory=list)
    ended: dict[int, Observation] = field(default_factory=dict)  # by seed; without those that were pruned
    following: Params | None = None  # with the next seed, if it may have another one
    _taken: dict[str, Observation] = field(default_factory=dict)  # by trial_key

    def take(self, trial: Trial, observation: Observation) -> None:
        """Take in how one of the trials ended."""
        self.seeds = self.seeds.after(observation)
        self._taken[trial.trial_key] = observation
        if observation.outcome.is_bad or observation.outcome is Outcome.COMPLETED:
            self.ended[trial.params["seed"]] = observation

    def leave(self, trial: Trial) -> None:
        """Be without one of the trials, which runs anew."""
        self.trials.remove(trial)
        self.ended.pop(trial.params["seed"], None)
        if (taken := self._taken.pop(trial.trial_key, None)) is not None:
            self.seeds = self.seeds.without(taken)


class ReplicatingSampler:
    """Has another sampler propose, then adds seeds to the best configuration and to those that may be as good.

    Each gets one more seed at a time, those with the fewest first, until the best is told from all others, or no
    further seeds would do that. Which is next depends on the results, not on their order: so a launch goes on where
    another was cut off.
    """

    learns = True

    def __init__(self, spec: SweepSpec, inner: "Sampler", replicates: Replicates) -> None:
        self.spec, self.inner, self.most = spec, inner, replicates.max
        self._indifferent = replicates.indifferent
        (self._objective,) = spec.objectives
        self._further: dict[str, Trial] = {}  # by trial_key
        self._configurations: dict[str, ReplicatedConfiguration] = {}  # by config_key
        self._waiting: deque[Trial] = deque()
        self._running: dict[str, Trial] = {}  # asked for, without a result yet; by trial_key
        self._history: Mapping[str, Record] = {}

    @property
    def remark(self) -> str:
        return self.inner.remark

    @property
    def total(self) -> int:
        trials, cap = self.trials, self.spec.run_cap or MOST_TRIALS
        if self.spec.method.is_listed:
            seeds = Counter(trial.config_key for trial in trials)
            cap = min(cap, sum(max(count, self.most) for count in seeds.values()))
        return max(len(trials), cap)

    @property
    def trials(self) -> Sequence[Trial]:
        return [*self.inner.trials, *self._further.values()]

    @property
    def has_more(self) -> bool:
        if self._waiting or self.inner.has_more:
            return True
        return self._has_room and bool(self._running or self._due)

    def replay(self, history: Mapping[str, Record], begun: Iterable[Trial]) -> None:
        begun = list(begun)
        self._history = history
        self.inner.replay(history, begun)
        for trial in self.inner.trials:
            self._take_known(trial)
        for trial in further_seeds(self.spec, self.inner.trials, [*begun, *history.values()]):
            self._further[trial.trial_key] = trial
            if not self._take_known(trial):
                self._waiting.append(trial)

    def ask(self) -> Trial | None:
        trial = self.inner.ask() or (self._waiting.popleft() if self._waiting else self._next_seed())
        if trial is not None:
            self._running[trial.trial_key] = trial
            self._begin(trial)
        return trial

    def tell(self, trial: Trial, observation: Observation) -> None:
        self._running.pop(trial.trial_key, None)
        self._configurations[trial.config_key].take(trial, observation)
        if trial.trial_key not in self._further:
            self.inner.tell(trial, observation)

    def again(self, trial: Trial) -> None:
        self._configurations[trial.config_key].leave(trial)
        if trial.trial_key in self._further:
            self._waiting.append(trial)
        else:
            self.inner.again(trial)

    def examples(self) -> Sequence[Params]:
        return self.inner.examples()

    @property
    def _has_room(self) -> bool:
        return len(self.inner.trials) + len(self._further) < (self.spec.run_cap or MOST_TRIALS)

    def _next_seed(self) -> Trial | None:
        """The next trial that is due. Trials that the store already has are taken in instead."""
        while self._has_room and self._running.keys() <= self._further.keys() and (due := self._due):
            trial = self._following(due)
            self._further[trial.trial_key] = trial
            if not self._take_known(trial):
                return trial
        return None

    @property
    def _due(self) -> ReplicatedConfiguration | None:
        """The configuration that gets the next seed, of the best and those that further seeds may tell from it."""
        known = [item.seeds for _, item in sorted(self._configurations.items())]
        completed = [one for one in known if one.values and not one.broken]
        ranking = Ranking(completed, self.spec.objectives, self.spec.survivors)
        ranked = [one.config_key for one in ranking if not one.pruned]
        if len(ranked) < 2:
            return None
        best, *others = (self._configurations[key] for key in ranked)
        is_counted = not self.spec.survivors
        worst = self._objective.worst(value for one in completed for (value,) in one.values) if is_counted else None
        sign, leading = self._objective.sign, valued(best.ended, worst)
        differences = borrowing([Difference.of(leading, valued(other.ended, worst), sign) for other in others])
        looks = Looks(self.most, len(self.spec.seeds), len(others))
        undecided = [
            other
            for other, difference in zip(others, differences, strict=True)
            if (other.following or len(best.trials) < len(other.trials)) and self._is_open(difference, looks)
        ]
        most = max(len(other.trials) for other in others)
        if not undecided and len(best.trials) >= most:  # who leads by a few seeds may lead by their luck
            return None
        running = {trial.config_key for trial in self._running.values()}
        candidates = [best, *undecided]
        waiting = [item for item in candidates if item.following and item.seeds.config_key not in running]
        return min(waiting, key=lambda item: len(item.trials), default=None)  # of as many, the better one

    def _is_open(self, difference: Difference | None, looks: Looks) -> bool:
        """Whether a further seed may tell another configuration from the best."""
        return difference is None or difference.standing(looks, self._indifferent) is Standing.OPEN

    def _take_known(self, trial: Trial) -> bool:
        """Take in the record of a trial, if that has a result."""
        record = self._history.get(trial.trial_key)
        observation = Observation.of_record(self.spec.objectives, record, self.spec.constraints) if record else None
        if observation is not None:
            self._begin(trial).take(trial, observation)
        return observation is not None

    def _begin(self, trial: Trial) -> ReplicatedConfiguration:
        key = trial.config_key
        new = ReplicatedConfiguration(Configuration(key, trial.params))
        configuration = self._configurations.setdefault(key, new)
        configuration.trials.append(trial)
        seed = 1 + max([*self.spec.seeds, *(begun.params["seed"] for begun in configuration.trials)])
        configuration.following = None
        with suppress(ValueError):  # beyond the range of seeds
            if len(configuration.trials) < self.most:
                configuration.following = self.spec.function.resolve({**trial.params, "seed": seed})
        return configuration

    def _following(self, configuration: ReplicatedConfiguration) -> Trial:
        """The trial of a configuration's next seed."""
        first, params = configuration.trials[0], configuration.following or {}
        own = "" if first.label == self.spec.name else first.config
        text = f"{own} seed={params['seed']}".strip()
        proposal = Proposal(first.proposal.number if first.proposal else -1, replicate=len(self._further))
        return self.spec.function.trial(params, text, proposal)
