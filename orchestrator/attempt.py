"""An attempt at a trial, in this process: iterate its function, watch its losses, say what happens.

Knows nothing of MLflow or YAML, nor of the process it is in.
"""

import inspect
import math
import os
import re
import time
import traceback
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from orchestrator import journal, machine, trial_function
from orchestrator.divergence import DivergenceRule
from orchestrator.events import Event, Finished, Progress, Started
from orchestrator.printable import in_a_line
from orchestrator.trial import Outcome, Params
from orchestrator.watcher import ExplodedError, Watcher

METRIC_NAME = re.compile(r"[\w\-.:]([\w\-.: ]|/(?=[\w\-.: ])){0,249}")


@dataclass(frozen=True)
class Task:
    """A trial as a worker sees it."""

    function: str
    params: Params
    workdir: Path
    divergence: DivergenceRule
    threads: int | None = None  # None leaves the worker's
    kind: Literal["task"] = "task"


def run(task: Task, beat: Callable[[], None] = lambda: None) -> Generator[Event, None, None]:
    """Run a trial, or go on with it; yields Started, Progress for each epoch, and Finished, whatever happens.

    Args:
        task: the trial.
        beat: called at each step that the function tells of.
    """
    journal.mend(task.workdir)
    known = journal.read(task.workdir)
    if known and isinstance(known[-1].event, Finished):  # its process died before it could tell
        yield from (entry.event for entry in known)
        return
    watcher = Watcher(task.divergence, [entry.memory for entry in known], beat)
    with closing(_run(task, watcher)) as events_of_trial:
        since = time.monotonic()
        for event in events_of_trial:
            now = time.monotonic()
            if not isinstance(event, Started):
                event = replace(event, seconds=now - since)
            since = now
            if not isinstance(event, Finished) or event.outcome.is_result:
                try:
                    journal.write(task.workdir, event, watcher.memory)
                except OSError as error:
                    if not event.is_final:
                        yield event
                    yield Finished(Outcome.FAILED, reason=f"{task.workdir}: {error.strerror}")
                    return
            yield event


def _run(task: Task, watcher: Watcher) -> Generator[Event, None, None]:
    try:
        if task.threads is not None:
            machine.limit_threads(task.threads)
        function = trial_function.load(task.function)
        config = trial_function.find(task.function).config(task.params)
        offered = {"workdir": task.workdir, "watch": watcher.step}
        wanted = {k: v for k, v in offered.items() if k in inspect.signature(function).parameters}
        prepare = getattr(function, "prepare", None)
        yield Started(os.getpid(), machine.threads(), _dataset(prepare(config) if prepare else None))
        result = function(config, **wanted)
        if isinstance(result, Generator):
            with _closed(result):
                result = yield from _epochs(result, watcher)
        metrics, diagnosis = _final(result)
        watcher.run_ended(metrics)
        finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
        completed = Finished(Outcome.COMPLETED, finite, diagnosis=diagnosis, margin=watcher.margin)
        yield _exploded(watcher) or completed
    except ExplodedError:
        yield _exploded(watcher) or Finished(Outcome.FAILED, reason="it raised what only `watch` may raise")
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        yield _exploded(watcher) or Finished(Outcome.FAILED, reason=_said(error))


def prepare(function: str, configs: Sequence[Params]) -> str | None:
    """Let the function have its data at hand; returns what is wrong with them, or None."""
    try:
        config_of = trial_function.find(function).config
        check: Callable[[Any], Any] | None = getattr(trial_function.load(function), "prepare", None)
        for params in configs if check else ():
            check(config_of(params))  # type: ignore[misc]
    except (OSError, ValueError) as error:
        return str(error) or type(error).__name__
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        return f"{function} cannot be used: {_said(error)}"
    return None


def _epochs(generator: Generator[Mapping[str, Any], None, Any], watcher: Watcher) -> Generator[Event, None, Any]:
    epoch = 0
    while True:
        try:
            yielded = next(generator)
        except StopIteration as stop:
            return stop.value
        metrics = _numbers(yielded)
        epoch = int(metrics.pop("epoch", epoch + 1))
        watcher.epoch_ended(epoch, metrics)
        finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
        if len(finite) == len(metrics) or watcher.explosion is None:
            yield Progress(epoch, finite, time.time())
        if watcher.explosion is not None:
            return None


def _exploded(watcher: Watcher) -> Finished | None:
    # also where a function kept to itself what `watch` raised
    if watcher.explosion is None:
        return None
    return Finished(Outcome.EXPLODED, explosion=watcher.explosion, margin=watcher.margin)


def _final(result: Any) -> tuple[dict[str, float], str | None]:
    if result is None:
        return {}, None
    if not isinstance(result, Mapping):
        raise TypeError(f"the trial function returned {result!r}, not a mapping of metrics")
    diagnosis = result.get("diagnosis")
    metrics = _numbers({name: value for name, value in result.items() if name != "diagnosis"})
    return metrics, None if diagnosis is None else in_a_line(str(diagnosis))


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    numbers = {}
    for name, value in metrics.items():
        if not (isinstance(name, str) and METRIC_NAME.fullmatch(name)):
            raise ValueError(f"{name!r} is no metric name for MLflow: up to 250 letters, digits, _ - . : / and spaces")
        try:
            numbers[name] = float(value)
        except (TypeError, ValueError) as error:
            raise TypeError(f"the metric {name} is {value!r}, not a number") from error
    return numbers


def _dataset(told: Any) -> dict[str, str | int] | None:
    if not isinstance(told, Mapping):
        return None
    return {str(name): value if isinstance(value, int) else str(value) for name, value in told.items()}


@contextmanager
def _closed(generator: Generator[Any, None, Any]) -> Iterator[None]:
    """As contextlib.closing, but what a function raises while it is closed ends nothing but itself."""
    try:
        yield
    finally:
        try:
            generator.close()
        except Exception:
            traceback.print_exc()


def _said(error: BaseException) -> str:
    message = in_a_line(str(error))
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
