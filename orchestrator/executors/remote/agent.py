"""An agent: it has a worker on a node, for an orchestrator on another machine.

It passes messages on, samples what trials take, says of what its worker has died, and carries the folders of trials
where the orchestrator does not see the same ones. It ends with whoever has started it, and its worker with it.
"""

import argparse
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

from pydantic import ValidationError

from orchestrator import events
from orchestrator.events import Event, Heartbeat, Progress
from orchestrator.executors.deaths import Deaths
from orchestrator.executors.local import WorkerProcess
from orchestrator.executors.remote import scratch
from orchestrator.executors.remote.carrying import Receiving, Sending, lacking
from orchestrator.executors.remote.greeting import Address, RefusedError, dial
from orchestrator.executors.remote.link import Link
from orchestrator.executors.remote.messages import (
    Begin,
    Commit,
    Died,
    Leave,
    Letter,
    Message,
    Piece,
    Ready,
    Renew,
    Say,
    Settings,
    TrialFolder,
    Wanted,
)
from orchestrator.executors.resources import ResourceSampler
from orchestrator.system import regular
from orchestrator.system.paths import LOG_FILE
from orchestrator.system.printable import in_a_line
from orchestrator.trial import Trial
from orchestrator.worker import serve
from orchestrator.worker.runner import Task

SECONDS_BETWEEN_LOOKS = 0.5  # at folders
SECONDS_OF_SILENCE = 20.0  # after which a connection counts as cut
SECONDS_BETWEEN_CALLS = 1.0
SECONDS_ALONE = 900.0  # without an orchestrator; then it is over


class _Superseded(BaseException):
    """The attempt that is being served is over."""


class Agent:
    """Serves one orchestrator, until it is told to leave, or is not wanted any more.

    Args:
        address: of the orchestrator.
        name: by which it knows this agent.
        code: the folder into which the code of the trials was carried; None where it is found as it is there.
        machine: what distinguishes this node from others.
    """

    def __init__(self, address: Address, name: str, code: Path | None, machine: str) -> None:
        self._address = address
        self._name = name
        self._code = code
        self._machine = machine
        self._link = Link()
        self._called = 0.0
        self._base = scratch.made()
        self._settings: Settings | None = None
        self._worker: WorkerProcess | None = None
        self._sampler = ResourceSampler()
        self._deaths = Deaths(self._sampler)
        self._token = 0
        self._stack: serve.Stack | None = None  # that has begun, or waits for its files
        self._awaited = 0  # folders whose files have not all come
        self._places: list[Path] = []  # of the folders here
        self._sendings: dict[int, Sending] = {}
        self._receivings: dict[int, Receiving] = {}
        self._trials: dict[int, Trial] = {}
        self._changes: Iterator[Letter] | None = None
        self._looked = 0.0

    def run(self) -> None:
        """Serve until the end."""
        try:
            while self._serve():
                pass
        except RefusedError:
            pass
        finally:
            if self._worker:
                self._worker.kill()
            scratch.remove(self._base)

    def _serve(self) -> bool:
        """One round; returns whether another follows."""
        worker, link = self._worker, self._link
        ends: list[Connection | int] = []
        if worker and link.has_room:
            ends = [worker.connection, worker.process.sentinel]
        is_sending = self._changes is not None and link.has_room
        self._wait(ends, 0.0 if link.has_message or is_sending else self._patience)
        try:
            if _is_orphan() or not self._obey():
                return False
            if self._worker and link.has_room:
                self._report()
                self._carry()
        except _Superseded:
            self._changes = None
        return True

    @property
    def _patience(self) -> float:
        return SECONDS_BETWEEN_LOOKS if self._trials else 2.0

    def _wait(self, ends: Sequence[Connection | int], seconds: float) -> None:
        """Wait for something to do, and move what goes over the link."""
        self._connect()
        connection = self._link.connection
        own = [] if connection is None else [connection.fileno()]
        writing = own if self._link.wants_to_write else []
        seconds = seconds if own else min(seconds, SECONDS_BETWEEN_CALLS)
        select.select([*own, sys.stdin.fileno(), *ends], writing, [], seconds)
        self._link.pump()

    def _connect(self) -> None:
        now = time.monotonic()
        if self._link.connection is not None and now - self._link.heard > SECONDS_OF_SILENCE:
            self._link.detach()
        if self._link.connection is not None or now - self._called < SECONDS_BETWEEN_CALLS:
            return
        if now - self._link.heard > SECONDS_ALONE:
            raise RefusedError("nobody answers any more")
        self._called = now
        with suppress(OSError, ValueError, KeyError):
            dial(self._address, self._name, self._link)

    # Down

    def _obey(self) -> bool:
        """Do what the orchestrator has asked for; returns False where that is to end."""
        while (sent := self._link.receive()) is not None:
            letter = Letter.decode(sent)
            match letter.message:
                case Settings() as settings:
                    self._settings = settings
                    for name, value in settings.environment.items():
                        os.environ.setdefault(name, value)
                    self._renew()
                    self._send(Letter(Ready(self._machine)))
                case Renew(token):
                    self._token = token
                    self._renew()
                case Begin() as begin:
                    self._prepare(begin, letter.body)
                case Piece() as piece if piece.token == self._token:
                    self._receivings[piece.row].take(piece, letter.body)
                case Commit() as commit if commit.token == self._token:
                    self._receivings[commit.row].commit(commit)
                    self._awaited -= 1
                    self._begin()
                case Say(token) if token == self._token and self._worker:
                    with suppress(OSError):
                        self._worker.connection.send_bytes(letter.body)
                case Leave():
                    return False
                case _:
                    pass
        return True

    def _renew(self) -> None:
        """Have another worker, of which nothing runs."""
        settings = self._settings
        if settings is None:
            return
        if self._worker:
            self._worker.kill()
        self._forget()
        around = settings.around
        if around.modules is not None:
            folders = tuple(str(self._carried(folder)) for folder in around.modules.folders)
            around = replace(around, modules=replace(around.modules, folders=folders))
        around = replace(around, log=self._base / LOG_FILE)
        self._worker = WorkerProcess.started(around, "sweep-worker", warm=settings.warm)

    def _forget(self) -> None:
        self._stack, self._awaited, self._changes = None, 0, None
        for trial in self._trials.values():
            self._sampler.forget(trial)
        self._trials, self._sendings, self._receivings = {}, {}, {}

    def _prepare(self, begin: Begin, stack: bytes) -> None:
        """Have the folders of trials, or ask for what they lack."""
        self._forget()
        message = serve.messages.validate_json(stack)
        if begin.token < self._token or not isinstance(message, serve.Stack):
            return
        self._token, self._stack = begin.token, message
        self._places, wanted = [], []
        for row, folder in enumerate(begin.folders):
            place = self._place(folder)
            self._places.append(place)
            if str(place) != folder.path:
                place.mkdir(parents=True, exist_ok=True)
                self._receivings[row] = Receiving(place)
                lacks = lacking(place, folder.files)
                wanted += [(row, path) for path in lacks]
                self._awaited += bool(lacks)
        if wanted:
            self._send(Letter(Wanted(self._token, wanted)))
        self._begin()

    def _place(self, folder: TrialFolder) -> Path:
        """Where a trial's folder is on this node: the same one where both machines see it."""
        with suppress(OSError):
            if Path(folder.marker).read_text() == folder.nonce:
                return Path(folder.path)
        return self._base / "trials" / Path(folder.path).name

    def _begin(self) -> None:
        if self._awaited or self._stack is None or self._worker is None:
            return
        tasks = [self._here(task, place) for task, place in zip(self._stack.tasks, self._places, strict=True)]
        for row, task in enumerate(tasks):
            self._trials[row] = Trial(task.function, row, task.params, "")
            if row in self._receivings:
                self._sendings[row] = Sending(self._token, row, task.workdir, self._base / "aside")
        self._deaths.begin()
        with suppress(OSError):
            self._worker.connection.send_bytes(serve.messages.dump_json(replace(self._stack, tasks=tasks)))

    def _here(self, task: Task, place: Path) -> Task:
        """A task as this node sees it."""
        program = task.program
        if program is not None:
            program = replace(program, folder=self._carried(str(program.folder)))
        return replace(task, workdir=place, program=program)

    def _carried(self, folder: str) -> Path:
        """Where a folder of code is on this node."""
        inside = self._settings.code.get(folder) if self._settings else None
        return Path(folder) if inside is None or self._code is None else self._code / inside

    # Up

    def _report(self) -> None:
        """Pass on what the worker has sent, each event behind what belongs to it; and its end."""
        worker = self._worker
        assert worker is not None  # noqa: S101 - as its caller has seen
        is_dead = not worker.process.is_alive()  # before the pipe is read
        while self._link.has_room:
            try:
                message = worker.connection.recv_bytes() if worker.connection.poll() else None
            except (EOFError, OSError):
                message, is_dead = None, True
            if message is None:
                break
            self._pass_on(message)
        else:
            return
        for trial, sampled in self._sampler.samples():
            row = next(row for row, known in self._trials.items() if known is trial)
            self._say(events.encode(row, sampled))
        if is_dead:
            loss = self._deaths.cause(worker.process, self._trials.values())
            self._send_all()
            said = "" if self._trials else self._last_words
            self._send(Letter(Died(self._token, loss.reason + said, loss.is_for_memory)))
            self._forget()
            worker.kill()
            self._worker = None

    def _pass_on(self, message: bytes) -> None:
        try:
            row, event = events.decode(message) if self._trials else (0, None)
        except ValidationError:  # the orchestrator sees so, too
            row, event = 0, None
        trial = self._trials.get(row)
        if event is not None and not isinstance(event, Heartbeat) and trial is not None:
            self._sampler.observe(trial, event)
            self._send_what_belongs_to(row, event)
        self._say(message)
        if event is not None and not isinstance(event, Heartbeat) and event.is_final:
            self._trials.pop(row, None)
            self._sendings.pop(row, None)
            if not self._trials:
                self._stack = None

    def _send_what_belongs_to(self, row: int, event: Event) -> None:
        sending = self._sendings.get(row)
        if sending is None:
            return
        if event.is_final:
            self._send_all(row)
            return
        if isinstance(event, Progress):
            for letter in sending.pictures():
                self._send(letter)
        for letter in sending.tails():
            self._send(letter)

    def _send_all(self, row: int | None = None) -> None:
        """All that a trial has left, or each of them."""
        for letter in self._changes or ():
            self._send(letter)
        self._changes = None
        for other, sending in self._sendings.items():
            if row in (None, other):
                program = self._stack.tasks[other].program if self._stack else None
                for letter in sending.changes(is_end=True):
                    self._send(letter)
                for letter in sending.tails([LOG_FILE] if program else []):
                    self._send(letter)

    def _carry(self) -> None:
        """Send what has changed in the folders, as far as there is room, behind what trials report."""
        if self._changes is None and time.monotonic() - self._looked >= SECONDS_BETWEEN_LOOKS:
            self._looked = time.monotonic()
            self._changes = (letter for sending in [*self._sendings.values()] for letter in _news(sending))
        if self._changes is not None and self._link.has_room:
            letter = next(self._changes, None)
            if letter is None:
                self._changes = None
            else:
                self._send(letter)

    @property
    def _last_words(self) -> str:
        """What a worker printed last, outside trials."""
        lines = regular.content(self._base / LOG_FILE).decode(errors="replace").strip().splitlines()
        return f" ({in_a_line(lines[-1])})" if lines else ""

    def _say(self, message: bytes) -> None:
        self._send(Letter(Say(self._token), message))

    def _send(self, letter: Letter) -> None:
        """Send a letter, once there is room for it.

        Raises:
            _Superseded: the orchestrator has something to say first: the attempt may be over.
        """
        while not self._link.has_room:
            self._wait([], SECONDS_BETWEEN_CALLS)
            if _is_orphan():
                raise RefusedError("whoever has started this has ended")
            if self._link.has_message and self._is_superseded():
                raise _Superseded
        self._link.send(letter.encode())

    def _is_superseded(self) -> bool:
        return any(isinstance(message, Renew | Leave) for message in self._heard())

    def _heard(self) -> Iterator[Message]:
        return (Letter.decode(sent).message for sent in self._link.waiting())


def _news(sending: Sending) -> Iterator[Letter]:
    yield from sending.tails()
    if sending.has_changed:
        yield from sending.changes(is_end=False)


def _is_orphan() -> bool:
    """Whether whoever has started this process, and holds the other end of its input, has ended."""
    ready, _, _ = select.select([sys.stdin], [], [], 0)
    return bool(ready) and not os.read(sys.stdin.fileno(), 4096)


def main() -> None:
    """Serve the orchestrator whose address comes in a line, as JSON; and end with the input."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", required=True)
    parser.add_argument("--code", type=Path)
    parser.add_argument("--machine", default=socket.gethostname())
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    address = Address(**json.loads(os.read(sys.stdin.fileno(), 65536)))
    Agent(address, options.name, options.code, options.machine).run()


if __name__ == "__main__":
    main()
