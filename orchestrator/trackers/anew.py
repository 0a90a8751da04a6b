"""Has single trials run anew, by hand, while no launch holds their sweep."""

import re

from mlflow.entities import ViewType

from orchestrator.errors import InputError
from orchestrator.system import regular
from orchestrator.trackers import more, replacement
from orchestrator.trackers.errors import translates_errors
from orchestrator.trackers.lease import check_free
from orchestrator.trackers.store import Store, record_of
from orchestrator.trials.longer import asked_key
from orchestrator.trials.record import Record
from orchestrator.workspace import Workspace

KEY = re.compile("[0-9a-f]{8,64}")  # of a trial


class Renewing(Store):
    """Makes runs in place of those of trials that are to run anew; the next launch finds them, and runs them."""

    @translates_errors
    def again(self, sweep: str, record: Record, workspace: Workspace) -> None:
        """Have a trial run anew; one that somebody has asked more epochs for has then those of its file.

        Args:
            sweep: its name.
            record: the trial, which has ended.
            workspace: of the sweep, held by whoever calls this.

        Raises:
            AlreadyRunningError: a launch on another machine is running the sweep.
            InputError: the run of the file's trial, which a longer one goes on from, is gone for good.
        """
        experiment = self.experiment(sweep)
        if experiment is None:
            return
        check_free(self.client, self.uri, experiment.experiment_id)
        own = self._of_file(experiment.experiment_id, record)
        if own.trial_key in more.requests_of(self, sweep):
            more.ask(self, sweep, 0, [own.trial_key])
        for key in filter(KEY.fullmatch, (record.trial_key, own.trial_key)):  # who may write into the store may tags
            regular.remove(workspace.folder / key)  # first: it is to begin again
        replacement.again(self.client, experiment.experiment_id, record, {}, own)

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
