"""A worker process: takes tasks from its orchestrator, sends events, and does not outlive it."""

import faulthandler
import math
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Annotated, Literal

from pydantic import Field, TypeAdapter

from orchestrator import events
from orchestrator.events import Event, Finished, Heartbeat, Progress
from orchestrator.functions import Modules
from orchestrator.system import descendants, machine, regular
from orchestrator.system.paths import LOG_FILE
from orchestrator.system.regular import opened
from orchestrator.trial import Outcome, Params
from orchestrator.worker import forking, output, runner, supervision
from orchestrator.worker.runner import Task
from orchestrator.worker.spawn import die_with_parent, leave_terminal

SECONDS_BETWEEN_HEARTBEATS = 1.0
CLOSED = (EOFError, BrokenPipeError, ConnectionResetError)  # the orchestrator has no more to say, or is dead


@dataclass(frozen=True)
class Prepare:
    """The configurations for which data must be at hand before the first trial starts."""

    function: str
    configs: Sequence[Params]
    kind: Literal["prepare"] = "prepare"


@dataclass(frozen=True)
class Prepared:
    """The answer to it: what is wrong with the data, and what there is to say about how trials will run, or None."""

    problem: str | None
    remark: str | None


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
    """The answer to an epoch: why the trial that reported it is to end there, or that it is to go on.

    Of a trial that awaits none, it may come at any time, and ends it after its epoch.
    """

    row: int
    stop: str | None
    kind: Literal["verdict"] = "verdict"


@dataclass(frozen=True)
class Stop:
    """End the running trials after their current epoch."""

    kind: Literal["stop"] = "stop"


Message = Stack | Prepare | Decision | Stop
messages: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="kind")])
answers: TypeAdapter[Prepared] = TypeAdapter(Prepared)


@dataclass(frozen=True)
class Surroundings:
    """What a process has to know before it can run trials."""

    function: str  # by name
    modules: Modules | None
    threads: int
    gpus: str | None  # as CUDA names them; None leaves what is visible
    log: Path  # of what it prints outside trials

    def enter(self) -> None:
        """Set up a process that has just been spawned."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            _print_to(log)
        faulthandler.enable()
        multiprocessing.set_start_method(None, force=True)  # for trials it is what it is anywhere
        machine.keep_freed_memory()
        machine.limit_threads(self.threads)
        machine.wait_passively()
        if self.gpus is not None:
            os.environ[machine.GPU_VARIABLE] = self.gpus
        if self.modules is not None:
            self.modules.use()


def serve(connection: Connection, surroundings: Surroundings, warm: bool) -> None:
    """Live as a worker process: take tasks from the connection and send events, until it is closed.

    Args:
        connection: to the orchestrator.
        surroundings: of the trials.
        warm: whether trials run in one process, one after the other; else each has a process of its own, which knows
            nothing of those before it.
    """
    descendants.adopt_orphans()
    leave_terminal()
    if warm:
        die_with_parent(asked=False)  # it sees its parent's end itself, and first ends what is below it
        linux, other = multiprocessing.get_context("fork"), multiprocessing.get_context("spawn")
        supervision.work_in_child(linux if sys.platform == "linux" else other, _take_all, connection, surroundings)
    else:
        surroundings.enter()
        _supervise(connection, surroundings)


def _take_all(connection: Connection, surroundings: Surroundings) -> None:
    descendants.adopt_orphans()
    surroundings.enter()
    runner.load(surroundings.function)
    with suppress(*CLOSED):
        while True:
            _take(connection, messages.validate_json(connection.recv_bytes()))


def _supervise(connection: Connection, surroundings: Surroundings) -> None:
    """Have each task done by a child: a fork of this process, which has imported the function and runs nothing."""
    with forking.Imports() as imports:
        runner.load(surroundings.function)
        events.encode(0, Heartbeat(0, None))  # builds what each fork would have to build
    obstacle = imports.obstacle
    die_with_parent(asked=False)  # as above, from here on: the imports may have held the interpreter's lock
    fork, spawn = multiprocessing.get_context("fork"), multiprocessing.get_context("spawn")
    with suppress(*CLOSED):
        while True:
            message = messages.validate_json(connection.recv_bytes())
            if isinstance(message, Stop | Decision):  # came too late: the trials had ended
                continue
            if obstacle is None:
                supervision.work_in_child(fork, _take_in_fork, connection, message, imports)
            else:
                supervision.work_in_child(spawn, _take_anew, connection, message, surroundings, obstacle)


def _take_in_fork(connection: Connection, message: Message, imports: forking.Imports) -> None:
    imports.renew()
    with suppress(*CLOSED):
        _take(connection, message)


def _take_anew(connection: Connection, message: Message, surroundings: Surroundings, obstacle: str) -> None:
    surroundings.enter()
    with suppress(*CLOSED):
        _take(connection, message, f"each trial imports {surroundings.function} anew, since {obstacle}")


def _take(connection: Connection, message: Message, remark: str | None = None) -> None:
    """Do what a message asks for, and send what comes of it."""
    match message:
        case Prepare() as request:
            answer = Prepared(runner.prepare(request.function, request.configs), remark)
            connection.send_bytes(answers.dump_json(answer))
        case Stack() as stack:
            _log_to(*(task.workdir / LOG_FILE for task in stack.tasks))
            for row, event in _until_stopped(stack, connection):
                connection.send_bytes(events.encode(row, event))
        case Stop() | Decision():  # came too late: the trials had ended
            pass


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
                        awaited = max(0, awaited - 1)  # where none is awaited, somebody has stopped the trial
                        stops |= {} if reason is None else {row: reason}
                    case Stop():
                        rounds.close()
                        yield from ((row, Finished(Outcome.INTERRUPTED)) for row in running)
                        return


def _log_to(path: Path, *links: Path) -> None:
    """Redirect the output of this process to the log of a trial, to which those of others become links."""
    path.parent.mkdir(parents=True, exist_ok=True)
    regular.clear(path)
    with opened(path, "ab") as log:
        for link in links:
            regular.clear(link)
            if not (link.exists() and link.samefile(path)):
                log.write(link.read_bytes() if link.exists() else b"")
                link.unlink(missing_ok=True)
                with suppress(OSError):  # a file system without links: then only the first trial keeps a log
                    link.hardlink_to(path)
        _print_to(log)


def _print_to(log: IO[bytes]) -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(log.fileno(), stream.fileno())
        # the last words of a dying process count
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]


class _Heartbeats:
    """Sends the step of each trial to the orchestrator, about once a second."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._pid = os.getpid()
        self._last: dict[int, float] = {}  # by the trial's place

    def on_step(self, row: int, step: int, loss: float) -> None:
        now = time.monotonic()
        if os.getpid() != self._pid:  # a fork of the trial's own
            return
        if now - self._last.get(row, -math.inf) >= SECONDS_BETWEEN_HEARTBEATS:
            self._last[row] = now
            self._connection.send_bytes(events.encode(row, Heartbeat(step, loss)))
