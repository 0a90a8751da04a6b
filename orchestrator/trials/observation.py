"""What a finished trial tells a sampler."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from orchestrator.events import Event, Finished, Progress
from orchestrator.spec import Objective, Values
from orchestrator.spec.objective import ObjectiveSoFar, complete
from orchestrator.trial import Outcome
from orchestrator.trials.record import MARGIN, Record


@dataclass(frozen=True, slots=True)
class Observation:
    """How a trial ended: its values of the objectives if it has all, its distance from an explosion, its last epoch.

    Of what was pruned, the values are the last.
    """

    outcome: Outcome
    values: Values | None = None
    margin: float | None = None  # how far beyond an explosion it was
    epoch: int = 0

    @classmethod
    def of_events(cls, objectives: Sequence[Objective], events: Iterable[Event]) -> "Observation":
        """Of all that a trial has told, from its first epoch to its end. What has not ended counts as failed."""
        events = list(events)
        end = next((event for event in reversed(events) if isinstance(event, Finished)), Finished(Outcome.FAILED))
        counted, epoch = [ObjectiveSoFar(one) for one in _counted(objectives, end.outcome)], 0
        for event in events:
            if isinstance(event, Progress):
                epoch = max(epoch, event.epoch)
                for one in counted:
                    one.take(event.metrics.get(one.objective.name), event.epoch)
        values = (one.value(end.metrics.get(one.objective.name)) for one in counted)
        return cls(end.outcome, complete(values), end.margin, epoch)

    @classmethod
    def of_record(cls, objectives: Sequence[Objective], record: Record) -> "Observation | None":
        """The same from what the store has of a trial, or None where that is no result."""
        if record.outcome is None or not record.outcome.is_result:
            return None
        values = record.values(_counted(objectives, record.outcome))
        return cls(record.outcome, values, record.metrics.get(MARGIN), record.last_epoch or 0)


def _counted(objectives: Sequence[Objective], outcome: Outcome) -> Sequence[Objective]:
    return [replace(one, counts_best=False) for one in objectives] if outcome is Outcome.PRUNED else objectives
