"""The course of a launch: what its trials have told by now, of which `status` is the picture."""

import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from orchestrator.events import Event, Finished, Heartbeat, Progress, Started
from orchestrator.functions.declaration import UNDECLARED, Declaration
from orchestrator.progress.downsample import Downsampled
from orchestrator.progress.forecast import Forecast, Kind, epochs, kind
from orchestrator.progress.status import LOSS, Best, Running, Status, best, bests, called, shown, time_left
from orchestrator.spec import Objective
from orchestrator.spec.objective import ObjectiveSoFar
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.record import Record

Length = tuple[Kind, int | None]  # what trials share that take equally long: their kind, and how many epochs they have


@dataclass
class TrialProgress:
    """What a trial has told that runs."""

    trial: Trial
    so_far: ObjectiveSoFar | None  # of the objective
    declaration: Declaration
    epoch: int = 0
    seconds: float = 0.0  # that it has trained for
    _since: float = field(default_factory=lambda: time.monotonic())  # when it began, or told its last epoch
    _told: tuple[float, int] = (0.0, 0)  # seconds of whole epochs, and how many these are
    _last_step: int = 0  # at the end of the last epoch
    _step: int = 0  # since then
    _steps: int | None = None  # of an epoch
    _metric: str = LOSS
    _last: float | None = None
    _values: Downsampled = field(default_factory=Downsampled)  # of steps where it reports them, else of epochs
    _tells_steps: bool = False
    _rate: float | None = None

    def beat(self, beat: Heartbeat) -> None:
        """Take in a step."""
        self._tells_steps = True
        self._step = beat.step - self._last_step if beat.step > self._last_step else beat.step
        self._note(beat.loss)

    def take(self, event: Event) -> None:
        """Take in an event; an epoch that is told again is passed over."""
        if isinstance(event, Started):
            self._since = time.monotonic()
        elif isinstance(event, Progress) and event.epoch > self.epoch:
            self._epoch_ended(event)
        elif isinstance(event, Finished):
            self.seconds += event.seconds

    def picture(self, forecast: Forecast) -> Running:
        """How far it is."""
        _, total = self.length
        return Running(
            self.trial.label,
            self.epoch,
            total,
            self._step,
            self._steps,
            self._last,
            self._values.values,
            self._rate,
            self._seconds_left(forecast),
            self._metric,
        )

    @property
    def length(self) -> Length:
        return length(self.trial, self.declaration)

    def _epoch_ended(self, event: Progress) -> None:
        if event.step > self._last_step:
            self._steps = (event.step - self._last_step) // (event.epoch - self.epoch)
        self.epoch, self._last_step, self._step = event.epoch, event.step, 0
        seconds, count = self._told
        self._told = seconds + event.seconds, count + 1
        self.seconds += event.seconds
        self._since = time.monotonic()
        self._rate = event.metrics.get(self.declaration.rate)
        name = shown(event.metrics, self.declaration, self.so_far.objective if self.so_far else None)
        if self._tells_steps:
            self._last = event.metrics[name] if name in self.declaration.losses else None
        elif name is not None:
            self._metric = called(name, self.declaration)
            self._note(event.metrics[name])
        if self.so_far is not None:
            self.so_far.take(event.metrics.get(self.so_far.objective.name), event.epoch)

    def _note(self, value: float | None) -> None:
        if value is not None:
            self._last = value
            self._values.add(value)

    def _seconds_left(self, forecast: Forecast) -> float | None:
        pace, total = self.length
        since = time.monotonic() - self._since
        seconds, count = self._told
        if not count:
            whole = forecast.seconds(pace, total)
            return None if whole is None else max(0.0, whole - since)
        an_epoch = seconds / count
        return None if total is None else max(0.0, an_epoch * (total - self.epoch) - min(since, an_epoch))


class LiveProgress:
    """Keeps what a launch is told, in memory that does not grow with what has ended. Any thread may look at it."""

    def __init__(self, name: str, objective: Objective | None, declaration: Declaration = UNDECLARED) -> None:
        self.name, self.objective, self.declaration = name, objective, declaration
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self.has_begun = False
        self._total = 0
        self._outcomes: Counter[Outcome] = Counter()
        self._again: dict[str, Outcome] = {}  # how those ended that will run again, by trial_key
        self._waiting: Counter[Length] = Counter()  # known trials that have not begun
        self._running: dict[str, TrialProgress] = {}  # by trial_key
        self._most_running = 1
        self._latest: Length | None = None
        self._best: Best | None = None
        self._forecast = Forecast(declaration.pace)

    def begin(self, total: int, trials: Iterable[Trial], history: Mapping[str, Record]) -> None:
        """A launch of so many trials begins; these of them are known, and of some the store has a record."""
        with self._lock:
            self.has_begun, self._total = True, total
            self._forecast = Forecast(self.declaration.pace, history.values())
            known = []
            for trial in trials:
                record = history.get(trial.trial_key)
                if record is None or record.outcome is None or not record.outcome.is_result:
                    self._waiting[length(trial, self.declaration)] += 1
                if record is not None and record.outcome is not None:
                    known.append(record)
                    self._outcomes[record.outcome] += 1
                    if not record.outcome.is_result:
                        self._again[trial.trial_key] = record.outcome
            self._best = best(bests(known, self.objective)) if self.objective else None

    def start(self, trial: Trial) -> None:
        """A trial is given to a worker."""
        with self._lock:
            if trial.trial_key in self._again:
                self._outcomes[self._again.pop(trial.trial_key)] -= 1
            self._latest = length(trial, self.declaration)
            self._waiting[self._latest] -= 1
            if self._waiting[self._latest] <= 0:  # below 0 where a search has only now proposed it
                del self._waiting[self._latest]
            so_far = ObjectiveSoFar(self.objective) if self.objective else None
            self._running[trial.trial_key] = TrialProgress(trial, so_far, self.declaration)
            self._most_running = max(self._most_running, len(self._running))

    def recall(self, trial: Trial, event: Event) -> None:
        """A trial that is taken up again had told this before."""
        with self._lock:
            self._running[trial.trial_key].take(event)

    def take(self, trial: Trial, event: Event) -> None:
        """A trial has told something."""
        with self._lock:
            running = self._running[trial.trial_key]
            running.take(event)
            pace, total = running.length
            if isinstance(event, Progress):
                self._forecast.learn(pace, event.seconds)
            elif isinstance(event, Finished):
                del self._running[trial.trial_key]
                self._outcomes[event.outcome] += 1
                if event.outcome.is_result:
                    self._forecast.ended(pace, total, running.seconds)
                if running.so_far is not None and event.outcome is Outcome.COMPLETED:
                    self._compare(trial, running.so_far, event)

    def _compare(self, trial: Trial, so_far: ObjectiveSoFar, end: Finished) -> None:
        value = so_far.value(end.metrics.get(so_far.objective.name))
        if value is not None:
            ended = Best(trial.label, trial.params, so_far.objective, value)
            self._best = best(one for one in (self._best, ended) if one)

    def beat(self, trial: Trial, beat: Heartbeat) -> None:
        """A trial has made a step."""
        with self._lock:
            if trial.trial_key in self._running:
                self._running[trial.trial_key].beat(beat)

    def running(self, trial: Trial) -> Running:
        """How far a trial is that runs."""
        with self._lock:
            return self._running[trial.trial_key].picture(self._forecast)

    def status(self) -> Status:
        """The picture of this moment."""
        with self._lock:
            running = [one.picture(self._forecast) for one in self._running.values()]
            left = time_left(running, self._seconds_of_the_others(), self._most_running)
            since = time.monotonic() - self._began
            return Status(self.name, self._total, dict(+self._outcomes), running, self._best, since, left)

    def _seconds_of_the_others(self) -> float | None:
        """What all trials take that have yet to begin, as far as these are known or like the latest."""
        results = sum(count for outcome, count in self._outcomes.items() if outcome.is_result)
        waiting = Counter(self._waiting)
        if self._latest is not None:
            unknown = self._total - results - len(self._running) - waiting.total()
            waiting[self._latest] += max(0, unknown)
        seconds = [(self._forecast.seconds(*one), count) for one, count in waiting.items() if count > 0]
        known = [one * count for one, count in seconds if one is not None]
        return self._forecast.share * sum(known) if len(known) == len(seconds) else None


def length(trial: Trial, declaration: Declaration) -> Length:
    """The length of a trial."""
    return kind(trial.function, trial.params, declaration.pace), epochs(trial.params)
