"""Trials of a launch that go on from others, because somebody has asked for more epochs."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from orchestrator.trackers import Tracker, retry
from orchestrator.trackers.checkpoints import leave, take_up
from orchestrator.trial import Trial
from orchestrator.trials.longer import Longer, from_start
from orchestrator.workspace import Workspace


@dataclass(frozen=True)
class GoingOn:
    """Has each begin where the one before it has ended, or from the start where that cannot be."""

    longer: Longer
    tracker: Tracker
    workspace: Workspace
    log: Callable[[str], None]

    def __post_init__(self) -> None:
        self.tracker.origins.before = self.longer.before

    def without(self, trials: Iterable[Trial]) -> list[Trial]:
        """The trials that are none of these."""
        return [trial for trial in trials if trial.trial_key not in self.longer.before]

    def take_up(self, trial: Trial) -> None:
        """Put the checkpoint that a trial goes on from into its folder, before it begins."""
        before = self.longer.before.get(trial.trial_key)
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
