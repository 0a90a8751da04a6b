"""What a finished trial tells a sampler."""

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.events import Event, Finished, Progress
from orchestrator.record import MARGIN, Record
from orchestrator.spec.form import Metric
from orchestrator.trial import Outcome


@dataclass(frozen=True)
class Observation:
    """How a trial ended, its value of the metric, and how far beyond an explosion it was."""

    outcome: Outcome
    value: float | None = None
    margin: float | None = None

    @classmethod
    def of_events(cls, metric: Metric, events: Iterable[Event]) -> "Observation":
        """Of all that a trial has told, from its first epoch to its end; a metric by epoch counts with its best value.

        What has not ended counts as failed.
        """
        best = max if metric.goal == "maximize" else min
        by_epoch: list[float] = []
        end = Finished(Outcome.FAILED)
        for event in events:
            if isinstance(event, Progress) and metric.name in event.metrics:
                by_epoch.append(event.metrics[metric.name])
            elif isinstance(event, Finished):
                end = event
        return cls(end.outcome, best(by_epoch, default=end.metrics.get(metric.name)), end.margin)

    @classmethod
    def of_record(cls, metric: Metric, record: Record) -> "Observation | None":
        """The same from what the store has of a trial, or None where that is no result."""
        if record.outcome is None or not record.outcome.is_result:
            return None
        return cls(record.outcome, record.value(metric), record.metrics.get(MARGIN))
