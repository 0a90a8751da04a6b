"""A configuration that a search has proposed, and how its seeds ended."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestrator.comparison.configuration import Configuration
from orchestrator.comparison.ranking import worst_of
from orchestrator.divergence import FARTHEST
from orchestrator.events import Infeasibility
from orchestrator.samplers import limits
from orchestrator.spec import Objective, Values
from orchestrator.system.averages import average
from orchestrator.trial import Outcome, Params, Trial
from orchestrator.trials.observation import Observation


@dataclass
class ProposedConfiguration:
    """The values of the searched parameters, with a trial for each seed, and their results."""

    values: Params
    number: int  # of the proposal that waits for its result
    seeds: Configuration
    trials: list[Trial] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)  # trial_keys
    known: list[Values] = field(default_factory=list)  # the worst completed values when each of its trials ended
    failure: str = ""  # why the last of them failed that did
    _taken: dict[str, Observation] = field(default_factory=dict)  # by trial_key

    def take(self, trial: Trial, observation: Observation, worst: Values | None) -> None:
        """Take in how one of the trials ended, and the worst value of each objective that had completed by then."""
        self.ended.add(trial.trial_key)
        self._taken[trial.trial_key] = observation
        self.failure = observation.failure or self.failure
        self.seeds = self.seeds.after(observation)
        self.known += [] if worst is None else [worst]

    def leave(self, trial: Trial) -> None:
        """Have one of the trials not ended, which runs anew."""
        self.ended.discard(trial.trial_key)
        self.failure = ""
        if (taken := self._taken.pop(trial.trial_key, None)) is not None:
            self.seeds = self.seeds.without(taken)

    def expected(self, objectives: Sequence[Objective], survivors: bool = False) -> Values | None:
        """What it is ranked by, as far as was known when the last of its trials ended."""
        return self.seeds.expected(objectives, worst_of(self.known, objectives), survivors)

    @property
    def has_ended(self) -> bool:
        return all(trial.trial_key in self.ended for trial in self.trials)

    @property
    def pruned_at(self) -> int | None:
        """The epoch that the last of its seeds reached, where none completed and some were pruned."""
        pruned = [seed.epoch for seed in self.seeds.results if seed.outcome is Outcome.PRUNED]
        return None if self.seeds.values else max(pruned, default=None)

    @property
    def margin(self) -> float | None:
        """How far it is beyond an explosion: the mean of seeds that exploded, if half of them did, or of the others."""
        exploded = [seed for seed in self.seeds.results if seed.outcome is Outcome.EXPLODED]
        stable = [seed for seed in self.seeds.results if seed.outcome is not Outcome.EXPLODED]
        if len(exploded) >= len(stable):
            return average(FARTHEST if seed.margin is None else seed.margin for seed in exploded) if exploded else None
        margins = [seed.margin for seed in stable if seed.margin is not None]
        return average(margins) if margins else None

    @property
    def is_bad(self) -> bool:
        """Whether it is beyond an explosion, or cannot be trained."""
        return (self.margin or 0.0) > 0 or any(name.startswith(limits.INFEASIBLE) for name in self.beyond)

    @property
    def beyond(self) -> dict[str, float | None]:
        """How far it is beyond other limits: its seeds on average, and where half of them cannot be trained, these."""
        found: dict[str, float | None] = {**self.seeds.margins}
        infeasible = [seed for seed in self.seeds.results if seed.outcome is Outcome.INFEASIBLE]
        lacks = [seed.infeasible or Infeasibility("configuration") for seed in infeasible]
        if 2 * len(lacks) >= len(self.seeds.results):
            for cause in dict.fromkeys(lack.cause for lack in lacks):
                known = [lack.margin for lack in lacks if lack.cause == cause and lack.margin is not None]
                found[f"{limits.INFEASIBLE}{cause}"] = average(known) if known else None
        return found
