"""What a program sees while a sweep runs: a document for each event."""

from collections.abc import Iterable, Mapping

from orchestrator import events
from orchestrator.documents import events as documents
from orchestrator.events import Event
from orchestrator.places import Places
from orchestrator.progress.live import LiveProgress
from orchestrator.spec import SweepSpec
from orchestrator.terminal.display import Display
from orchestrator.terminal.json_output import emit
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.record import Record


class JsonDisplay(Display):
    """Prints a line of JSON for what happens, as it happens."""

    @classmethod
    def of(cls, spec: SweepSpec) -> "JsonDisplay":
        """The display of a sweep's launch."""
        return cls(LiveProgress(spec.name, next(iter(spec.objectives), None), spec.function.declaration))

    @property
    def _sweep(self) -> str:
        return self.progress.name

    def log(self, message: str) -> None:
        emit(documents.MessageEvent(sweep=self._sweep, text=message))

    def warn(self, message: str) -> None:
        emit(documents.WarningEvent(sweep=self._sweep, text=message))

    def begin(self, total: int | None, trials: Iterable[Trial], history: Mapping[str, Record]) -> None:
        super().begin(total, trials, history)
        emit(documents.BegunEvent(sweep=self._sweep, trials=total, results=self.progress.status().results))

    def renew(self, trial: Trial, was: Outcome) -> None:
        super().renew(trial, was)
        emit(documents.TrialRenewedEvent.of(self._sweep, trial, was))

    def take(self, trial: Trial, event: Event) -> None:
        super().take(trial, event)
        match event:
            case events.Started():
                emit(documents.TrialStartedEvent.of(self._sweep, trial, event))
            case events.Progress():
                emit(documents.TrialEpochEvent.of(self._sweep, trial, event))
            case events.Finished():
                emit(documents.TrialEndedEvent.of(self._sweep, trial, event))

    def take_workers(self, workers: int) -> None:
        super().take_workers(workers)
        emit(documents.WorkersEvent(sweep=self._sweep, workers=workers))

    def take_places(self, places: Places) -> None:
        super().take_places(places)
        emit(documents.PlacesEvent.of(self._sweep, places))
