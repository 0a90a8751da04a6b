"""The progress of a launch: what its trials have reported by now, with `status` as a snapshot."""

import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from orchestrator.events import Event, Finished, Heartbeat, Progress, Restarted, Started
from orchestrator.functions.declaration import UNDECLARED, Declaration
from orchestrator.places import Places
from orchestrator.progress.downsample import Downsampled
from orchestrator.progress.forecast import Forecast, Kind, epochs, kind
from orchestrator.progress.status import (
    LOSS,
    Best,
    Running,
    Status,
    best,
    completed,
    display_name,
    shown_metric,
    time_left,
)
from orchestrator.spec import Objective
from orchestrator.spec.objective import ObjectiveSoFar
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.record import Record

ENDS_OF_A_RATE, FEWEST_ENDS, WITHIN_SECONDS = 200, 20, 60.0  # of trials: of the latest ones, where they are many

Length = tuple[Kind, int | None]  # shared by trials that take equally long: their kind and number of epochs


@dataclass
class TrialProgress:
    """What a running trial has reported."""

    trial: Trial
    so_far: ObjectiveSoFar | None
    declaration: Declaration
    epoch: int = 0
    seconds: float = 0.0  # that it has trained for
    _since: float | None = None  # when it began to run, or reported its last epoch; None while it waits for a place
    _timed: tuple[float, int] = (0.0, 0)  # seconds of whole epochs, and their number
    _last_step: int = 0  # at the end of the last epoch
    _step: int = 0  # since then
    _steps: int | None = None  # of an epoch
    _metric: str = LOSS
    _last: float | None = None
    _values: Downsampled = field(default_factory=Downsampled)  # by step where it reports steps, else by epoch
    _reports_steps: bool = False
    _rate: float | None = None

    def heartbeat(self, heartbeat: Heartbeat) -> None:
        """Take in a step."""
        self._reports_steps = True
        step = heartbeat.step
        self._step = step - self._last_step if step > self._last_step else step
        self._add(heartbeat.loss)

    def take(self, event: Event) -> None:
        """Take in an event; an epoch that is reported again only adds metrics to it."""
        if isinstance(event, Started):
            self._since = time.monotonic()
        elif isinstance(event, Restarted):
            self.epoch = 0
        elif isinstance(event, Progress) and event.epoch > self.epoch:
            self._epoch_ended(event)
        elif isinstance(event, Progress) and event.epoch == self.epoch and self.so_far is not None:
            self.so_far.take(event.metrics.get(self.so_far.objective.name), event.epoch)
        elif isinstance(event, Finished):
            self.seconds += event.seconds

    def snapshot(self, forecast: Forecast) -> Running:
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
        seconds, count = self._timed
        self._timed = seconds + event.seconds, count + 1
        self.seconds += event.seconds
        self._since = time.monotonic()
        self._rate = event.metrics.get(self.declaration.rate)
        name = shown_metric(event.metrics, self.declaration, self.so_far.objective if self.so_far else None)
        if self._reports_steps:
            self._last = event.metrics[name] if name in self.declaration.losses else self._last
        elif name is not None:
            self._show(display_name(name, self.declaration), event.metrics[name])
        if self.so_far is not None:
            self.so_far.take(event.metrics.get(self.so_far.objective.name), event.epoch)

    def _show(self, metric: str, value: float | None) -> None:
        """Take in a value of an epoch; a curve is of one metric."""
        if metric != self._metric:
            self._metric, self._values = metric, Downsampled()
        self._add(value)

    def _add(self, value: float | None) -> None:
        if value is not None:
            self._last = value
            self._values.add(value)

    def _seconds_left(self, forecast: Forecast) -> float | None:
        pace, total = self.length
        since = 0.0 if self._since is None else time.monotonic() - self._since
        seconds, count = self._timed
        if not count:
            whole = forecast.seconds(pace, total)
            return None if whole is None else max(0.0, whole - since)
        an_epoch = seconds / count
        return None if total is None else max(0.0, an_epoch * (total - self.epoch) - min(since, an_epoch))


class LiveProgress:
    """Follows a launch, in memory that does not grow with the trials that have ended. Any thread may read it."""

    def __init__(self, name: str, objective: Objective | None, declaration: Declaration = UNDECLARED) -> None:
        self.name, self.objective, self.declaration = name, objective, declaration
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self.has_begun = False
        self.is_whole = False  # whether the store has no trials of the sweep beside those of the launch
        self._total: int | None = 0
        self._outcomes: Counter[Outcome] = Counter()
        self._again: dict[str, Outcome] = {}  # the last outcome of trials that will run again, by trial_key
        self._waiting: Counter[Length] = Counter()  # known trials that have not begun
        self._running: dict[str, TrialProgress] = {}  # by trial_key
        self._most_running = 1
        self._latest: Length | None = None
        self._best: Best | None = None
        self.latest: Best | None = None  # what completed last with a value
        self._ends: deque[float] = deque(maxlen=ENDS_OF_A_RATE)
        self._forecast = Forecast(declaration.pace)
        self._places: Places | None = None
        self._workers: int | None = None  # at once, once somebody has asked for so many

    def begin(self, total: int | None, trials: Iterable[Trial], history: Mapping[str, Record]) -> None:
        """A launch begins, or goes on with what was asked for meanwhile.

        Args:
            total: how many trials there are; None where they go on until the sweep is stopped.
            trials: those that are known by now.
            history: their records in the store.
        """
        with self._lock:
            self.has_begun, self._total = True, total
            self._forecast = Forecast(self.declaration.pace, history.values())
            for counts in (self._outcomes, self._again, self._waiting):
                counts.clear()
            known, others = [], {*history}
            for trial in trials:
                others.discard(trial.trial_key)
                record = history.get(trial.trial_key)
                if record is None or record.outcome is None or not record.outcome.is_result:
                    self._waiting[length(trial, self.declaration)] += 1
                if record is not None and record.outcome is not None:
                    known.append(record)
                    self._outcomes[record.outcome] += 1
                    if not record.outcome.is_result:
                        self._again[trial.trial_key] = record.outcome
            self._best = best(completed(known, self.objective)) if self.objective else None
            self.is_whole = not others

    def start(self, trial: Trial) -> None:
        """A trial is given to a worker."""
        with self._lock:
            if trial.trial_key in self._again:
                self._outcomes[self._again.pop(trial.trial_key)] -= 1
            self._latest = length(trial, self.declaration)
            self._waiting[self._latest] -= 1
            if self._waiting[self._latest] <= 0:  # below 0 where a search has just proposed it
                del self._waiting[self._latest]
            so_far = ObjectiveSoFar(self.objective) if self.objective else None
            self._running[trial.trial_key] = TrialProgress(trial, so_far, self.declaration)
            self._most_running = max(self._most_running, len(self._running))

    def renew(self, trial: Trial, was: Outcome) -> None:
        """A trial that had ended so is to run anew."""
        with self._lock:
            self._outcomes[was] -= 1
            self._outcomes[Outcome.INTERRUPTED] += 1
            self._again[trial.trial_key] = Outcome.INTERRUPTED
            self._waiting[length(trial, self.declaration)] += 1
            if self._best is not None and self._best.label == trial.label:  # the next best is not known here
                self._best = None

    def recall(self, trial: Trial, event: Event) -> None:
        """A trial that is resumed had reported this before."""
        with self._lock:
            self._running[trial.trial_key].take(event)

    def take(self, trial: Trial, event: Event) -> None:
        """A trial has reported an event."""
        with self._lock:
            running = self._running[trial.trial_key]
            before = running.epoch
            running.take(event)
            pace, total = running.length
            if isinstance(event, Progress) and event.epoch > before:
                self._forecast.learn(pace, event.seconds)
            elif isinstance(event, Finished):
                del self._running[trial.trial_key]
                self._ends.append(time.monotonic())
                self._outcomes[event.outcome] += 1
                if event.outcome.is_result:
                    self._forecast.ended(pace, total, running.seconds)
                if running.so_far is not None and event.outcome is Outcome.COMPLETED:
                    self._compare(trial, running.so_far, event)

    def _compare(self, trial: Trial, so_far: ObjectiveSoFar, end: Finished) -> None:
        value = so_far.value(end.metrics.get(so_far.objective.name))
        if value is not None:
            self.latest = Best(trial.label, trial.params, so_far.objective, value)
            if not end.broken:
                self._best = best(candidate for candidate in (self._best, self.latest) if candidate)

    def heartbeat(self, trial: Trial, heartbeat: Heartbeat) -> None:
        """A trial has made a step."""
        with self._lock:
            if trial.trial_key in self._running:
                self._running[trial.trial_key].heartbeat(heartbeat)

    def take_workers(self, workers: int) -> None:
        """Somebody has asked for so many trials at once; 0 pauses the sweep."""
        with self._lock:
            self._workers = workers

    def take_places(self, places: Places) -> None:
        """Places for trials have come or gone."""
        with self._lock:
            self._places = places

    def running(self, trial: Trial) -> Running:
        """How far a running trial is."""
        with self._lock:
            return self._running[trial.trial_key].snapshot(self._forecast)

    def status(self) -> Status:
        """A snapshot of this moment."""
        with self._lock:
            running = [trial.snapshot(self._forecast) for trial in self._running.values()]
            at_a_time = self._most_running if self._places is None else self._places.ready
            at_a_time = at_a_time if self._workers is None else min(self._workers, max(at_a_time, 1))
            left = time_left(running, self._seconds_of_waiting(), at_a_time) if at_a_time else None
            known = time.monotonic() - self._began, left, self._places, self._workers, self._rate
            return Status(self.name, self._total, dict(+self._outcomes), running, self._best, *known)

    @property
    def _rate(self) -> float | None:
        """The ends of trials in a second, where they are many."""
        latest = [end for end in self._ends if time.monotonic() - end < WITHIN_SECONDS]
        if len(latest) < FEWEST_ENDS or not self._running:
            return None
        seconds = time.monotonic() - latest[0]
        return len(latest) / seconds if seconds else None

    def _seconds_of_waiting(self) -> float | None:
        """Seconds of all trials that have yet to begin; unknown trials are taken to be like the latest."""
        if self._total is None:
            return None
        results = sum(count for outcome, count in self._outcomes.items() if outcome.is_result)
        waiting = Counter(self._waiting)
        if self._latest is not None:
            unknown = self._total - results - len(self._running) - waiting.total()
            waiting[self._latest] += max(0, unknown)
        forecasts = [(self._forecast.seconds(*length), count) for length, count in waiting.items() if count > 0]
        known = [seconds * count for seconds, count in forecasts if seconds is not None]
        return self._forecast.share * sum(known) if len(known) == len(forecasts) else None


def length(trial: Trial, declaration: Declaration) -> Length:
    """The length of a trial."""
    return kind(trial.function, trial.params, declaration.pace), epochs(trial.params)
