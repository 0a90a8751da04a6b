"""Reports the results of trials to their sampler."""

from collections.abc import Iterable

from orchestrator.errors import InputError
from orchestrator.events import Event, Listener
from orchestrator.samplers import Sampler
from orchestrator.spec import SweepSpec, nearest
from orchestrator.spec.source import Location
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

    def take(self, trial: Trial, event: Event) -> None:
        """Take in the end of a trial.

        Raises:
            InputError: it has completed without a value of each metric that the search uses.
        """
        if not (event.is_final and self.sampler.learns):
            return
        entries = journal.read(self.workspace.of(trial))
        reported = [*(entry.event for entry in entries if not entry.event.is_final), event]
        observation = Observation.of_events(self.spec.objectives, reported)
        self._check_metric(trial, observation, reported)
        self.sampler.tell(trial, observation)

    def _check_metric(self, trial: Trial, observation: Observation, events: Iterable[Event]) -> None:
        """A search whose trials do not report its metric would learn nothing."""
        if not self.spec.ranks:
            return
        if observation.outcome is Outcome.COMPLETED and observation.values is None:
            reported = {name: None for event in events for name in getattr(event, "metrics", ())}
            names = [objective.name for objective in self.spec.objectives]
            index, missing = next((i, name) for i, name in enumerate(names) if name not in reported)
            place: Location = ("metric", "name") if len(names) == 1 else ("metrics", index, "name")
            hint = nearest(missing, list(reported)) if reported else "it has reported no metric"
            message = f"{trial.label} has reported no {missing}; {hint}"
            raise InputError(self.spec.source.mistake(place, message))
