"""Follows sweeps while they run: reads all of a sweep once, and then what has changed."""

import math
from collections.abc import Sequence
from contextlib import suppress

from orchestrator.errors import InputError
from orchestrator.progress.status import LOSSES, Point, Status
from orchestrator.spec import Objective
from orchestrator.trackers.open_run import SYSTEM
from orchestrator.trackers.store import Store
from orchestrator.trials.record import Record


class Follower:
    """How far a sweep is, looked up again and again."""

    def __init__(self, store: Store, name: str) -> None:
        self.store, self.name = store, name
        self._records: dict[str, Record] = {}  # by run_id

    def status(self, is_live: bool) -> Status:
        """The picture of this moment; of a sweep whose launch is not at work, nothing runs."""
        ended = max((record.ended or 0.0 for record in self._records.values()), default=None)
        found = self.store.records(self.name) if ended is None else self.store.news(self.name, ended)
        self._records |= {record.run_id: record for record in found}
        records = list(self._records.values())
        running = [record for record in records if record.status == "RUNNING" and is_live]
        curves = {record.run_id: self._curve(record) for record in running}
        return Status.of(self.name, records, self.store.total(self.name), self._objective(), curves)

    def _objective(self) -> Objective | None:
        with suppress(InputError):  # an old store does not say
            return self.store.last_launch(self.name).objectives[0]
        return None

    def _curve(self, record: Record) -> Sequence[Point]:
        """A loss by epoch, or the epochs alone."""
        names = [name for name in record.metrics if not name.startswith(SYSTEM)]
        loss = next((name for name in LOSSES if name in names), None)
        if loss is not None:
            return self.store.curve(record.run_id, loss)
        return [(epoch, math.nan, at) for epoch, _, at in self.store.curve(record.run_id, names[0])] if names else []
