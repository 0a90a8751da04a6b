"""The parts of a report, independent of its format."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from orchestrator.functions import Declaration
from orchestrator.reports.charts import Chart
from orchestrator.reports.configurations import Run
from orchestrator.reports.pictures import ReportPicture
from orchestrator.reports.trial_pictures import TrialPicture
from orchestrator.reports.verdict import Verdict

Document = Mapping[str, Any]  # as JSON on the page


@dataclass(frozen=True)
class Cell:
    """A cell of a table; the best of its column, and verdicts, are highlighted."""

    text: str
    is_best: bool = False
    verdict: Verdict | None = None
    run_id: str = ""  # of the trial that it leads to, on a page


@dataclass(frozen=True)
class ReportTable:
    """A table."""

    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    configurations: tuple[int, ...] = ()  # the number of each row's in the data of trials, where rows are such

    @classmethod
    def of(cls, header: Sequence[str], rows: Sequence[Sequence[str]]) -> "ReportTable":
        """A table of plain texts."""
        return cls(tuple(header), tuple(tuple(map(Cell, row)) for row in rows))


@dataclass(frozen=True)
class Part:
    """A heading with its content: paragraphs, a table, charts, pictures, in this order."""

    title: str
    words: tuple[str, ...] = ()
    grid: ReportTable | None = None
    charts: tuple[Chart, ...] = ()
    pictures: tuple[ReportPicture, ...] = ()
    layout: Literal["side by side", "in rows", "wide"] = "side by side"  # of pictures; in rows: beside their captions
    is_explored: bool = False  # whether the page shows the same among all of its trials

    @property
    def is_empty(self) -> bool:
        return not (self.words or (self.grid and self.grid.rows) or self.charts or self.pictures)


@dataclass(frozen=True)
class Section:
    """A sweep."""

    name: str
    question: str  # the first comment of its file
    description: Sequence[str]  # of its file: paragraphs
    facts: tuple[tuple[str, str], ...]  # names and texts: its settings and results
    source: str  # the file
    parts: tuple[Part, ...]
    runs: tuple[Run, ...]
    trials: str  # by outcome
    best: str
    doubts: tuple[str, ...]  # in sentences: how sure that is
    answer: str  # where a boundary is, in sentences
    verdicts: Counter[Verdict]
    declaration: Declaration  # of its trial function
    trial_data: Document  # of all trials, for the page
    pictures: tuple[TrialPicture, ...] = ()  # of trials, that stand beside the page
    unlisted: frozenset[str] = frozenset()  # run_ids of trials that may have further ones
