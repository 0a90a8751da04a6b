"""The trials of several sweeps."""

from typing import Literal, Self

from orchestrator.comparison.several import SeveralSweeps
from orchestrator.documents.base import Document
from orchestrator.documents.trial import MetricPart, TrialPart


class ComparedTrialPart(TrialPart):
    """A trial, and whose it is."""

    sweep: str


class CompareDocument(Document):
    """The trials of several sweeps, the best first where all are compared by the same metric first."""

    kind: Literal["compare"] = "compare"
    sweeps: list[str]
    metrics: list[MetricPart]
    """What any of them is compared by."""
    trials: list[ComparedTrialPart]

    @classmethod
    def of(cls, several: SeveralSweeps) -> Self:
        """What `sweep compare` shows."""
        return cls(
            sweeps=[*several.records],
            metrics=[MetricPart.of(one) for one in several.metrics],
            trials=[ComparedTrialPart(**dict(TrialPart.of_record(one)), sweep=sweep) for sweep, one in several.rows],
        )
