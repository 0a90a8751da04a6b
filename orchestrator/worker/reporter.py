"""What a trial function tells of a trial, made into events; each stands in the trial's journal before it goes on."""

import math
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.divergence import DivergenceRule
from orchestrator.events import METRIC_NAME, Event, Finished, Progress
from orchestrator.system.printable import in_a_line
from orchestrator.trial import Outcome
from orchestrator.worker import journal
from orchestrator.worker.monitor import ExplodedError, Monitor

Yielded = Mapping[str, Any] | Exception | None


class Reporter:
    """The account of one attempt at a trial.

    `end` is how the trial ends, as soon as that is known. It is told when the function has let go of the workdir.
    """

    def __init__(self, workdir: Path, rule: DivergenceRule, beat: Callable[[int, float], None]) -> None:
        self.workdir = workdir
        journal.mend(workdir)
        known = journal.read(workdir)
        self.known = [entry.event for entry in known]
        self.watcher = Monitor(rule, [entry.memory for entry in known], beat)
        self.epoch = 0
        self.end: Finished | None = None
        self.has_told_end = False
        self._since = time.monotonic()

    def watch(self, step: int, loss: float, grad_norm: float, **also: float) -> None:
        """The `watch` that a trial function is given: it ends what explodes, and what has its end already."""
        if self.end is not None:
            raise ExplodedError("this trial has ended")
        self.watcher.step(step, loss, grad_norm, **also)

    def take(self, told: Yielded) -> list[Event]:
        """What comes of an epoch: of its metrics, of what `watch` raised, or of None once the trial is at its end."""
        if told is None or self.has_told_end:
            return []
        if isinstance(told, Exception):
            self.fail(told)
            return [self.tell_end()]
        if self.end is not None:
            return []
        try:
            return self._progress(told)
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
            self.watcher.run_ended(metrics)
            completed = Finished(Outcome.COMPLETED, _finite(metrics), diagnosis=diagnosis, margin=self.watcher.margin)
            self.end = self._explosion() or completed
        except (Exception, SystemExit) as error:
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Take what was raised, an explosion or what the trial fails of, and print where that was."""
        show(error)
        self.end_with(error)

    def prune(self, reason: str) -> None:
        """Let it end here, unless it has come to an end by itself."""
        self.watcher.recall()
        margin = self.watcher.margin if self.watcher.epoch > 1 else None
        self.end = self.end or self._explosion() or Finished(Outcome.PRUNED, reason=reason, margin=margin)

    def end_with(self, error: BaseException) -> None:
        """Take what was raised and has been printed."""
        is_ours = isinstance(error, ExplodedError)
        reason = "it raised what only `watch` may raise" if is_ours else said(error)
        self.end = self.end or self._explosion() or Finished(Outcome.FAILED, reason=reason)

    def tell(self, event: Event) -> Event:
        """The event, once it stands in the journal; where that cannot be written, the trial fails."""
        now = time.monotonic()
        if isinstance(event, (Progress, Finished)):
            event = replace(event, seconds=now - self._since)
        self._since = now
        if not isinstance(event, Finished) or event.outcome.is_result:
            try:
                journal.write(self.workdir, event, self.watcher.memory)
            except OSError as error:
                self.end = Finished(Outcome.FAILED, reason=f"{self.workdir}: {error.strerror}")
                return self.end if event.is_final else event
        return event

    def tell_end(self) -> Event:
        """The end that is known by now."""
        self.has_told_end = True
        return self.tell(self.end or Finished(Outcome.FAILED, reason="it came to no end"))

    def _progress(self, yielded: Mapping[str, Any]) -> list[Event]:
        metrics = _numbers(yielded)
        self.epoch = int(metrics.pop("epoch", self.epoch + 1))
        self.watcher.epoch_ended(self.epoch, metrics)
        self.end = self._explosion()
        finite = _finite(metrics)
        if self.end is not None and len(finite) < len(metrics):
            return []
        return [self.tell(Progress(self.epoch, finite, time.time(), step=self.watcher.last_step))]

    def _explosion(self) -> Finished | None:
        # also where a function kept to itself what `watch` raised
        if self.watcher.explosion is None:
            return None
        return Finished(Outcome.EXPLODED, explosion=self.watcher.explosion, margin=self.watcher.margin)


def show(error: BaseException) -> None:
    """Print where an error was raised, unless that is no error: the end of a trial that explodes."""
    if not isinstance(error, ExplodedError):
        traceback.print_exception(error)


def said(error: BaseException) -> str:
    """What was raised, in a line."""
    message = in_a_line(str(error))
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
    for name, value in metrics.items():
        if not (isinstance(name, str) and METRIC_NAME.fullmatch(name)):
            raise ValueError(f"{name!r} is no metric name for MLflow: up to 250 letters, numbers, _ - . : / and spaces")
        try:
            numbers[name] = float(value)
        except (TypeError, ValueError) as error:
            raise TypeError(f"the metric {name} is {value!r}, not a number") from error
    return numbers
