"""An agent: it has a worker on a node, for an orchestrator on another machine.

It passes messages on, samples what trials take, says of what its worker has died, and carries the folders of trials
where the orchestrator does not see the same ones. It ends with whoever has started it, and its worker with it.
"""

import argparse
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

from pydantic import ValidationError

from orchestrator import events
from orchestrator.events import Heartbeat
from orchestrator.executors.deaths import Deaths
from orchestrator.executors.local import WorkerProcess
from orchestrator.executors.remote import scratch
from orchestrator.executors.remote.calling import CalledLink, SupersededError, is_orphan
from orchestrator.executors.remote.folders import NodeFolders
from orchestrator.executors.remote.greeting import Address, RefusedError, UnreachableError
from orchestrator.executors.remote.messages import (
    Begin,
    Commit,
    Died,
    FilesWanted,
    Leave,
    Letter,
    Piece,
    Ready,
    Renew,
    Renewed,
    Say,
    WorkerSettings,
)
from orchestrator.executors.resources import ResourceSampler
from orchestrator.system import descendants, regular
from orchestrator.system.paths import LOG_FILE
from orchestrator.system.printable import in_a_line
from orchestrator.trial import Trial
from orchestrator.worker import serve
from orchestrator.worker.runner import Task

SECONDS_BETWEEN_LOOKS = 0.5  # at folders


class Agent:
    """Serves one orchestrator, until it is told to leave, or is not wanted any more.

    Args:
        address: of the orchestrator.
        name: by which it knows this agent.
        code: the folder into which the code of the trials was carried; None where it is found as it is there.
        machine: what distinguishes this node from others.
    """

    def __init__(self, address: Address, name: str, code: Path | None, machine: str) -> None:
        self._code = code
        self._machine = machine
        self._link = CalledLink(address, name)
        self._base = scratch.made()
        self._settings: WorkerSettings | None = None
        self._worker: WorkerProcess | None = None
        self._sampler = ResourceSampler()
        self._deaths = Deaths(self._sampler)
        self._token = 0
        self._stack: serve.Stack | None = None  # that has begun, or waits for its files
        self._early: list[bytes] = []  # messages to its trials, which wait for their files
        self._folders: NodeFolders | None = None  # of its trials
        self._trials: dict[int, Trial] = {}
        self._changes: Iterator[Letter] | None = None
        self._looked = 0.0
        self._is_paused = False

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
        link.wait(ends, 0.0 if link.has_message or is_sending else self._patience)
        try:
            self._pause()
            if is_orphan() or not self._obey():
                return False
            if self._worker and link.has_room:
                self._report()
                self._carry()
        except SupersededError:
            self._changes = None
        return True

    def _pause(self) -> None:
        """Have trials stand still that may go on elsewhere by now, in the same folders; until that is known."""
        is_in_doubt = self._link.is_in_doubt and self._folders is not None and self._folders.are_shared
        if is_in_doubt != self._is_paused and self._worker:
            self._is_paused = is_in_doubt
            pid = self._worker.process.pid or 0
            descendants.signal_all(pid, signal.SIGSTOP if is_in_doubt else signal.SIGCONT)

    @property
    def _patience(self) -> float:
        return SECONDS_BETWEEN_LOOKS if self._trials else 2.0

    # Down

    def _obey(self) -> bool:
        """Do what the orchestrator has asked for; returns False where that is to end."""
        while (sent := self._link.receive()) is not None:
            letter = Letter.decode(sent)
            match letter.message:
                case WorkerSettings() as settings:
                    self._settings = settings
                    for name, value in settings.environment.items():
                        os.environ.setdefault(name, value)
                    self._renew()
                    self._send(Letter(Ready(self._machine)))
                case Renew(token):
                    self._token = token
                    self._renew()
                    self._send(Letter(Renewed(token)))
                case Begin() as begin:
                    self._prepare(begin, letter.body)
                case Piece() as piece if piece.token == self._token and self._folders:
                    self._folders.take(piece, letter.body)
                case Commit() as commit if commit.token == self._token and self._folders:
                    self._folders.commit(commit)
                    self._begin()
                case Say(token) if token == self._token and self._worker:
                    self._tell(letter.body)
                case Leave():
                    return False
                case _:
                    pass
        return True

    def _tell(self, message: bytes) -> None:
        """Pass a message on to the worker; one to trials that wait for their files comes right behind these."""
        if self._stack is not None and not self._trials:
            self._early.append(message)
        elif self._worker is not None:
            with suppress(OSError):
                self._worker.connection.send_bytes(message)

    def _renew(self) -> None:
        """Have another worker, of which nothing runs."""
        settings = self._settings
        if settings is None:
            return
        if self._worker:
            self._worker.kill()
        self._forget()
        self._is_paused = False
        around = settings.around
        if around.modules is not None:
            folders = tuple(str(self._carried(folder)) for folder in around.modules.folders)
            around = replace(around, modules=replace(around.modules, folders=folders))
        around = replace(around, log=self._base / LOG_FILE)
        self._worker = WorkerProcess.started(around, "sweep-worker", warm=settings.warm)

    def _forget(self) -> None:
        self._stack, self._folders, self._changes, self._early = None, None, None, []
        for trial in self._trials.values():
            self._sampler.forget(trial)
        self._trials = {}

    def _prepare(self, begin: Begin, stack: bytes) -> None:
        """Have a worker and the folders of trials, or ask for what they lack."""
        if self._worker is None or not self._worker.process.is_alive():
            self._renew()
        self._forget()
        message = serve.messages.validate_json(stack)
        if begin.token < self._token or not isinstance(message, serve.Stack):
            return
        self._token, self._stack = begin.token, message
        self._folders = NodeFolders(begin.token, begin.folders, self._base)
        if self._folders.wanted:
            self._send(Letter(FilesWanted(self._token, self._folders.wanted)))
        self._begin()

    def _begin(self) -> None:
        stack, folders = self._stack, self._folders
        if stack is None or folders is None or not folders.are_there or self._worker is None:
            return
        tasks = [self._here(task, place) for task, place in zip(stack.tasks, folders.places, strict=True)]
        self._trials = {row: Trial(task.function, row, task.params, "") for row, task in enumerate(tasks)}
        folders.watch()
        self._deaths.begin()
        with suppress(OSError):
            for message in (serve.messages.dump_json(replace(stack, tasks=tasks)), *self._early):
                self._worker.connection.send_bytes(message)

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
            worker.kill()  # what its trials have started writes no more
            self._send_rest([*self._trials])
            said = "" if self._trials else self._last_words
            self._send(Letter(Died(self._token, loss.reason + said, loss.is_for_memory)))
            self._forget()
            self._worker = None

    def _pass_on(self, message: bytes) -> None:
        try:
            row, event = events.decode(message) if self._trials else (0, None)
        except ValidationError:  # the orchestrator sees so, too
            row, event = 0, None
        trial = self._trials.get(row)
        if event is None or isinstance(event, Heartbeat) or trial is None:
            self._say(message)
            return
        self._sampler.observe(trial, event)
        if event.is_final:
            self._send_rest([row])
        elif self._folders:
            for letter in self._folders.belonging_to(row, event):
                self._send(letter)
        self._say(message)
        if event.is_final:
            if self._folders:
                self._folders.leave(row)
            self._trials.pop(row)
            self._stack = self._stack if self._trials else None

    def _send_rest(self, rows: Iterable[int]) -> None:
        """Send all that trials have left."""
        for letter in self._changes or ():
            self._send(letter)
        self._changes = None
        if self._folders and self._stack:
            for row in rows:
                program = self._stack.tasks[row].program
                for letter in self._folders.rest(row, has_new_log=program is not None):
                    self._send(letter)

    def _carry(self) -> None:
        """Send what has changed in the folders, as far as there is room, behind what trials report."""
        if self._changes is None and time.monotonic() - self._looked >= SECONDS_BETWEEN_LOOKS:
            self._looked = time.monotonic()
            self._changes = self._folders.news() if self._folders else None
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
        self._link.send_in_turn(letter)


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
    try:
        Agent(address, options.name, options.code, options.machine).run()
    except UnreachableError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
