"""Has single trials run anew, by hand, while no launch holds their sweep."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mlflow import MlflowClient

from orchestrator.system import regular
from orchestrator.system.paths import sqlite_path
from orchestrator.trackers import replacement
from orchestrator.trackers.errors import translates_errors
from orchestrator.trackers.fence import fenced
from orchestrator.trackers.lease import Lease
from orchestrator.trackers.store import Store
from orchestrator.trials.record import Record
from orchestrator.workspace import Workspace

KEY = re.compile("[0-9a-f]{8,64}")  # of a trial


class Renewing(Store):
    """Makes runs in place of those of trials that are to run anew; the next launch finds them, and runs them."""

    @translates_errors
    def again(self, sweep: str, records: Sequence[Record], workspace: Workspace) -> None:
        """Have trials run anew.

        Args:
            sweep: its name.
            records: the trials, which have ended.
            workspace: of the sweep, held by whoever calls this.

        Raises:
            AlreadyRunningError: a launch on another machine is running the sweep.
        """
        experiment = self.experiment(sweep)
        if experiment is None or not records:
            return
        with self._held(experiment.experiment_id) as client:
            for record in records:
                if KEY.fullmatch(record.trial_key):  # whoever may write into the store can change a tag
                    regular.remove(workspace.folder / record.trial_key)  # first: it is to begin again
                replacement.again(client, experiment.experiment_id, record, {})

    @contextmanager
    def _held(self, experiment_id: str) -> Iterator[MlflowClient]:
        """A client while no launch on another machine can begin; that of this machine has the lock of its folder."""
        if sqlite_path(self.uri) is not None:
            yield self.client
            return
        lease = Lease(self.client, experiment_id)
        lease.take()
        try:
            yield fenced(self.client, lease.check)
        finally:
            lease.release()
