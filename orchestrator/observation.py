"""What a finished trial tells a sampler."""

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.events import Event, Finished, Progress
from orchestrator.record import MARGIN, Record
from orchestrator.spec.form import Metric
from orchestrator.trial import Outcome


@dataclass(frozen=True)
class Observation:
    """How a trial ended, its value of the metric, how far beyond an explosion it was, and after which epoch it ended.

    Of what was pruned, the value is the last.
    """

    outcome: Outcome
    value: float | None = None
    margin: float | None = None
    epoch: int = 0

    @classmethod
    def of_events(cls, metric: Metric, events: Iterable[Event]) -> "Observation":
        """Of all that a trial has told, from its first epoch to its end; a metric by epoch counts with its best value.

        What has not ended counts as failed.
        """
        best = max if metric.goal == "maximize" else min
        by_epoch: list[float] = []
        end, epoch = Finished(Outcome.FAILED), 0
        for event in events:
            if isinstance(event, Progress):
                epoch = max(epoch, event.epoch)
                by_epoch += [event.metrics[metric.name]] if metric.name in event.metrics else []
            elif isinstance(event, Finished):
                end = event
        if end.outcome is Outcome.PRUNED:
            return cls(end.outcome, by_epoch[-1] if by_epoch else None, end.margin, epoch)
        return cls(end.outcome, best(by_epoch, default=end.metrics.get(metric.name)), end.margin, epoch)

    @classmethod
    def of_record(cls, metric: Metric, record: Record) -> "Observation | None":
        """The same from what the store has of a trial, or None where that is no result."""
        if record.outcome is None or not record.outcome.is_result:
            return None
        last = record.metrics.get(metric.name)  # MLflow's metrics are the last
        value = last if record.outcome is Outcome.PRUNED else record.value(metric)
        return cls(record.outcome, value, record.metrics.get(MARGIN), record.last_epoch or 0)
