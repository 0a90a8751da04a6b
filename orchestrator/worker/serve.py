"""A worker process: takes tasks from its orchestrator, sends events, and does not outlive it."""

import faulthandler
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from orchestrator import events, functions
from orchestrator.events import Event, Finished, Heartbeat, Progress
from orchestrator.functions import Modules
from orchestrator.system import machine
from orchestrator.system.paths import LOG_FILE
from orchestrator.trial import Outcome, Params
from orchestrator.worker import output, runner
from orchestrator.worker.runner import Task
from orchestrator.worker.spawn import end_with_parent

SECONDS_BETWEEN_HEARTBEATS = 1.0


@dataclass(frozen=True)
class Prepare:
    """The configurations for which data must be at hand before the first trial starts."""

    function: str
    configs: Sequence[Params]
    kind: Literal["prepare"] = "prepare"


@dataclass(frozen=True)
class Stack:
    """Trials to run together, as `runner.run_stack` takes them."""

    tasks: Sequence[Task]
    width: int
    stops: Mapping[int, str] = field(default_factory=dict)  # trials that are to end before they begin
    awaits_verdicts: bool = False  # whether they wait after each epoch for a Decision
    kind: Literal["stack"] = "stack"


@dataclass(frozen=True)
class Decision:
    """The answer to an epoch: why the trial that reported it is to end there, or that it is to go on."""

    row: int
    stop: str | None
    kind: Literal["verdict"] = "verdict"


@dataclass(frozen=True)
class Stop:
    """End the running trials after their current epoch."""

    kind: Literal["stop"] = "stop"


Message = Stack | Prepare | Decision | Stop
messages: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="kind")])


def serve(
    connection: Connection, function: str, modules: Modules | None, threads: int, gpus: str | None, log: Path
) -> None:
    """Live as a worker process: take tasks from the connection and send events, until it is closed."""
    end_with_parent()
    _log_to(log)
    faulthandler.enable()
    machine.keep_freed_memory()
    machine.limit_threads(threads)
    if gpus is not None:
        os.environ[machine.GPU_VARIABLE] = gpus
    if modules is not None:
        modules.use()
    with suppress(Exception, SystemExit):  # import early, since it takes seconds; `prepare` reports an error
        functions.load(function)
    try:
        while True:
            match messages.validate_json(connection.recv_bytes()):
                case Prepare() as request:
                    connection.send_bytes((runner.prepare(request.function, request.configs) or "").encode())
                case Stack() as stack:
                    _log_to(*(task.workdir / LOG_FILE for task in stack.tasks))
                    for row, event in _until_stopped(stack, connection):
                        connection.send_bytes(events.encode(row, event))
                case Stop() | Decision():  # came too late: the trials had ended
                    pass
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _until_stopped(stack: Stack, connection: Connection) -> Iterator[tuple[int, Event]]:
    running, stops = {*range(len(stack.tasks))}, {**stack.stops}
    with closing(runner.run_stack(stack.tasks, stack.width, _Heartbeats(connection).on_step, stops)) as rounds:
        for events_of_all in rounds:
            if any(event.is_final for _, event in events_of_all):
                output.flush()
            yield from events_of_all
            running -= {row for row, event in events_of_all if event.is_final}
            awaited = sum(stack.awaits_verdicts and isinstance(event, Progress) for _, event in events_of_all)
            while running and (awaited or connection.poll()):
                match messages.validate_json(connection.recv_bytes()):
                    case Decision(row, reason):
                        awaited -= 1
                        stops |= {} if reason is None else {row: reason}
                    case Stop():
                        rounds.close()
                        yield from ((row, Finished(Outcome.INTERRUPTED)) for row in running)
                        return


def _log_to(path: Path, *links: Path) -> None:
    """Redirect the output of this process to a file, to which the other paths become links."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as log:
        for link in links:
            if not (link.exists() and link.samefile(path)):
                log.write(link.read_bytes() if link.exists() else b"")
                link.unlink(missing_ok=True)
                with suppress(OSError):  # a file system without links: then only the first trial keeps a log
                    link.hardlink_to(path)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(log.fileno(), stream.fileno())
            # the last words of a dying process count
            stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]


class _Heartbeats:
    """Sends the step of each trial to the orchestrator, about once a second."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._last: dict[int, float] = {}  # by the trial's place

    def on_step(self, row: int, step: int, loss: float) -> None:
        now = time.monotonic()
        if now - self._last.get(row, -math.inf) >= SECONDS_BETWEEN_HEARTBEATS:
            self._last[row] = now
            self._connection.send_bytes(events.encode(row, Heartbeat(step, loss)))
