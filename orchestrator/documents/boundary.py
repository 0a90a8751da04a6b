"""What a boundary sweep finds."""

from typing import Self

from orchestrator.comparison.boundary import Boundary
from orchestrator.documents.base import DocumentPart, Metrics, Number, Params


class CurvePart(DocumentPart):
    """Where an event begins along a parameter, for a choice of the others."""

    at: Params
    """The parameters that its trials share."""
    trials: int
    """That tell of the event."""
    happened: int
    """In how many of them it happened."""
    where: str | None
    """On which sides of the thresholds it is more frequent; null without trials."""
    safe: str | None
    """Where the risk is below that of the file; null without trials."""
    figures: Metrics
    """The thresholds with the ends of their intervals, the ends of what is safe, and the rates on either side."""


class BoundaryPart(DocumentPart):
    """Where an event begins, curve by curve."""

    event: str
    parameter: str
    risk: Number
    curves: list[CurvePart]

    @classmethod
    def of(cls, boundary: Boundary) -> Self:
        """The result of a boundary sweep."""
        curves = [
            CurvePart(
                at=dict(finding.curve.at) if finding.curve.choice else {},
                trials=len(finding.curve.points),
                happened=finding.count,
                where=finding.where if finding.curve.points else None,
                safe=finding.safest if finding.curve.points else None,
                figures=finding.metrics("") if finding.curve.points else {},
            )
            for finding in boundary.findings
        ]
        name = boundary.findings[0].curve.name
        return cls(event=boundary.event.name, parameter=name, risk=boundary.risk, curves=curves)
