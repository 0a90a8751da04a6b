"""Has single trials run anew, by hand, while no launch holds their sweep."""

import re

from orchestrator.system import regular
from orchestrator.trackers import replacement
from orchestrator.trackers.errors import translates_errors
from orchestrator.trackers.lease import check_free
from orchestrator.trackers.store import Store
from orchestrator.trials.record import Record
from orchestrator.workspace import Workspace

KEY = re.compile("[0-9a-f]{8,64}")  # of a trial


class Renewing(Store):
    """Makes runs in place of those of trials that are to run anew; the next launch finds them, and runs them."""

    @translates_errors
    def again(self, sweep: str, record: Record, workspace: Workspace) -> None:
        """Have a trial run anew.

        Args:
            sweep: its name.
            record: the trial, which has ended.
            workspace: of the sweep, held by whoever calls this.

        Raises:
            AlreadyRunningError: a launch on another machine is running the sweep.
        """
        experiment = self.experiment(sweep)
        if experiment is None:
            return
        check_free(self.client, self.uri, experiment.experiment_id)
        if KEY.fullmatch(record.trial_key):  # whoever may write into the store can change a tag
            regular.remove(workspace.folder / record.trial_key)  # first: it is to begin again
        replacement.again(self.client, experiment.experiment_id, record, {})
