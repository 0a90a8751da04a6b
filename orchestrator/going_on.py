"""Trials of a launch that go on from others, because somebody has asked for more epochs."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from orchestrator.errors import InputError
from orchestrator.trackers import Tracker, retry
from orchestrator.trackers.checkpoints import leave, take_up
from orchestrator.trackers.more import CONTINUES
from orchestrator.trial import Trial
from orchestrator.trials.longer import Longer, from_start
from orchestrator.trials.record import Record
from orchestrator.worker.journal import JOURNAL_FILE
from orchestrator.workspace import Workspace


@dataclass(frozen=True)
class GoingOn:
    """Has each begin where the one before it has ended, or from the start where that cannot be."""

    longer: Longer
    tracker: Tracker
    workspace: Workspace
    log: Callable[[str], None]
    begun: Mapping[str, Record] = field(default_factory=dict)  # what the store has of the sweep, by trial_key

    def __post_init__(self) -> None:
        self.tracker.origins.before = self.longer.before

    def without(self, trials: Iterable[Trial]) -> list[Trial]:
        """The trials that are none of these."""
        return [trial for trial in trials if trial.trial_key not in self.longer.before]

    def take_up(self, trial: Trial) -> None:
        """Put the checkpoint that a trial goes on from into its folder, before it begins."""
        before = self.longer.before.get(trial.trial_key) or self._continued(trial)
        if before is None:
            return
        problem = from_start(self.longer.spec.function, before)
        if not problem:
            if retry(lambda: take_up(self.tracker.client, before, self.workspace.of(trial))):
                self.tracker.origins.continued.add(trial.trial_key)
                self.log(f"{trial.label} goes on from epoch {before.last_epoch}")
                return
            problem = "its checkpoint is gone"
        leave(self.workspace.of(trial))
        self.log(f"{trial.label} trains from the start: {problem}")

    def _continued(self, trial: Trial) -> Record | None:
        """From what a trial goes on that has begun to, where what it has trained since is not on this machine."""
        record = self.begun.get(trial.trial_key)
        run_id = record.tags.get(CONTINUES) if record else None
        if run_id is None or (self.workspace.of(trial) / JOURNAL_FILE).is_file():
            return None
        try:
            return retry(lambda: self.tracker.record(run_id))
        except InputError:
            self.log(f"{trial.label} trains from the start: the run that it goes on from is gone")
            return None
