"""What stands in for a value that a trial does not have: the worst that trials had which ended before it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from orchestrator.spec import Objective, Values
from orchestrator.spec.objective import complete
from orchestrator.trial import Outcome
from orchestrator.trials.observation import Observation


@dataclass
class WorstSoFar:
    """The worst finite value of each objective, of the trials that have completed so far."""

    objectives: Sequence[Objective]
    values: dict[str, float] = field(default_factory=dict)  # by objective

    def take(self, observation: Observation) -> Observation:
        """What a search is given for a trial; trials come in the order in which they ended.

        A trial that reached an end and lacks a value has the worst one; while there is none, it counts as exploded.
        """
        is_judged = observation.outcome is Outcome.COMPLETED or (
            observation.outcome is Outcome.PRUNED and observation.epoch > 0
        )
        if not is_judged:
            return observation
        known = observation.values or observation.known or [None] * len(self.objectives)
        pairs = list(zip(self.objectives, known, strict=True))
        filled = complete(self.values.get(aim.name) if value is None else value for aim, value in pairs)
        for aim, value in pairs:
            if value is not None and observation.outcome is Outcome.COMPLETED:
                self.values[aim.name] = aim.worst((value, self.values.get(aim.name, value)))
        if filled is None:
            return replace(observation, outcome=Outcome.EXPLODED, margin=None)
        return replace(observation, values=filled)

    @property
    def completed(self) -> Values | None:
        """The worst value of each objective, as far as there is one of each."""
        return complete(self.values.get(aim.name) for aim in self.objectives)
