"""What a launch came to."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, Self

from orchestrator.comparison.table import Table
from orchestrator.documents.base import Document, DocumentPart, Number
from orchestrator.documents.boundary import BoundaryPart
from orchestrator.documents.error import ErrorDocument
from orchestrator.documents.trial import ConfigurationPart, MetricPart, TrialPart
from orchestrator.errors import SweepError
from orchestrator.spec import SweepSpec
from orchestrator.trial import Outcome
from orchestrator.trials.labels import label, texts_of

if TYPE_CHECKING:  # mlflow takes longer to import than to print what these classes are
    from orchestrator.conclusion import Launched


class LaunchedSweepPart(DocumentPart):
    """What the launch of one file came to."""

    sweep: str
    file: str
    exit_status: int
    """0: what began has results; 1: a trial failed, or the sweep could not go on; 2: bad input; 130: interrupted."""
    error: ErrorDocument | None
    """What ended it, where it has no result."""
    metrics: list[MetricPart]
    outcomes: dict[Outcome, int]
    not_ended: int
    """Trials of the file that have not ended."""
    trials: list[TrialPart]
    """Those that the file asks for, the best first."""
    configurations: list[ConfigurationPart]
    """Those that are ranked, the best first."""
    front: list[str]
    """The config_keys of the Pareto front, where there are several metrics."""
    boundary: BoundaryPart | None
    reached: str
    """By which trial the metric's target, in words; else empty."""
    spent: Number | None
    """Seconds of training, where `time_cap` has ended it."""

    @classmethod
    def of(cls, launched: "Launched") -> Self:
        """A sweep that has a result."""
        table = launched.table
        return cls(
            sweep=table.spec.name,
            file=str(table.spec.source.path),
            exit_status=launched.exit_status,
            error=None,
            metrics=[MetricPart.of(objective) for objective in table.spec.objectives],
            outcomes={outcome: table.count(outcome) for outcome in Outcome},
            not_ended=table.count(None),
            trials=[TrialPart.of_row(row) for row in table.rows],
            configurations=_configurations(table),
            front=[one.config_key for one in table.front],
            boundary=BoundaryPart.of(launched.boundary) if launched.boundary else None,
            reached=launched.reached,
            spent=launched.spent,
        )

    @classmethod
    def of_error(cls, spec: SweepSpec, error: SweepError) -> Self:
        """A sweep that has none."""
        return cls(
            sweep=spec.name,
            file=str(spec.source.path),
            exit_status=130 if error.interrupted else error.exit_status,
            error=ErrorDocument.of(error),
            metrics=[MetricPart.of(objective) for objective in spec.objectives],
            outcomes={},
            not_ended=0,
            trials=[],
            configurations=[],
            front=[],
            boundary=None,
            reached="",
            spent=None,
        )


class LaunchDocument(Document):
    """What a launch came to; the last line that it prints."""

    kind: Literal["launch"] = "launch"
    exit_status: int
    """That of the command: the largest of its sweeps."""
    sweeps: list[LaunchedSweepPart]

    @classmethod
    def of(cls, ended: "Iterable[tuple[SweepSpec, Launched | SweepError]]", exit_status: int) -> Self:
        """The result of a call for one file or several."""
        sweeps = [
            LaunchedSweepPart.of_error(spec, end) if isinstance(end, SweepError) else LaunchedSweepPart.of(end)
            for spec, end in ended
        ]
        return cls(exit_status=exit_status, sweeps=sweeps)


def _configurations(table: Table) -> list[ConfigurationPart]:
    varied = [name for name in table.varying if name != "seed"]
    texts = texts_of([one.params for one in table.configurations], varied)
    ranked = table.ranking if table.spec.objectives else []
    return [ConfigurationPart.of(one, table.ranking, label(table.spec, one.params, varied, texts)) for one in ranked]
