"""A trial that was trained once more."""

from typing import Literal, Self

from orchestrator.comparison.replayed import Replayed
from orchestrator.documents.base import Document, DocumentPart, Metrics, Number
from orchestrator.trial import Outcome


class DeviationPart(DocumentPart):
    """A metric that is not what it was, where it is farthest from that."""

    metric: str
    epoch: int | None
    """Null: at the end."""
    here: Number
    there: Number
    """In the run."""


class ReplayDocument(Document):
    """How a trial ended now, beside its run."""

    kind: Literal["replay"] = "replay"
    run_id: str
    sweep: str
    trial: str
    outcome: Outcome
    remark: str
    """Why it came to that; empty where there is nothing to say."""
    metrics: Metrics
    """Those that it reports at its end."""
    outcome_of_run: Outcome | None
    ends_alike: bool
    """Whether the run ended so, too; an explosion, at the same step."""
    compared: int
    """Numbers that both have."""
    deviations: list[DeviationPart]
    """One for each metric that differs; none: they are the same, to the bit."""

    @classmethod
    def of(cls, replayed: Replayed) -> Self:
        """A trial that was replayed."""
        record, end = replayed.record, replayed.end
        deviations = [
            DeviationPart(metric=one.metric, epoch=one.epoch, here=one.here, there=one.there)
            for one in replayed.deviations
        ]
        return cls(
            run_id=record.run_id,
            sweep=record.tags["sweep"],
            trial=record.label,
            outcome=end.outcome,
            remark=end.why,
            metrics=dict(end.metrics),
            outcome_of_run=record.outcome,
            ends_alike=replayed.ends_alike,
            compared=replayed.compared,
            deviations=deviations,
        )
