"""The child's side: run a trial function, watch its losses, say what happens. Knows nothing of MLflow or YAML."""

import ctypes
import faulthandler
import inspect
import math
import os
import re
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from orchestrator import events, journal, trial_function
from orchestrator.divergence import DivergenceRule
from orchestrator.events import Event, Finished, Progress, Started
from orchestrator.machine import keep_freed_memory
from orchestrator.paths import LOG_FILE
from orchestrator.printable import in_a_line
from orchestrator.trial import Outcome, Params
from orchestrator.watcher import ExplodedError, Watcher

METRIC_NAME = re.compile(r"[\w\-.:]([\w\-.: ]|/(?=[\w\-.: ])){0,249}")
BEAT = b""  # a message that says no more than that the trial makes steps
SECONDS_BETWEEN_BEATS = 1.0
PR_SET_PDEATHSIG = 1
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Task:
    """A trial as a worker sees it."""

    function: str
    params: Params
    workdir: Path
    divergence: DivergenceRule
    threads: int | None = None  # None leaves the worker's
    kind: Literal["task"] = "task"


@dataclass(frozen=True)
class Prepare:
    """The configurations for which data must be at hand before the first trial starts."""

    function: str
    configs: Sequence[Params]
    kind: Literal["prepare"] = "prepare"


@dataclass(frozen=True)
class Stop:
    """End the running trial after its current epoch."""

    kind: Literal["stop"] = "stop"


Message = Task | Prepare | Stop
messages: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="kind")])


def run(task: Task, beat: Callable[[], None] = lambda: None) -> Generator[Event, None, None]:
    """Run a trial, or go on with it; yields Started, Progress for each epoch, and Finished, whatever happens.

    Args:
        task: the trial.
        beat: called at each step that the function tells of.
    """
    journal.mend(task.workdir)
    known = journal.read(task.workdir)
    if known and isinstance(known[-1].event, Finished):  # its process died before it could tell
        yield known[-1].event
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
                    yield Finished(Outcome.FAILED, reason=f"{task.workdir}: {error.strerror}")
                    return
            yield event


def _run(task: Task, watcher: Watcher) -> Generator[Event, None, None]:
    try:
        if task.threads is not None:
            limit_threads(task.threads)
        function = trial_function.load(task.function)
        config = trial_function.find(task.function).config(task.params)
        offered = {"workdir": task.workdir, "watch": watcher.step}
        wanted = {k: v for k, v in offered.items() if k in inspect.signature(function).parameters}
        prepare = getattr(function, "prepare", None)
        yield Started(os.getpid(), _threads(), _dataset(prepare(config) if prepare else None))
        result = function(config, **wanted)
        if isinstance(result, Generator):
            with _closed(result):
                result = yield from _epochs(result, watcher)
        metrics, diagnosis = _final(result)
        watcher.run_ended(metrics)
        finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
        yield _exploded(watcher) or Finished(Outcome.COMPLETED, finite, diagnosis=diagnosis)
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
        return str(error)
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        return f"{function} cannot be used: {_said(error)}"
    return None


def limit_threads(threads: int) -> None:
    """Give numerical libraries this many threads; before torch is imported, or after."""
    for name in THREAD_VARIABLES:
        os.environ[name] = str(threads)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(threads)


def serve(connection: Connection, function: str, threads: int, gpu: str | None, log: Path) -> None:
    """Live as a worker process: take tasks from the connection and send events, until it is closed."""
    os.setsid()  # Ctrl-C in the terminal is for the orchestrator; and trials' own children can be killed with us
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    _ask_to_die_with_parent()
    threading.Thread(target=_die_with_parent, daemon=True).start()
    _log_to(log)
    faulthandler.enable()
    keep_freed_memory()
    limit_threads(threads)
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    with suppress(Exception, SystemExit):  # import early what takes seconds; `prepare` meets an error again, and tells
        trial_function.load(function)
    try:
        while True:
            match messages.validate_json(connection.recv_bytes()):
                case Prepare() as request:
                    connection.send_bytes((prepare(request.function, request.configs) or "").encode())
                case Task() as task:
                    _log_to(task.workdir / LOG_FILE)
                    for event in _until_stopped(run(task, _Heart(connection).beat), connection):
                        connection.send_bytes(events.encode(event))
                case Stop():  # came too late: the trial had ended
                    pass
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


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
    return Finished(Outcome.EXPLODED, explosion=watcher.explosion) if watcher.explosion else None


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


def _threads() -> int:
    return int(os.environ.get(THREAD_VARIABLES[0]) or os.cpu_count() or 1)


def _until_stopped(trial: Generator[Event, None, None], connection: Connection) -> Iterator[Event]:
    with closing(trial):
        for event in trial:
            yield event
            if not event.is_final and connection.poll() and messages.validate_json(connection.recv_bytes()) == Stop():
                trial.close()
                yield Finished(Outcome.INTERRUPTED)
                return


def _log_to(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as log:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(log.fileno(), stream.fileno())
            # the last words of a dying process count
            stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]


class _Heart:
    """Tells the orchestrator about once a second that the trial makes steps."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._last = -math.inf

    def beat(self) -> None:
        now = time.monotonic()
        if now - self._last >= SECONDS_BETWEEN_BEATS:
            self._last = now
            self._connection.send_bytes(BEAT)


def _ask_to_die_with_parent() -> None:
    """Have Linux kill this process when its parent ends, also while a trial holds the interpreter's lock."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _die_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.killpg(0, signal.SIGKILL)
