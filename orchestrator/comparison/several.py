"""The trials of several sweeps in one table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from orchestrator.spec import Objective
from orchestrator.system.durations import duration
from orchestrator.system.figures import figures
from orchestrator.trial import Outcome
from orchestrator.trials.labels import short, varying
from orchestrator.trials.record import Record


@dataclass(frozen=True)
class SeveralSweeps:
    """The trials of some sweeps; the best first where all are compared by the same metric first."""

    objectives: Mapping[str, Sequence[Objective]]  # by sweep, in the order in which they were named
    records: Mapping[str, Sequence[Record]]

    @property
    def metrics(self) -> list[Objective]:
        """What any of them is compared by."""
        found = {(one.name, one.goal): one for objectives in self.objectives.values() for one in objectives}
        return [*found.values()]

    @cached_property
    def rows(self) -> list[tuple[str, Record]]:
        """A sweep and one of its trials."""
        rows = [(sweep, record) for sweep, records in self.records.items() for record in records]
        if self.first is None:
            return rows
        return sorted(rows, key=self._rank)

    @property
    def first(self) -> Objective | None:
        """The metric by which all are compared first; None where they differ in that."""
        firsts = [objectives[0] if objectives else None for objectives in self.objectives.values()]
        if None in firsts or len({(one.name, one.goal) for one in firsts if one}) > 1:
            return None
        return firsts[0]

    @property
    def title(self) -> str:
        """The sweeps, and the order of the rows."""
        order = "in the order of their beginnings" if self.first is None else f"best {self.first.name} first"
        return f"{', '.join(self.records)}: {order}"

    def header(self) -> list[str]:
        """The columns."""
        return ["sweep", *self._varying, "outcome", *(one.name for one in self.metrics), "time"]

    def cells(self) -> list[list[str]]:
        """The rows as text."""
        values = [[self._value(sweep, record, one) for one in self.metrics] for sweep, record in self.rows]
        columns = [figures(value for value in column if value is not None) for column in zip(*values, strict=True)]
        cells = []
        for (sweep, record), measured in zip(self.rows, values, strict=True):
            params = [short(record.params[name]) if name in record.params else "" for name in self._varying]
            shown = ["" if value is None else texts[value] for value, texts in zip(measured, columns, strict=True)]
            time = "" if record.seconds is None else duration(record.seconds)
            cells.append([sweep, *params, str(record.outcome or "running"), *shown, time])
        return cells

    @cached_property
    def _varying(self) -> list[str]:
        return [*varying([record.params for _, record in self.rows])]

    def _value(self, sweep: str, record: Record, metric: Objective) -> float | None:
        """The value of a metric as its sweep counts it; None where the sweep is not compared by it."""
        own = next((one for one in self.objectives[sweep] if (one.name, one.goal) == (metric.name, metric.goal)), None)
        return None if own is None else record.value(own)

    def _rank(self, row: tuple[str, Record]) -> tuple[bool, float]:
        sweep, record = row
        objective = self.objectives[sweep][0]
        value = record.value(objective) if record.outcome is Outcome.COMPLETED else None
        return value is None, 0.0 if value is None else -objective.sign * value
