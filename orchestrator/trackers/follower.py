"""Follows sweeps while they run: reads all of a sweep once, and then what has changed."""

from contextlib import suppress
from dataclasses import replace

from orchestrator.errors import InputError
from orchestrator.functions.declaration import UNDECLARED, Declaration
from orchestrator.progress.status import Curve, Status, display_name, shown_metric
from orchestrator.spec import Objective, SweepSpec
from orchestrator.trackers.store import Store
from orchestrator.trials.asked import asked, of_trials
from orchestrator.trials.labels import marked
from orchestrator.trials.record import REPLACES, SYSTEM, Record, of_function


class Follower:
    """The progress of a sweep, read again and again.

    Args:
        store: that has the sweep.
        name: of the sweep.
        spec: the file whose trials alone are looked at; None: all of the sweep.
    """

    def __init__(self, store: Store, name: str, spec: SweepSpec | None = None) -> None:
        self.store, self.name, self.spec = store, name, spec
        self._records: dict[str, Record] = {}  # by run_id
        self._objective: Objective | None = None

    def status(self, is_live: bool) -> Status:
        """The status of this moment; without a live launch, nothing runs."""
        objective, declaration = self._compared_by()
        if objective != self._objective:
            self._records, self._objective = {}, objective
        ended = max((record.ended or 0.0 for record in self._records.values()), default=None)
        aims = [objective] if objective else []
        found = self.store.results(self.name, aims) if ended is None else self.store.news(self.name, ended, aims)
        gone = set() if ended is None else self.store.deleted(self.name)
        self._records |= {record.run_id: record for record in found}
        gone |= {record.tags.get(REPLACES, "") for record in self._records.values()}
        self._records = {run_id: record for run_id, record in self._records.items() if run_id not in gone}
        records, total = list(self._records.values()), self.store.total(self.name)
        if self.spec is not None:
            trials = asked(self.spec, records)
            records, total = of_trials(trials, records), _total(self.spec, len(trials), total)
        else:
            records = of_function(self.store.function(self.name), records)
        records = marked(records)
        running = [record for record in records if record.status == "RUNNING" and is_live]
        curves = {record.run_id: self._curve(record, objective, declaration) for record in running}
        status = Status.of(self.name, records, total, objective, curves, declaration)
        return replace(status, workers=self.store.workers(self.name)) if is_live else status

    def _compared_by(self) -> tuple[Objective | None, Declaration]:
        """What trials are compared by first, and what their function declares."""
        if self.spec is not None:
            return next(iter(self.spec.objectives), None), self.spec.function.declaration
        with suppress(InputError):  # an old store does not have it
            launch = self.store.last_launch(self.name)
            return next(iter(launch.objectives), None), launch.declaration
        return None, UNDECLARED

    def _curve(self, record: Record, objective: Objective | None, declaration: Declaration) -> Curve:
        """The metric by epoch that shows how well the trial does."""
        names = sorted(name for name in record.metrics if not name.startswith(SYSTEM))
        name = shown_metric(names, declaration, objective)
        return Curve(display_name(name, declaration), self.store.curve(record, name)) if name else Curve()


def _total(spec: SweepSpec, listed: int, of_launch: int | None) -> int | None:
    """How many trials a file asks for; as many as its last launch where that depends on results."""
    if spec.replicates is not None:
        return of_launch
    return listed if spec.is_listed else spec.run_cap
