"""Runs a program as a trial: starts it, listens to what it logs, and yields its epochs.

The rest of the worker takes it for a trial function that is a generator.
"""

import os
import re
import select
import signal
import sys
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

from orchestrator.events import Points, Restarted, Tagged
from orchestrator.programs import environment, kept
from orchestrator.programs.channel import Channel
from orchestrator.programs.command import hidden
from orchestrator.programs.epochs import Epochs
from orchestrator.programs.files import LoggedFiles
from orchestrator.programs.followers import ProgramFollower
from orchestrator.programs.followers.event_files import EventFiles
from orchestrator.programs.followers.mlflow_store import MlflowStore
from orchestrator.programs.followers.output import OutputLines
from orchestrator.programs.logged import (
    ArtifactLogged,
    Logged,
    Message,
    Noted,
    NotKept,
    PictureLogged,
    StepMetric,
    Summary,
)
from orchestrator.programs.made import Between, Late, Made, NewCurve, Whole
from orchestrator.programs.processes import ProgramProcess, kill_all
from orchestrator.programs.program import Program, ProgramFailedError, ProgramKilledError
from orchestrator.programs.ways import Ways
from orchestrator.system import signals
from orchestrator.system.paths import LOG_FILE
from orchestrator.trial import Params

SECONDS_BETWEEN_POLLS = 0.25  # of what is followed from outside
SECONDS_BETWEEN_POINTS = 1.0
MOST_UNSETTLED = 10_000  # messages
LAST_LINES, LONGEST_END = 5, 64 * 1024  # of what it has printed: lines for a reason, and bytes to look for them in

Yielded = Mapping[str, Any] | Points | Tagged | Restarted | None


def run(program: Program, params: Params, workdir: Path) -> Generator[Yielded, None, dict[str, float]]:
    """Run a program with these parameters, or go on with it; yields what it logs, and None when there is nothing.

    Returns:
        The final values that it has named as such.

    Raises:
        ProgramFailedError: it cannot be started, or has ended with another status than 0.
        ProgramKilledError: it was killed by a signal.
    """
    with ExitStack() as stack:
        running = _Running(program, params, workdir, stack)
        yield from running.follow()
    running.check()  # once nothing of it is left
    return running.final


class _Running:
    """A program that runs, and all that is known of what it has logged."""

    def __init__(self, program: Program, params: Params, workdir: Path, stack: ExitStack) -> None:
        self.program = program
        self.workdir = workdir
        self.final: dict[str, float] = {}
        self._state = kept.State.of(workdir)
        self._settled = self._state.heard  # the last instant that is kept
        self._unsettled: deque[Logged | StepMetric] = deque(maxlen=MOST_UNSETTLED)  # what was logged since then
        self._last = 0  # the last whole epoch of this attempt
        self._has_said_way = False
        self._points: dict[str, list[tuple[int, float, float]]] = {}
        self._points_due = 0.0
        self._files = LoggedFiles(workdir)
        self._polls_due = time.time() + SECONDS_BETWEEN_POLLS
        self._log = workdir / LOG_FILE
        self._is_shown = parent_process() is None  # else it is a worker, whose output is the log
        made = environment.Environment.of(program, params, workdir)
        self._goes_on = any(made.checkpoints.iterdir())
        self._begin_epochs(self._state.epochs(program.compared, goes_on=self._goes_on))
        self._secrets = made.secrets
        if self._state.was_begun:  # its worker may have been killed together with all that watched over it
            kill_all(str(made.checkpoints))
        store = MlflowStore(made.mlflow)
        left: list[Message] = [*store.end(), *OutputLines(self._log, self._state.heard.log, program.pattern).end()]
        program.hide_secrets(self._log)  # what that attempt could not hide
        self._log_begin = self._shown = self._log.stat().st_size if self._log.is_file() else 0
        stack.callback(self._hide)
        self._store, self._is_over = store, False
        stack.callback(self._keep_artifacts)
        self._channel = Channel(workdir)
        stack.callback(self._channel.close)
        variables = made.variables(self._channel.path)
        self._begun = time.time()
        try:
            self._process = ProgramProcess(made.arguments, program.folder, variables, self._log)
        except OSError as error:
            what = self._hidden(str(error.filename or made.arguments[0]))
            raise ProgramFailedError(f"{what} cannot be started: {error.strerror}") from error
        stack.callback(self._process.close)
        stack.callback(self._process.end, program.grace, self._let_go_on)
        files = EventFiles(self._process.pid, [program.folder], made.checkpoints)
        if self._state.was_begun:
            left += EventFiles(self._state.pid, [program.folder], made.checkpoints, self._state.begun).end()
        if self._goes_on:
            files.poll()  # what an earlier attempt has left in the program's own folder
        self._missed = self._state.heard.missed(left) if self._state.was_begun else []
        self._until = dict(self._state.heard.until)
        self._note_times(left)
        self._output = OutputLines(self._log, self._log_begin, program.pattern)
        self._followers: list[ProgramFollower] = [store, files, self._output]

    def follow(self) -> Iterator[Yielded]:
        """What it logs, up to its end."""
        yield from self._what_was_missed()
        self._state.pid, self._state.begun = self._process.pid, self._begun
        self._settle(self._heard())
        while True:
            status = self._process.status  # before what it has logged is read: so all of that is
            yield from self._yielded(self._made(self._messages(at_end=status is not None)))
            if status is not None:
                yield from self._ended()
                if status == 0 and self._lacks_compared():
                    yield Tagged({"metrics_from": self._ways.missing(self.program.title)})
            if self._epochs.is_settled and (heard := self._heard()) != self._settled:
                yield from self._flushed()
                self._settle(heard)
            self._channel.release()  # a checkpoint that it saves now is of what is kept
            if status is not None:
                self._is_over = True
                return
            yield None
            self._wait()

    def _lacks_compared(self) -> bool:
        """Whether it has ended without the compared metric, unless all its epochs were those of an attempt before."""
        has_it = self._ways.has_compared or self.program.compared in self.final
        return not has_it and (self._last > 0 or self._settled.epoch == 0)

    def _settle(self, heard: kept.Heard) -> None:
        self._settled = heard
        self._unsettled.clear()
        self._state.write_heard(heard)

    def _begin_epochs(self, epochs: Epochs) -> None:
        self._epochs = epochs
        self._ways = Ways(self.program.compared, asked=self.program.pattern is not None)

    def _ended(self) -> Iterator[Yielded]:
        """What is left when there is nothing more to hear."""
        yield from self._yielded(self._made(self._ways.end()))
        yield from self._yielded(self._epochs.end())
        yield from self._flushed()

    def _what_was_missed(self) -> Iterator[Yielded]:
        """What an attempt before has logged that its worker was killed too early to record."""
        heard = self._state.heard
        if heard.ready is None and not self._missed:
            return
        self._begin_epochs(heard.epochs(self.program.compared))
        yield from self._yielded([heard.ready] if heard.ready else [])
        made = self._made(self._ways.take(self._missed))
        yield from self._yielded(one for one in made if heard.ready is None or not isinstance(one, NewCurve))
        yield from self._ended()
        self._begin_epochs(self._state.epochs(self.program.compared, goes_on=self._goes_on))

    def _note_times(self, messages: Iterable[Message]) -> None:
        self._until |= {one.source: one.at for one in messages if isinstance(one, Logged) and one.source != "output"}

    def _heard(self) -> kept.Heard:
        """Up to where it has been listened to."""
        state, epochs, ways = self._state, self._epochs, self._ways
        made = state.epoch, epochs.offset, dict(epochs.counts), epochs.ready
        return kept.Heard(*made, ways.waiting, ways.chosen, self._output.read, dict(self._until))

    def check(self) -> None:
        """Go on only where the program has ended well.

        Raises:
            ProgramFailedError: it has not.
            ProgramKilledError: it was killed by a signal, other than by that of Ctrl-C.
        """
        status = self._process.status or 0
        if status == 0:
            return
        number = signals.that_ended(status)
        how = signals.ended(status if number is None else -number)
        lines = [line.strip() for line in self._last_words().split("\n")]
        last = " | ".join([line for line in lines if re.search(r"\w", line)][-LAST_LINES:])
        kind = ProgramFailedError if number in (None, signal.SIGINT) else ProgramKilledError
        raise kind(f"the program {how}{f': {last}' if last else ''}")

    def _messages(self, *, at_end: bool) -> list[Message]:
        now, messages = time.time(), self._channel.receive()
        if at_end or now >= self._polls_due:
            self._polls_due = now + SECONDS_BETWEEN_POLLS
            self._echo()
            for follower in self._followers:
                followed = follower.end() if at_end else follower.poll()
                self._note_times(followed)
                messages += followed
        return self._ways.take(messages) + self._ways.settle(now)

    def _made(self, messages: Iterable[Message]) -> Iterator[Made | Tagged]:
        for message in messages:
            match message:
                case Summary():
                    self.final |= message.metrics
                case PictureLogged() | ArtifactLogged() | NotKept():
                    if problem := self._files.keep(message, self._epochs.epoch):
                        yield Tagged({"artifacts.problem": self._hidden(problem)})
                case Noted():
                    yield Tagged({f"program.{name}": self._hidden(value) for name, value in message.tags.items()})
                case _:
                    if isinstance(message, Logged | StepMetric) and message.source not in kept.IN_FILES:
                        self._unsettled.append(message)
                    yield from self._epochs.take(message, beside=self._ways.is_beside(message))
        yield from self._epochs.settle(time.time())

    def _yielded(self, made: Iterable[Made | Tagged]) -> Iterator[Yielded]:
        if not self._has_said_way and (sentence := self._ways.sentence(self.program.title)):
            self._has_said_way = True  # before an epoch that may end the trial
            yield Tagged({"metrics_from": sentence})
        for item in made:
            match item:
                case Whole():
                    yield from self._flushed()
                    self._last = item.epoch
                    yield {**item.metrics, "epoch": item.epoch}
                    self._state.write_epoch(self._epochs, item.epoch)
                case Late() if item.epoch == self._last:
                    yield {**item.metrics, "epoch": item.epoch}
                case Late():
                    for name, value in item.metrics.items():
                        self._points.setdefault(name, []).append((item.epoch, value, item.at))
                case Between():
                    self._points.setdefault(item.name, []).append((item.count, item.value, item.at))
                case NewCurve(number=1):
                    if item.epoch <= 1:
                        yield Restarted(self._state.epoch, time.time())
                        self._state.forget()
                case NewCurve():
                    yield Tagged({"curves": f"{item.number}; an epoch has fallen back to {item.epoch}"})
                case Tagged():
                    yield item
        if self._points and time.time() >= self._points_due:
            yield from self._flushed()

    def _flushed(self) -> Iterator[Points]:
        self._points_due = time.time() + SECONDS_BETWEEN_POINTS
        points, self._points = self._points, {}
        if points:
            yield Points(points)

    def _let_go_on(self) -> None:
        """What it logs while it ends, it may save: the next attempt reports that, and what came just before."""
        new = [one for one in self._channel.receive() if isinstance(one, Logged | StepMetric)]
        self._unsettled += new
        if new:
            self._state.write_heard(replace(self._settled, waiting=[*self._settled.waiting, *self._unsettled]))
        self._channel.release()

    def _keep_artifacts(self) -> None:
        """What MLflow in it has kept is the trial's, also where it was ended before its own end."""
        for message in () if self._is_over else self._store.end():
            if isinstance(message, ArtifactLogged) and (problem := self._files.keep(message, self._last)):
                print(f"sweep: {self._hidden(problem)}")  # no tag can be set any more

    def _wait(self) -> None:
        """Wait until it logs something, ends, or there is something to look after."""
        dues = [due for due in (self._epochs.due, self._ways.due, self._polls_due) if due is not None]
        if self._points:
            dues.append(self._points_due)
        seconds = min(dues) - time.time()
        select.select([*self._channel.filenos(), self._process.fileno()], [], [], max(0.0, seconds))

    def _echo(self) -> None:
        """Show what it has printed where this process has a terminal of its own, and does not print into the log."""
        if self._is_shown and (size := self._log.stat().st_size) > self._shown:
            with self._log.open("rb") as file:
                file.seek(self._shown)
                sys.stdout.write(self._hidden(file.read(size - self._shown).decode(errors="replace")))
                sys.stdout.flush()
            self._shown = size

    def _last_words(self) -> str:
        with self._log.open("rb") as file:
            file.seek(max(self._log_begin, file.seek(0, os.SEEK_END) - LONGEST_END))
            return file.read().decode(errors="replace")

    def _hidden(self, text: str) -> str:
        return hidden(text, self._secrets)

    def _hide(self) -> None:
        """Take secrets out of what it has printed."""
        if self.program.hide_secrets(self._log, self._log_begin):
            self._state.write_heard(replace(self._state.heard, log=self._log.stat().st_size))
