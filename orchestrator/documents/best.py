"""The best configuration of a sweep, its Pareto front, or its boundary."""

from collections.abc import Mapping, Sequence
from typing import Literal, Self

from orchestrator.comparison.best import as_far_as_known, equal, interval_as_winner
from orchestrator.comparison.boundary import Boundary
from orchestrator.comparison.configuration import Configuration
from orchestrator.comparison.dominance import may_be_dominated
from orchestrator.comparison.ranking import Ranking
from orchestrator.documents.base import Document, Number
from orchestrator.documents.boundary import BoundaryPart
from orchestrator.documents.trial import ConfigurationPart, MetricPart


class BestPart(ConfigurationPart):
    """A configuration that is best, or on the front."""

    may_be_dominated: bool
    """Whether its seeds do not tell that it belongs to the front."""
    command: str | None
    """That runs it again; null where the sweep's file is gone."""


class BestDocument(Document):
    """The best configuration by one metric, the Pareto front of several, or where a boundary lies."""

    kind: Literal["best"] = "best"
    sweep: str
    file: str
    metrics: list[MetricPart]
    configurations: int
    """Of which a seed has completed with a value."""
    best: list[BestPart]
    """One; or the front."""
    interval_as_best: tuple[Number, Number] | None
    """Of the best of several, corrected for the luck by which it became that."""
    equal: list[str]
    """The labels of configurations with the same value."""
    undistinguished: list[str]
    """Of those that the seeds do not tell from the best."""
    boundary: BoundaryPart | None
    remarks: list[str]

    @classmethod
    def of(
        cls,
        sweep: str,
        file: str,
        ranked: Ranking,
        best: Sequence[Configuration],
        labels: Mapping[str, str],
        commands: Sequence[str],
        remarks: Sequence[str],
    ) -> Self:
        """What `sweep best` finds.

        Args:
            sweep: its name.
            file: its path.
            ranked: all configurations.
            best: one of them, or the front.
            labels: of all of them, by config_key.
            commands: that run the best again.
            remarks: what else there is to say.
        """
        is_single = len(ranked.objectives) == 1
        doubtful = set() if is_single else may_be_dominated(best, ranked)
        parts = [
            BestPart(
                **dict(ConfigurationPart.of(one, ranked, labels[one.config_key])),
                may_be_dominated=one.config_key in doubtful,
                command=command or None,
            )
            for one, command in zip(best, commands, strict=True)
        ]
        return cls(
            sweep=sweep,
            file=file,
            metrics=[MetricPart.of(objective) for objective in ranked.objectives],
            configurations=len(ranked),
            best=parts,
            interval_as_best=interval_as_winner(ranked) if is_single else None,
            equal=[labels[one.config_key] for one in equal(ranked)] if is_single else [],
            undistinguished=[labels[one.config_key] for one in as_far_as_known(ranked)] if is_single else [],
            boundary=None,
            remarks=[*remarks],
        )

    @classmethod
    def of_boundary(cls, file: str, boundary: Boundary, remarks: Sequence[str]) -> Self:
        """What `sweep best` finds of a boundary sweep."""
        return cls(
            sweep=boundary.sweep,
            file=file,
            metrics=[],
            configurations=0,
            best=[],
            interval_as_best=None,
            equal=[],
            undistinguished=[],
            boundary=BoundaryPart.of(boundary),
            remarks=[*remarks],
        )
