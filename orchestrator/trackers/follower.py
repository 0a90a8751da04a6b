"""Follows sweeps while they run: reads all of a sweep once, and then what has changed."""

from contextlib import suppress

from orchestrator.errors import InputError
from orchestrator.functions.declaration import UNDECLARED, Declaration
from orchestrator.progress.status import Curve, Status, display_name, shown_metric
from orchestrator.spec import Objective
from orchestrator.trackers.store import Store
from orchestrator.trials.record import SYSTEM, Record


class Follower:
    """The progress of a sweep, read again and again."""

    def __init__(self, store: Store, name: str) -> None:
        self.store, self.name = store, name
        self._records: dict[str, Record] = {}  # by run_id

    def status(self, is_live: bool) -> Status:
        """The status of this moment; without a live launch, nothing runs."""
        ended = max((record.ended or 0.0 for record in self._records.values()), default=None)
        found = self.store.records(self.name) if ended is None else self.store.news(self.name, ended)
        self._records |= {record.run_id: record for record in found}
        records = list(self._records.values())
        running = [record for record in records if record.status == "RUNNING" and is_live]
        objective, declaration = self._last_launch()
        curves = {record.run_id: self._curve(record, objective, declaration) for record in running}
        return Status.of(self.name, records, self.store.total(self.name), objective, curves, declaration)

    def _last_launch(self) -> tuple[Objective | None, Declaration]:
        """What trials are compared by first, and what their function declares."""
        with suppress(InputError):  # an old store does not have it
            launch = self.store.last_launch(self.name)
            return next(iter(launch.objectives), None), launch.declaration
        return None, UNDECLARED

    def _curve(self, record: Record, objective: Objective | None, declaration: Declaration) -> Curve:
        """The metric by epoch that shows how well the trial does."""
        names = sorted(name for name in record.metrics if not name.startswith(SYSTEM))
        name = shown_metric(names, declaration, objective)
        return Curve(display_name(name, declaration), self.store.curve(record, name)) if name else Curve()
