"""What a sweep has come to so far: a table of its best trials, which costs the same at the first trial and the last."""

import bisect
from collections import Counter
from dataclasses import dataclass, field

from orchestrator.record import Record
from orchestrator.spec import SweepSpec
from orchestrator.table import Row, Table, rank, reference_of
from orchestrator.trial import Outcome, Params, Trial

MOST_ROWS = 50


@dataclass
class Tally:
    """Takes in trials as they end, and keeps the best."""

    spec: SweepSpec
    asked: int = 0  # trials
    ended: Counter[Outcome] = field(default_factory=Counter)
    _rows: list[Row] = field(default_factory=list)
    _first: Params = field(default_factory=dict)
    _varying: set[str] = field(default_factory=set)

    def take(self, trial: Trial, record: Record) -> None:
        """Take in a trial that has ended, and what the store has of it."""
        if record.outcome is None:
            return
        self.ended[record.outcome] += 1
        self._first = self._first or trial.params
        self._varying |= {name for name, value in trial.params.items() if value != self._first.get(name)}
        row = Row(trial, record, reference_of(self.spec, trial.params))
        bisect.insort(self._rows, row, key=lambda row: rank(self.spec, row))
        del self._rows[MOST_ROWS:]

    def table(self) -> Table:
        """The best of them."""
        varying = tuple(name for name in self._first if name in self._varying)
        return Table(self.spec, tuple(self._rows), varying, left_out=self.ended.total() - len(self._rows))

    def heading(self) -> str:
        """How many have ended, and how, as a paragraph."""
        counts = ", ".join(f"{count} {outcome}" for outcome, count in self.ended.items())
        return f"Running: {self.ended.total()} of {self.asked} trials have ended{f' ({counts})' if counts else ''}.\n\n"
