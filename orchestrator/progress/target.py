"""Whether a trial has reached the target of the sweep's metric."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from orchestrator.events import Event, Finished, Listener, Progress
from orchestrator.progress.status import Best, best, completed
from orchestrator.spec import Objective
from orchestrator.spec.objective import ObjectiveSoFar
from orchestrator.system.figures import compared
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.record import Record


@dataclass
class Target(Listener):
    """The trial that has reached the target, if there is one; then no further trial begins.

    A trial counts once it has completed, and while it runs from the epoch in which it reaches the target.
    """

    objective: Objective | None
    _best: Best | None = None  # of the trials that completed
    _running: dict[str, ObjectiveSoFar] = field(default_factory=dict)  # by trial_key

    @classmethod
    def of(cls, objectives: Sequence[Objective]) -> "Target":
        """The target of a sweep's metric, if it has one."""
        return cls(next((objective for objective in objectives if objective.target is not None), None))

    def begin(self, records: Iterable[Record]) -> None:
        """Take in the trials of earlier launches."""
        if self.objective is not None:
            self._best = best(completed(records, self.objective))

    @property
    def is_reached(self) -> bool:
        """Whether no further trial is wanted."""
        if self._best is not None and self._best.has_reached_target:
            return True
        return any(so_far.objective.is_reached(so_far.best) for so_far in self._running.values())

    @property
    def remark(self) -> str:
        """Which trial has reached it, in a line; empty where none has completed that has."""
        if self._best is None or not self._best.has_reached_target:
            return ""
        name, target = self._best.objective.name, self._best.objective.target
        value, aim = compared(self._best.value, self._best.value if target is None else target)
        return f"the target of {name} is reached: {value} by {self._best.label} (target {aim})"

    def start(self, trial: Trial) -> None:
        """A trial is given to a worker."""
        if self.objective is not None:
            self._running[trial.trial_key] = ObjectiveSoFar(self.objective)

    def recall(self, trial: Trial, event: Event) -> None:
        """A trial that is resumed had reported this before."""
        self.take(trial, event)

    def take(self, trial: Trial, event: Event) -> None:
        """Take in the value of an epoch, or of the end."""
        if self.objective is None:
            return
        if isinstance(event, Progress):
            self._running[trial.trial_key].take(event.metrics.get(self.objective.name), event.epoch)
        elif isinstance(event, Finished):
            value = self._running.pop(trial.trial_key).value(event.metrics.get(self.objective.name))
            if event.outcome is Outcome.COMPLETED and value is not None and not event.broken:
                ended = Best(trial.label, trial.params, self.objective, value)
                self._best = ended if ended.is_better_than(self._best) else self._best
