"""What a sweep as a whole has in MLflow: the description of its parent run, metrics, pictures, the best model."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from mlflow.entities import Metric as Point

from orchestrator.comparison.csv_table import csv_table
from orchestrator.comparison.markdown import escaped, paragraphs
from orchestrator.comparison.running_table import RunningTable
from orchestrator.comparison.table import Table
from orchestrator.errors import StoreError
from orchestrator.spec import SweepSpec
from orchestrator.trackers import best_model, deleted, kept_report, trial_note, view, writing
from orchestrator.trackers.errors import translates_errors
from orchestrator.trackers.last_launch import WORKERS
from orchestrator.trackers.open_run import LONGEST_TAG, OpenRun, tags_of
from orchestrator.trackers.store import Store
from orchestrator.trackers.trial_runs import tag_of
from orchestrator.trials.metric_names import nearest
from orchestrator.trials.record import Record

LONGEST_DESCRIPTION = 2000  # characters of the file's, above the table
RESULTS_FILE = "results.csv"  # an artifact


class SweepResults(Store):
    """Writes what a sweep came to. A parent run that somebody has deleted is left as it is."""

    def __init__(self, uri: str, spec: SweepSpec, is_aside: bool = False) -> None:
        super().__init__(uri)
        self.spec = spec
        self.tally = RunningTable(spec)
        self._records: dict[str, Record] = {}  # of trials, by trial_key
        self._runs: dict[str, OpenRun] = {}  # those that are being written
        self._ended: dict[str, str] = {}  # the run_ids of those that ended in this launch
        self.experiment_id = ""
        self.parent_id = ""
        self.is_aside = is_aside  # whether the launch leaves alone what the sweep has: table, description, model
        self.remark = ""  # that the parent run was deleted, once that is known
        self._view = ""

    @property
    def run_ids(self) -> dict[str, str]:
        """The runs of trials, by trial_key, as of this moment. Any thread may ask."""
        before, now = [*self._records.values()], [*self._runs.items()]
        open_runs = {key: run.run_id for key, run in now}
        return {record.trial_key: record.run_id for record in before} | open_runs | self._ended

    @translates_errors
    def describe(self, table: Table, heading: str = "") -> None:
        """Make the result table the run's description, below the file's own and a heading, and make the UI's view."""
        if self.is_aside:
            return
        own = paragraphs(self.spec.description[:LONGEST_DESCRIPTION])
        heading = "".join(f"{escaped(part)}\n\n" for part in own) + heading
        description = heading + table.markdown(LONGEST_TAG - len(heading) - kept_report.LONGEST_LINK)
        tags, shown = {trial_note.TAG: description}, view.view_of(table)
        if shown is not None:
            tags[view.TAG] = shown  # here, too: whoever is late with another one finds it
        self.of_parent(lambda: self.client.log_batch(self.parent_id, tags=tags_of(tags)))
        with suppress(StoreError):  # without it the UI shows a view of its own
            self._show(shown)

    @translates_errors
    def _show(self, shown: str | None) -> None:
        if shown is not None and shown != self._view:
            self.client.set_experiment_tag(self.experiment_id, view.TAG, shown)
            self._view = shown

    def described(self, record: Record) -> dict[str, str]:
        """The tag that describes the run of a trial that has ended, unless somebody has written a description."""
        there = tag_of(self.client, record.run_id, trial_note.TAG)
        if trial_note.is_anothers(there, self.experiment_id, record.run_id):
            return {}
        return {trial_note.TAG: trial_note.note(record, self.spec, self.experiment_id, self.parent_id)}

    @translates_errors
    def tell_workers(self, workers: int) -> None:
        """Have the sweep say how many trials may run at once, as somebody has asked for."""
        self.of_parent(lambda: self.client.set_tag(self.parent_id, WORKERS, str(workers)))

    def describe_so_far(self) -> None:
        """Make the results so far the sweep's description."""
        self.describe(self.tally.table(), self.tally.heading())

    @translates_errors
    def conclude(self, metrics: Mapping[str, float], picture: Path) -> None:
        """Log the results of the sweep as a whole to its parent run."""
        if self.is_aside:
            return
        points = [Point(nearest(name), value, int(time.time() * 1000), 0) for name, value in metrics.items()]
        for part in writing.in_batches(points):
            self.of_parent(lambda part=part: self.client.log_batch(self.parent_id, metrics=part))  # type: ignore[misc]
        self.client.log_artifact(self.parent_id, str(picture))

    @translates_errors
    def keep_table(self, table: Table) -> None:
        """Put the result table beside the sweep's run, whole, with the ids of runs."""
        if self.is_aside:
            return
        ids = [row.record.run_id if row.record else "" for row in table.rows]
        rows = [[*cells, run_id] for cells, run_id in zip(table.cells(), ids, strict=True)]
        text = csv_table([*table.header(), "run_id"], rows)
        self.of_parent(lambda: self.client.log_text(self.parent_id, text, RESULTS_FILE))

    @translates_errors
    def keep_report(self, folder: Path) -> None:
        """Put the report in a folder beside the sweep's run."""
        self.of_parent(lambda: kept_report.log(self.client, self.parent_id, folder))

    def of_parent(self, write: Callable[[], object]) -> None:
        """Make a write to the parent run, if it is there."""
        if not deleted.written(self.client, self.parent_id, write):
            self.remark = (
                f"the run of the sweep {self.spec.name} was deleted in MLflow, and lacks the table; restore it with "
                f"{deleted.restoring(self.uri, self.parent_id)}, or launch with --rerun, which restores it"
            )

    @translates_errors
    def has_model(self, record: Record) -> bool:
        """Whether a trial has the sweep's model already."""
        return best_model.has_model(self.client, self.experiment_id, record.run_id)

    @translates_errors
    def fetch(self, record: Record, folder: Path) -> None:
        """Download a trial's artifacts into a folder."""
        best_model.artifacts(self.client, record.run_id, folder)

    @translates_errors
    def keep_model(self, record: Record, folder: Path) -> None:
        """Make the MLflow model in a folder the sweep's model, on a trial's run."""
        best_model.keep(self.client, self.experiment_id, record, folder)

    @translates_errors
    def clear_models(self, record: Record) -> None:
        """Delete what the sweep has of other trials' models, and of models that were never whole."""
        best_model.clear(self.client, self.uri, self.experiment_id, record.run_id)
