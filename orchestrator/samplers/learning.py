"""Reports the results of trials to their sampler."""

from orchestrator.events import Event, Listener
from orchestrator.samplers import Sampler
from orchestrator.spec import SweepSpec
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.observation import Observation
from orchestrator.worker import journal
from orchestrator.workspace import Workspace


class Learning(Listener):
    """Makes an observation of each trial that ends, for a sampler that learns, from the trial's journal."""

    def __init__(self, spec: SweepSpec, sampler: Sampler, workspace: Workspace) -> None:
        self.spec = spec
        self.sampler = sampler
        self.workspace = workspace

    def renew(self, trial: Trial, was: Outcome) -> None:
        """A trial that had ended is to run anew."""
        self.sampler.again(trial)

    def take(self, trial: Trial, event: Event) -> None:
        """Take in the end of a trial."""
        if not (event.is_final and self.sampler.learns):
            return
        entries = journal.read(self.workspace.of(trial))
        reported = [*(entry.event for entry in entries if not entry.event.is_final), event]
        self.sampler.tell(trial, Observation.of_events(self.spec.objectives, reported, self.spec.constraints))
