"""Has single trials run anew, by hand, while no launch holds their sweep."""

import re
from collections.abc import Sequence

from mlflow.entities import ViewType

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
    """Makes runs in place of those of trials that are to run anew; the next launch finds them, and runs them."""

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
        found = [(record, self._of_file(experiment.experiment_id, record)) for record in records]
        with held(self.client, self.uri, experiment.experiment_id) as client:
            parent = self.parent(experiment)
            requested = more.requests(parent.data.tags) if parent else {}
            taken_back = [own.trial_key for _, own in found if own.trial_key in requested]
            if parent is not None and taken_back:
                more.record(client, parent.info.run_id, 0, taken_back)
            for record, own in found:
                for key in filter(KEY.fullmatch, (record.trial_key, own.trial_key)):  # who may write may change tags
                    regular.remove(workspace.folder / key)  # first: it is to begin again
                replacement.again(client, experiment.experiment_id, record, {}, own)

    def _of_file(self, experiment_id: str, record: Record) -> Record:
        """The trial as the file asks for it, by the latest of its runs."""
        key = asked_key(record)
        if key == record.trial_key or not KEY.fullmatch(key):
            return record
        latest = ["attributes.start_time DESC"]
        runs = self.client.search_runs([experiment_id], f"tags.trial_key = '{key}'", ViewType.ALL, order_by=latest)
        if not runs:
            raise InputError(f"{record.label}: the run that it goes on from is gone for good, and with it what it was")
        return record_of(runs[0])
