"""Has single trials run anew, by hand; longer ones with the epochs of their file."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run, ViewType

from orchestrator.errors import InputError
from orchestrator.system import regular
from orchestrator.trackers import more, replacement
from orchestrator.trackers.errors import translates_errors
from orchestrator.trackers.held import held
from orchestrator.trackers.store import Store, record_of
from orchestrator.trials.longer import asked_key
from orchestrator.trials.record import Record
from orchestrator.workspace import Workspace

KEY = re.compile("[0-9a-f]{8,64}")  # of a trial


class Renewing(Store):
    """Has trials run anew while no launch holds their sweep; the next launch finds them, and runs them."""

    @translates_errors
    def again(self, sweep: str, records: Sequence[Record], workspace: Workspace) -> None:
        """Have trials run anew; one that somebody has asked more epochs for has then those of its file.

        Args:
            sweep: its name.
            records: the trials, which have ended.
            workspace: of the sweep, held by whoever calls this.

        Raises:
            AlreadyRunningError: a launch on another machine is running the sweep.
            InputError: the run of the file's trial, which a longer one goes on from, is gone for good.
        """
        experiment = self.experiment(sweep)
        if experiment is None or not records:
            return
        with held(self.client, self.uri, experiment.experiment_id) as client:
            again(client, experiment.experiment_id, self.parent(experiment), records, workspace.folder)


def again(
    client: MlflowClient,
    experiment: str,
    parent: Run | None,
    records: Sequence[Record],
    folder: Path,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Make new runs in place of these, as ones that were interrupted before they began.

    Args:
        client: of who holds the sweep.
        experiment: the id of its experiment.
        parent: its parent run.
        records: of the trials, which have ended.
        folder: with the folders of its trials: theirs go.
        tags: that the new runs get beside those of the trials.

    Raises:
        InputError: the run of the file's trial, which a longer one goes on from, is gone for good.
    """
    found = [(record, _of_file(client, experiment, record)) for record in records]
    requested = more.requests(parent.data.tags) if parent else {}
    taken_back = [own.trial_key for _, own in found if own.trial_key in requested]
    if parent is not None and taken_back:
        more.record(client, parent.info.run_id, 0, taken_back)
    for record, own in found:
        for key in filter(KEY.fullmatch, (record.trial_key, own.trial_key)):  # who may write may change tags
            regular.remove(folder / key)  # first: it is to begin again
        replacement.again(client, experiment, record, tags or {}, own)


def _of_file(client: MlflowClient, experiment: str, record: Record) -> Record:
    """The trial as the file asks for it, by the latest of its runs."""
    key = asked_key(record)
    if key == record.trial_key or not KEY.fullmatch(key):
        return record
    latest = ["attributes.start_time DESC"]
    runs = client.search_runs([experiment], f"tags.trial_key = '{key}'", ViewType.ALL, order_by=latest)
    if not runs:
        raise InputError(f"{record.label}: the run that it goes on from is gone for good, and with it what it was")
    return record_of(runs[0])
