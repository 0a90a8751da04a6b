"""The result table of a sweep: a row for each trial that the file asks for, sorted by the metric."""

import bisect
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from orchestrator.durations import duration
from orchestrator.expansion import short, varying
from orchestrator.record import Record
from orchestrator.spec import ReferenceRow, SweepSpec
from orchestrator.trial import Outcome, Params, Trial

FINAL = ("ssim", "mse")
LEFT_OUT = "\nand {} more\n"


@dataclass(frozen=True)
class Row:
    """A trial, what the store has of it, and the published row of the same parameters."""

    trial: Trial
    record: Record | None
    reference: ReferenceRow | None

    @property
    def outcome(self) -> Outcome | None:
        return self.record.outcome if self.record else None


@dataclass(frozen=True)
class Table:
    """Rows sorted best first; what has no value of the metric comes last."""

    spec: SweepSpec
    rows: tuple[Row, ...]
    varying: tuple[str, ...]
    left_out: int = 0  # trials that it has no row for

    @classmethod
    def of(cls, spec: SweepSpec, trials: Iterable[Trial], records: Mapping[str, Record]) -> "Table":
        """The table of a file's trials, from what the store has of them."""
        rows = [Row(t, records.get(t.trial_key), reference_of(spec, t.params)) for t in trials]
        ranked = sorted(rows, key=lambda row: rank(spec, row))
        return cls(spec, tuple(ranked), tuple(varying([row.trial.params for row in rows])))

    @property
    def best(self) -> Record | None:
        """The best trial, or None where none has completed with a value of the metric."""
        first = self.rows[0] if self.rows else None
        return first.record if first and not rank(self.spec, first)[0] else None

    def count(self, outcome: Outcome | None) -> int:
        """How many trials ended so; None counts those without an end."""
        return Counter(row.outcome for row in self.rows)[outcome]

    def header(self) -> list[str]:
        """The columns: what varies, the outcome, the metric, the final metrics, the published ones, the time."""
        columns = [*(self.varying or ("sweep",)), "outcome", self.spec.metric.name, *self._final]
        return [*columns, *(f"published {name}" for name in self._published), "epochs", "time", "remark"]

    def cells(self) -> list[list[str]]:
        """The rows as text, in the header's order."""
        return [self._cells(row) for row in self.rows]

    def markdown(self, longest: int) -> str:
        """The table in Markdown, of at most so many characters; says how many of its last rows it leaves out."""
        rows = [self.header(), ["---"] * len(self.header()), *self.cells()]
        lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n" for row in rows]
        ends = list(itertools.accumulate(map(len, lines)))
        if ends[-1] <= longest and not self.left_out:
            return "".join(lines)
        shown = bisect.bisect_right(ends, longest - len(LEFT_OUT.format(len(lines) + self.left_out)))
        return "".join(lines[:shown]) + LEFT_OUT.format(len(lines) - shown + self.left_out)

    def _cells(self, row: Row) -> list[str]:
        record = row.record
        names = [short(row.trial.params[name]) for name in self.varying] or [self.spec.name]
        outcome = "not run" if record is None else str(record.outcome or "running")
        metrics = record.metrics if record else {}
        value = record.value(self.spec.metric) if record else None
        figures = [_figure(value), *(_figure(metrics.get(name)) for name in self._final)]
        published = [self._published_cell(row.reference, name) for name in self._published]
        epochs = short(record.last_epoch) if record and record.last_epoch else ""
        time = duration(record.seconds) if record and record.seconds else ""
        return [*names, outcome, *figures, *published, epochs, time, record.remark if record else ""]

    @cached_property
    def _final(self) -> list[str]:
        names = [name for name in FINAL if name != self.spec.metric.name]
        return [name for name in names if any(row.record and name in row.record.metrics for row in self.rows)]

    @cached_property
    def _published(self) -> list[str]:
        rows = [row.reference for row in self.rows if row.reference]
        metrics = list(dict.fromkeys(name for row in rows for name in row.metrics))
        return metrics or ["outcome"] * any(row.outcome for row in rows)

    def _published_cell(self, reference: ReferenceRow | None, name: str) -> str:
        if reference is None:
            return ""
        if name in reference.metrics:
            return _figure(reference.metrics[name])
        # a published outcome has no figures: it stands where the first of them would
        return str(reference.outcome or "") if name == self._published[0] else ""


def rank(spec: SweepSpec, row: Row) -> tuple[bool, float]:
    """Where a row stands: the best first, and last what has no value of the metric."""
    value = row.record.value(spec.metric) if row.record and row.outcome is Outcome.COMPLETED else None
    sign = -1 if spec.metric.goal == "maximize" else 1
    return value is None, 0.0 if value is None else sign * value


def reference_of(spec: SweepSpec, params: Params) -> ReferenceRow | None:
    """The published row of these parameters."""
    rows = spec.reference.rows if spec.reference else ()
    return next((row for row in rows if row.params.items() <= params.items()), None)


def _figure(value: float | None) -> str:
    return "" if value is None or not math.isfinite(value) else f"{value:.4g}" if abs(value) >= 1 else f"{value:.4f}"
