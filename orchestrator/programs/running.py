"""Runs a program as a trial: starts it, listens to what it logs, and yields its epochs.

The rest of the worker takes it for a trial function that is a generator.
"""

import os
import select
import signal
import sys
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

from orchestrator.events import Points, Restarted, Tagged
from orchestrator.programs import environment, kept
from orchestrator.programs.channel import Channel
from orchestrator.programs.command import hidden
from orchestrator.programs.epochs import Between, Late, Made, NewCurve, Whole
from orchestrator.programs.followers import ProgramFollower
from orchestrator.programs.followers.event_files import EventFiles
from orchestrator.programs.followers.mlflow_store import MlflowStore
from orchestrator.programs.followers.output import OutputLines
from orchestrator.programs.leftover import leftover
from orchestrator.programs.logged import ArtifactLogged, Message, Noted, PictureLogged, Summary
from orchestrator.programs.processes import Guard, ProgramProcess, kill_all
from orchestrator.programs.program import Program, ProgramFailedError
from orchestrator.programs.ways import Ways
from orchestrator.system.paths import LOG_FILE
from orchestrator.trial import Params

SECONDS_BETWEEN_POLLS = 0.25  # of what is followed from outside
SECONDS_BETWEEN_LOOKS = 0.02  # where the end of a process cannot be waited for
SECONDS_BETWEEN_POINTS = 1.0
LAST_LINES = 5

Yielded = Mapping[str, Any] | Points | Tagged | Restarted | None
_guards: list[Guard] = []  # of this process: none, or one


def run(program: Program, params: Params, workdir: Path) -> Generator[Yielded, None, dict[str, float]]:
    """Run a program with these parameters, or go on with it; yields what it logs, and None when there is nothing.

    Returns:
        The final values that it has named as such.

    Raises:
        ProgramFailedError: it cannot be started, has ended with another status than 0, or was killed.
    """
    with ExitStack() as stack:
        running = _Running(program, params, workdir, stack)
        yield from running.follow()
        running.check()
        return running.final


class _Running:
    """A program that runs, and all that is known of what it has logged."""

    def __init__(self, program: Program, params: Params, workdir: Path, stack: ExitStack) -> None:
        self.program = program
        self.workdir = workdir
        self.final: dict[str, float] = {}
        self._has_said_way = False
        self._points: dict[str, list[tuple[int, float, float]]] = {}
        self._points_due = self._polls_due = 0.0
        self._log = workdir / LOG_FILE
        self._is_shown = parent_process() is None  # else it is a worker, whose output is the log
        made = environment.Environment.of(program, params, workdir)
        was_begun = any(made.checkpoints.iterdir())
        self._secrets = made.secrets
        kill_all(str(made.checkpoints))  # of an attempt whose worker was killed together with all that watched over it
        self._log_begin = self._shown = self._log.stat().st_size if self._log.is_file() else 0
        self._state = kept.State.of(workdir)
        self._left = [*leftover(self._state, program, workdir, made.checkpoints, made.mlflow)]
        self._epochs = self._state.epochs(program.compared, self._left)
        self._ways = Ways(program.compared, asked=program.pattern is not None, chosen=self._state.chosen)
        store = MlflowStore(made.mlflow)
        store.poll()  # what an earlier attempt has left
        _guard().watch(str(made.checkpoints))
        stack.callback(_guard().watch, None)
        stack.callback(self._hide)
        self._channel = Channel(workdir)
        stack.callback(self._channel.close)
        variables = made.variables(self._channel.path)
        self._begun = time.time()
        try:
            self._process = ProgramProcess(made.arguments, program.folder, variables, self._log)
        except OSError as error:
            raise ProgramFailedError(f"{made.arguments[0]} cannot be started: {error.strerror}") from error
        stack.callback(self._process.close)
        stack.callback(self._process.end, program.grace, self._let_go_on)
        self._files = EventFiles(self._process.pid, [program.folder], made.checkpoints)
        if was_begun:
            self._files.poll()  # what an earlier attempt has left
        self._followers: list[ProgramFollower] = [
            store,
            self._files,
            OutputLines(self._log, self._log_begin, program.pattern),
        ]

    def follow(self) -> Iterator[Yielded]:
        """What it logs, up to its end."""
        yield from self._yielded(self._left)
        self._state.begin_attempt(self._process.pid, self._begun, self._log_begin)
        while True:
            status = self._process.status  # before what it has logged is read: so all of that is
            messages = self._messages(at_end=status is not None)
            yield from self._yielded(self._made(messages))
            self._keep(messages)
            self._channel.release()
            if status is not None:
                yield from self._yielded(self._made(self._ways.end()))
                yield from self._yielded(self._epochs.end())
                yield from self._flushed()
                self._keep(messages)
                return
            yield None
            self._wait()

    def check(self) -> None:
        """Go on only where the program has ended well.

        Raises:
            ProgramFailedError: it has not.
        """
        status = self._process.status or 0
        if status == 0:
            return
        if status < 0 and parent_process() is not None and -status != signal.SIGINT:
            os.kill(os.getpid(), -status)  # as if a function had died so: the executor tries it again
        how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"exited with status {status}"
        lines = self._hidden(self._printed()).split("\n")
        last = " | ".join([line.strip() for line in lines if line.strip()][-LAST_LINES:])
        raise ProgramFailedError(f"the program {how}{f': {last}' if last else ''}")

    def _messages(self, *, at_end: bool) -> list[Message]:
        now, messages = time.time(), self._channel.receive()
        if at_end or now >= self._polls_due:
            self._polls_due = now + SECONDS_BETWEEN_POLLS
            self._echo()
            for follower in self._followers:
                messages += follower.end() if at_end else follower.poll()
        return self._ways.take(messages) + self._ways.settle(now)

    def _made(self, messages: Iterable[Message]) -> Iterator[Made | Tagged]:
        for message in messages:
            match message:
                case Summary():
                    self.final |= message.metrics
                case PictureLogged():
                    kept.keep_picture(self.workdir, message, self._epochs.epoch)
                case ArtifactLogged():
                    kept.keep_artifact(self.workdir, message)
                case Noted():
                    yield Tagged({f"program.{name}": value for name, value in message.tags.items()})
                case _:
                    yield from self._epochs.take(message, beside=self._ways.is_beside(message))
        yield from self._epochs.settle(time.time())

    def _yielded(self, made: Iterable[Made | Tagged]) -> Iterator[Yielded]:
        for item in made:
            match item:
                case Whole():
                    yield from self._flushed()
                    yield {**item.metrics, "epoch": item.epoch}
                    self._state.epoch = item.epoch
                case Late():
                    for name, value in item.metrics.items():
                        self._points.setdefault(name, []).append((item.epoch, value, item.at))
                    self._points_due = 0.0
                case Between():
                    self._points.setdefault(item.name, []).append((item.count, item.value, item.at))
                case NewCurve(number=1):
                    if item.epoch <= 1:
                        yield Restarted(self._state.epoch, time.time())
                        self._state.begin_again()
                case NewCurve():
                    yield Tagged({"curves": f"{item.number}; an epoch has fallen back to {item.epoch}"})
                case Tagged():
                    yield item
        if self._points and time.time() >= self._points_due:
            yield from self._flushed()
        if not self._has_said_way and (sentence := self._ways.sentence(self.program.title)):
            self._has_said_way = True
            yield Tagged({"metrics_from": sentence})

    def _flushed(self) -> Iterator[Points]:
        self._points_due = time.time() + SECONDS_BETWEEN_POINTS
        points, self._points = self._points, {}
        if points:
            yield Points(points)

    def _keep(self, heard: Sequence[Message]) -> None:
        """Keep how far it has come, before it goes on: it may save what it has done so far, and be killed."""
        files = [str(path) for path in self._files.paths]
        if heard or files != self._state.files:
            self._state.files = files
            self._state.take(self._epochs, self._ways.chosen)
            self._state.write()

    def _let_go_on(self) -> None:
        """What it logs while it ends is not heard, but it need not wait."""
        self._channel.receive()
        self._channel.release()

    def _wait(self) -> None:
        """Wait until it logs something, ends, or there is something to look after."""
        ends = self._process.filenos()
        dues = [due for due in (self._epochs.due, self._ways.due, self._polls_due) if due is not None]
        if self._points:
            dues.append(self._points_due)
        seconds = min(dues) - time.time()
        if not ends:
            seconds = min(seconds, SECONDS_BETWEEN_LOOKS)
        select.select([*self._channel.filenos(), *ends], [], [], max(0.0, seconds))

    def _echo(self) -> None:
        """Show what it has printed where this process has a terminal of its own, and does not print into the log."""
        if self._is_shown and (size := self._log.stat().st_size) > self._shown:
            with self._log.open("rb") as file:
                file.seek(self._shown)
                sys.stdout.write(self._hidden(file.read(size - self._shown).decode(errors="replace")))
                sys.stdout.flush()
            self._shown = size

    def _printed(self) -> str:
        with self._log.open("rb") as file:
            file.seek(self._log_begin)
            return file.read().decode(errors="replace")

    def _hidden(self, text: str) -> str:
        return hidden(text, self._secrets)

    def _hide(self) -> None:
        """Take secrets out of what it has printed."""
        if self._secrets and self._log.is_file():
            text = self._printed()
            shown = self._hidden(text)
            if shown != text:
                with self._log.open("r+b") as file:
                    file.seek(self._log_begin)
                    file.write(shown.encode())
                    file.truncate()


def _guard() -> Guard:
    if not _guards:
        _guards.append(Guard())
    return _guards[0]
