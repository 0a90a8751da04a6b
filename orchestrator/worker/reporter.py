"""Turns what a trial function reports into events; each is in the trial's journal before the trial continues."""

import math
import time
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

from orchestrator.divergence import DivergenceRule
from orchestrator.events import BY_STEP, Event, Finished, Points, Progress, Restarted, Started, Tagged, metric_name
from orchestrator.programs.program import ProgramFailedError
from orchestrator.system.printable import in_a_line
from orchestrator.trial import Outcome
from orchestrator.worker import journal
from orchestrator.worker.monitor import ExplodedError, Monitor

STEPS_KEPT = 1000

Series = Sequence[tuple[int, float, float]]
Yielded = Mapping[str, Any] | Points | Tagged | Restarted | Exception | None


class Reporter:
    """Reports an attempt at a trial.

    `end` is how the trial ends, as soon as that is known. It is reported once the function no longer uses the workdir.
    """

    def __init__(
        self, workdir: Path, rule: DivergenceRule, on_step: Callable[[int, float], None], maximized: Collection[str]
    ) -> None:
        self.workdir = workdir
        journal.repair(workdir)
        entries = journal.read(workdir)
        self.journaled = [entry.event for entry in entries]
        self.monitor = Monitor(rule, [entry.memory for entry in entries], on_step, maximized=maximized)
        self.epoch = 0
        self.end: Finished | None = None
        self.has_recorded_end = False
        self._since = time.monotonic()

    def watch(self, step: int, loss: float, grad_norm: float, **also: float) -> None:
        """The `watch` that a trial function is given: it ends a trial that explodes or has its end already."""
        if self.end is not None:
            raise ExplodedError("this trial has ended")
        self.monitor.step(step, loss, grad_norm, **also)

    def take(self, yielded: Yielded) -> list[Event]:
        """The events of an epoch: from its metrics, from what `watch` raised, or from None once the trial has ended."""
        if yielded is None or self.has_recorded_end:
            return []
        if isinstance(yielded, Exception):
            self.fail(yielded)
            return [self.record_end()]
        if self.end is not None:
            return []
        if isinstance(yielded, Points):
            return self._points(yielded)
        if isinstance(yielded, Tagged):
            return [self.record(yielded)]
        if isinstance(yielded, Restarted):
            return [self._restart(yielded)]
        try:
            return self._progress(yielded)
        except (Exception, SystemExit) as error:
            self.fail(error)
            return []

    def finish(self, result: Any) -> None:
        """Take what the function has returned, or what `watch` raised."""
        if isinstance(result, Exception):
            self.fail(result)
        if self.end is not None:
            return
        try:
            metrics, diagnosis = _final(result)
            self.monitor.run_ended(metrics)
            completed = Finished(Outcome.COMPLETED, _finite(metrics), diagnosis=diagnosis, margin=self.monitor.margin)
            self.end = self._explosion() or completed
        except (Exception, SystemExit) as error:
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """End with an exception, an explosion or a failure, and print its traceback."""
        print_traceback(error)
        self.end_with(error)

    def prune(self, reason: str) -> None:
        """End the trial here as pruned, unless it has its end already."""
        self.monitor.recall()
        margin = self.monitor.margin if self.monitor.epoch > 1 else None
        self.end = self.end or self._explosion() or Finished(Outcome.PRUNED, reason=reason, margin=margin)

    def recall_end(self) -> None:
        """Know the end of a trial that had exploded before this attempt, but did not come to report it."""
        if self.monitor.has_exploded_before:
            self.monitor.recall()
            self.end = self._explosion()

    def end_with(self, error: BaseException) -> None:
        """End with an exception that has been printed already."""
        is_ours = isinstance(error, ExplodedError)
        reason = "it raised the exception that only `watch` may raise" if is_ours else error_line(error)
        self.end = self.end or self._explosion() or Finished(Outcome.FAILED, reason=reason)

    def record(self, event: Event) -> Event:
        """Write an event to the journal, and return it; where that fails, the trial fails."""
        now = time.monotonic()
        if isinstance(event, (Progress, Finished)):
            event = replace(event, seconds=now - self._since)
        if not isinstance(event, Points | Tagged):  # which come within epochs
            self._since = now
        if not isinstance(event, Finished) or event.outcome.is_result:
            try:
                journal.write(self.workdir, event, self.monitor.state)
            except OSError as error:
                self.end = Finished(
                    Outcome.FAILED, reason=f"{self.workdir}: the journal cannot be written ({error.strerror})"
                )
                return self.end if event.is_final else event
        return event

    def record_end(self) -> Event:
        """Write the end to the journal, and return it."""
        self.has_recorded_end = True
        return self.record(self.end or Finished(Outcome.FAILED, reason="it ended without a result"))

    def _points(self, event: Points) -> list[Event]:
        """Follow the losses among values that came between epochs, and record them, thinned where there are many."""
        try:
            self.monitor.points(event.values)
        except ExplodedError:
            self.end = self._explosion()
        kept = {name: _thinned(series) if name.endswith(BY_STEP) else series for name, series in event.values.items()}
        kept = {name: [point for point in series if math.isfinite(point[1])] for name, series in kept.items()}
        return [self.record(Points(kept))] if any(kept.values()) else []

    def _restart(self, event: Restarted) -> Event:
        """Begin the journal again, with what is no part of the curve; the monitor knows nothing of before either."""
        kept = [entry for entry in journal.read(self.workdir) if isinstance(entry.event, Started | Tagged)]
        journal.restart(self.workdir)
        self.monitor.forget()
        for entry in kept:
            journal.write(self.workdir, entry.event, self.monitor.state)
        self.epoch = 0
        return self.record(event)

    def _progress(self, yielded: Mapping[str, Any]) -> list[Event]:
        metrics = _numbers(yielded)
        self.epoch = int(metrics.pop("epoch", self.epoch + 1))
        self.monitor.epoch_ended(self.epoch, metrics)
        self.end = self._explosion()
        finite = _finite(metrics)
        if self.end is not None and len(finite) < len(metrics):
            return []
        return [self.record(Progress(self.epoch, finite, time.time(), step=self.monitor.last_step))]

    def _explosion(self) -> Finished | None:
        # also where a function has caught what `watch` raised
        if self.monitor.explosion is None:
            return None
        return Finished(Outcome.EXPLODED, explosion=self.monitor.explosion, margin=self.monitor.margin)


def print_traceback(error: BaseException) -> None:
    """Print the traceback of an error. An explosion is not an error, and a program has printed its own."""
    if not isinstance(error, ExplodedError | ProgramFailedError):
        traceback.print_exception(error)


def is_of_person(error: BaseException) -> bool:
    """Whether an exception is a person's Ctrl-C; in a worker, which takes no notice of that, it is the code's own."""
    return isinstance(error, KeyboardInterrupt) and parent_process() is None


def error_line(error: BaseException) -> str:
    """The type and the message of an exception, in a line; of a program that has failed, the message alone."""
    message = in_a_line(str(error))
    if isinstance(error, ProgramFailedError):
        return message
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _final(result: Any) -> tuple[dict[str, float], str | None]:
    if result is None:
        return {}, None
    if not isinstance(result, Mapping):
        raise TypeError(f"the trial function returned {result!r}, not a mapping of metrics")
    diagnosis = result.get("diagnosis")
    metrics = _numbers({name: value for name, value in result.items() if name != "diagnosis"})
    return metrics, None if diagnosis is None else in_a_line(str(diagnosis))


def _finite(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    numbers = {}
    for given, value in metrics.items():
        name = metric_name(given)
        try:
            numbers[name] = float(value)
        except (TypeError, ValueError) as error:
            raise TypeError(f"the metric {name} is {value!r}, not a number") from error
    return numbers


def _thinned(series: Series) -> Series:
    """All of the first thousand steps, every second one up to two thousand, every fourth one up to four thousand."""
    return [point for point in series if point[0] % 2 ** (point[0] // STEPS_KEPT).bit_length() == 0]
