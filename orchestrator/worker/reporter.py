"""Turns what a trial function reports into events; each is in the trial's journal before the trial continues."""

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.divergence import DivergenceRule
from orchestrator.events import BY_STEP, Event, Finished, Points, Progress, Restarted, Started, Tagged
from orchestrator.system.printable import in_a_line
from orchestrator.trial import Outcome
from orchestrator.worker import journal
from orchestrator.worker.curve import EpochValues, YieldedCurve, is_kept, numbers
from orchestrator.worker.endings import ended_by, print_traceback
from orchestrator.worker.monitor import ExplodedError, Monitor

Values = Mapping[str, Sequence[tuple[int, float, float]]]  # as those of Points
Yielded = Mapping[str, Any] | Points | Tagged | Restarted | Exception | None


class Reporter:
    """Reports an attempt at a trial.

    `end` is how the trial ends, as soon as that is known. It is reported once the function no longer uses the workdir.
    """

    def __init__(
        self,
        workdir: Path,
        rule: DivergenceRule,
        on_step: Callable[[int, float], None],
        maximized: Collection[str],
        *,
        is_program: bool = False,
    ) -> None:
        self.workdir = workdir
        journal.repair(workdir)
        entries = journal.read(workdir)
        self.journaled = [entry.event for entry in entries]
        self.monitor = Monitor(rule, [entry.memory for entry in entries], on_step, maximized=maximized)
        self.curve = None if is_program else YieldedCurve(self.journaled)  # a program's epochs are put together already
        self.end: Finished | None = None
        self.has_recorded_end = False
        self._last = 0  # the last epoch that this attempt has reported
        self._is_watched = False  # whether the function calls `watch`
        self._since = time.monotonic()

    def watch(self, step: int, loss: float, grad_norm: float, *, restart: bool = False, **also: float) -> None:
        """The `watch` that a trial function is given: it ends a trial that explodes or has its end already."""
        if self.end is not None:
            raise ExplodedError("this trial has ended")
        self._is_watched = True
        self.monitor.step(step, loss, grad_norm, restart=restart, **also)

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
            return self._points(yielded.values, _thinned(yielded.values))
        if isinstance(yielded, Tagged):
            return [self.record(yielded)]
        if isinstance(yielded, Restarted):
            return [self._restart(yielded)]
        try:
            return self._values(yielded)
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
            self.end = self._explosion() or Finished(
                Outcome.COMPLETED,
                _finite(metrics),
                diagnosis=diagnosis,
                margin=self.monitor.margin,
                not_finite=_not_finite(metrics),
            )
        except (Exception, SystemExit) as error:
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """End with an exception, and print its traceback."""
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
        ended = ended_by(error)
        if ended.outcome is Outcome.FAILED and not ended.is_loss:
            self.monitor.raised()
        self.end = self.end or self._explosion() or ended

    def record(self, event: Event) -> Event:
        """Write an event to the journal, and return it; where that fails, the trial fails."""
        now = time.monotonic()
        is_within = isinstance(event, Points | Tagged)
        if isinstance(event, Progress):  # an epoch may get a metric later
            is_within, self._last = event.epoch <= self._last, max(event.epoch, self._last)
        if isinstance(event, (Progress, Finished)):
            event = replace(event, seconds=0.0 if is_within else now - self._since)
        if not is_within:
            self._since = now
        if not isinstance(event, Finished) or (event.outcome.is_result and not (event.is_loss or event.may_fit_alone)):
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

    def _values(self, yielded: Mapping[str, Any]) -> list[Event]:
        if self.curve is None:
            return self._progress(int(yielded["epoch"]), numbers({k: v for k, v in yielded.items() if k != "epoch"}))
        tags, placed = self.curve.tags, self.curve.place(yielded)
        tagged = [self.record(Tagged(self.curve.tags))] if self.curve.tags != tags else []
        if isinstance(placed, EpochValues):
            return [*tagged, *self._progress(placed.epoch, placed.metrics)]
        now = time.time()
        values = {f"{name}{BY_STEP}": [(step, value, now)] for name, (step, value) in placed.metrics.items()}
        kept = {f"{name}{BY_STEP}" for name in placed.kept}
        return [*tagged, *self._points(values, {name: values[name] for name in values if name in kept})]

    def _points(self, values: Values, kept: Values) -> list[Event]:
        """Follow the losses among values that came between epochs, and record those that are to be kept."""
        try:
            if not self._is_watched:  # else its losses are followed at each step already
                self.monitor.points(values)
        except ExplodedError:
            self.end = self._explosion()
        finite = {name: [point for point in series if math.isfinite(point[1])] for name, series in kept.items()}
        return [self.record(Points(finite))] if any(finite.values()) else []

    def _restart(self, event: Restarted) -> Event:
        """Begin the journal again, with what is no part of the curve; the monitor knows nothing of before either."""
        kept = [entry for entry in journal.read(self.workdir) if isinstance(entry.event, Started | Tagged)]
        journal.restart(self.workdir)
        self.monitor.forget()
        for entry in kept:
            journal.write(self.workdir, entry.event, self.monitor.state)
        self._last = 0
        return self.record(event)

    def _progress(self, epoch: int, metrics: Mapping[str, float]) -> list[Event]:
        self.monitor.epoch_ended(epoch, metrics)
        self.end = self._explosion()
        finite = _finite(metrics)
        if self.end is not None and len(finite) < len(metrics):
            return []
        ended = Progress(epoch, finite, time.time(), step=self.monitor.last_step, not_finite=_not_finite(metrics))
        return [self.record(ended)]

    def _explosion(self) -> Finished | None:
        # also where a function has caught what `watch` raised
        if self.monitor.explosion is None:
            return None
        return Finished(Outcome.EXPLODED, explosion=self.monitor.explosion, margin=self.monitor.margin)


def _final(result: Any) -> tuple[dict[str, float], str | None]:
    if result is None:
        return {}, None
    if not isinstance(result, Mapping):
        raise TypeError(f"the trial function returned {result!r}, not a mapping of metrics")
    diagnosis = result.get("diagnosis")
    metrics = numbers({name: value for name, value in result.items() if name != "diagnosis"})
    return metrics, None if diagnosis is None else in_a_line(str(diagnosis))


def _finite(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def _not_finite(metrics: Mapping[str, float]) -> list[str]:
    return [name for name, value in metrics.items() if not math.isfinite(value)]


def _thinned(values: Values) -> Values:
    """Those of a program's values that are kept; what comes by step has its count as its step."""
    return {
        name: [point for point in series if is_kept(point[0])] if name.endswith(BY_STEP) else series
        for name, series in values.items()
    }
