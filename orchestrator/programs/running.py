"""Runs a program as a trial: starts it, listens to what it logs, and yields its epochs.

The rest of the worker takes it for a trial function that is a generator.
"""

import signal
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.events import BY_STEP, Points, Restarted, Tagged
from orchestrator.infeasible import Infeasible
from orchestrator.programs import kept
from orchestrator.programs.environment import Environment
from orchestrator.programs.epochs import Epochs
from orchestrator.programs.files import LoggedFiles
from orchestrator.programs.listening import ProgramListener
from orchestrator.programs.logged import (
    ArtifactLogged,
    Message,
    Noted,
    NotKept,
    PictureLogged,
    StepMetric,
    Summary,
)
from orchestrator.programs.made import Between, Late, Made, NewCurve, Whole
from orchestrator.programs.program import Program, ProgramFailedError, ProgramKilledError
from orchestrator.programs.ways import Ways
from orchestrator.system import shortage, signals
from orchestrator.system.memory import MemoryKills, gigabytes
from orchestrator.system.shortage import Shortage
from orchestrator.trial import Params

SECONDS_BETWEEN_POINTS = 1.0

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
        self.final: dict[str, float] = {}
        self._state = kept.State.of(workdir)
        self._settled = self._state.heard  # the last instant that is kept
        self._last = 0  # the last whole epoch of this attempt
        self._has_new_epoch = False  # since the last instant
        self._has_said_way, self._is_over = False, False
        self._defined: list[StepMetric] = []
        self._points: dict[str, list[tuple[int, float, float]]] = {}
        self._points_due = 0.0
        self._may_go_back = False  # as long as no epoch of this attempt has a number
        self._files = LoggedFiles(workdir)
        made = Environment.of(program, params, workdir)
        self._goes_on = any(made.checkpoints.iterdir())
        self._begin(self._state.epochs(program.compared, goes_on=self._goes_on))
        self._listener = ProgramListener(program, made, self._state, stack)
        self._log = self._listener.log
        self._memory = MemoryKills()
        stack.callback(self._hide)
        stack.callback(self._keep_artifacts)
        self._process = self._listener.start(stack, goes_on=self._goes_on)
        stack.callback(self._process.end, program.grace, self._let_go_on)

    def follow(self) -> Iterator[Yielded]:
        """What it logs, up to its end."""
        yield from self._what_was_missed()
        self._may_go_back = self._state.epoch > 0
        self._state.pid, self._state.begun = self._process.pid, self._listener.since
        self._settle(self._heard())
        while True:
            status = self._process.status  # before what it has logged is read: so all of that is
            messages = self._ways.take(self._listener.messages(at_end=status is not None))
            yield from self._yielded(self._made([*messages, *self._ways.settle(time.time())]))
            if status is not None:
                yield from self._ended()
                if status == 0 and self._lacks_compared():
                    yield Tagged({"metrics_from": self._ways.missing(self.program.title)})
            is_time = self._has_new_epoch or self._listener.was_polled
            if is_time and self._epochs.is_settled and (heard := self._heard()) != self._settled:
                yield from self._flushed()
                self._settle(heard)
            self._listener.release()  # a checkpoint that it saves now is of what is kept
            if status is not None:
                self._is_over = True
                return
            yield None
            self._listener.wait([self._epochs.due, self._ways.due, self._points_due if self._points else None])

    def _lacks_compared(self) -> bool:
        """Whether it has ended without the compared metric, unless all its epochs were those of an attempt before."""
        has_it = self._ways.has_compared or self.program.compared in self.final
        return not has_it and (self._last > 0 or self._settled.epoch == 0)

    def _settle(self, heard: kept.Heard) -> None:
        self._settled, self._has_new_epoch = heard, False
        self._state.write_heard(heard)
        self._listener.calls.clear()

    def _begin(self, epochs: Epochs, heard: kept.Heard | None = None) -> None:
        self._epochs = epochs
        known = heard or kept.Heard()
        is_asked = self.program.pattern is not None
        self._ways = Ways(self.program.compared, asked=is_asked, chosen=known.source, owners=known.owners)

    def _ended(self) -> Iterator[Yielded]:
        """What is left when there is nothing more to hear."""
        yield from self._yielded(self._made(self._ways.end()))
        yield from self._yielded(self._epochs.end())
        self._may_go_back = False
        yield from self._flushed()

    def _what_was_missed(self) -> Iterator[Yielded]:
        """What an attempt before has logged that its worker was killed too early to record."""
        heard, listener = self._state.heard, self._listener
        missed = heard.missed(listener.calls.read(heard.calls), listener.left) if self._state.was_begun else []
        if not missed and not heard.instant.has_left:
            return
        self._begin(heard.epochs(self.program.compared), heard)
        made = self._made(self._ways.take(missed))
        yield from self._yielded(one for one in made if not isinstance(one, NewCurve))
        yield from self._yielded(self._made(self._ways.end()))
        yield from self._yielded(self._epochs.cut())
        if self._state.epoch:
            self._state.write_epoch(self._epochs, self._state.epoch)
        yield from self._flushed()
        self._defined.clear()
        self._begin(self._state.epochs(self.program.compared, goes_on=self._goes_on))

    def _heard(self) -> kept.Heard:
        """Up to where it has been listened to."""
        made = self._state.epoch, self._epochs.instant, [*self._defined]
        ways = self._ways.waiting, self._ways.chosen, dict(self._ways.owners)
        return kept.Heard(*made, *ways, self._listener.calls.number, self._listener.read, dict(self._listener.until))

    def check(self) -> None:
        """Go on only where the program has ended well.

        Raises:
            ProgramFailedError: it has not.
            ProgramKilledError: it was killed by a signal, other than by that of Ctrl-C.
            Infeasible: it has said so, by its exit status.
        """
        status = self._process.status or 0
        if status == 0:
            return
        if status == self.program.infeasible_exit:
            raise Infeasible(self._log.last_lines() or f"the program says so, by exit status {status}")
        number = signals.that_ended(status)
        how = signals.ended(status if number is None else -number)
        taken = f"it took {gigabytes(self._process.memory)} at most" if self._process.memory else ""
        how += self._memory.of_killed(taken) if number == signal.SIGKILL else self._memory.of_failed(taken)
        last = self._log.last_lines()
        lack = shortage.of_text(self._log.end())
        is_its_own = lack is not None or number in (None, signal.SIGINT)
        failed = (ProgramFailedError if is_its_own else ProgramKilledError)(
            f"the program {how}{f': {last}' if last else ''}"
        )
        was_killed_for_memory = number == signal.SIGKILL and self._memory.was_memory
        failed.lack = Shortage() if was_killed_for_memory and lack is None else lack
        raise failed

    def _made(self, messages: Iterable[Message]) -> Iterator[Made | Tagged]:
        for message in messages:
            match message:
                case Summary():
                    self.final |= message.metrics
                case PictureLogged() | ArtifactLogged() | NotKept():
                    if problem := self._files.keep(message, self._epochs.epoch):
                        yield Tagged({"artifacts.problem": self._log.hidden(problem)})
                case Noted():
                    yield Tagged({f"program.{name}": self._log.hidden(value) for name, value in message.tags.items()})
                case _:
                    self._defined += [message] if isinstance(message, StepMetric) else []
                    yield from self._epochs.take(message, beside=self._ways.is_beside(message))
        yield from self._epochs.settle(time.time())

    def _yielded(self, made: Iterable[Made | Tagged]) -> Iterator[Yielded]:
        if not self._has_said_way and (sentence := self._ways.sentence(self.program.title)):
            self._has_said_way = True  # before an epoch that may end the trial
            yield Tagged({"metrics_from": sentence})
        for item in made:
            match item:
                case Whole():
                    self._may_go_back = False
                    yield from self._flushed()
                    self._last, self._has_new_epoch = item.epoch, True
                    yield {**item.metrics, "epoch": item.epoch}
                    self._state.write_epoch(self._epochs, item.epoch)
                case Late() if item.epoch <= self._state.epoch:
                    yield {**item.metrics, "epoch": item.epoch}
                case Late():
                    for name, value in item.metrics.items():
                        self._points.setdefault(name, []).append((item.epoch, value, item.at))
                case Between():
                    before = self._state.before.get(item.metric, 0) if item.name.endswith(BY_STEP) else 0
                    self._points.setdefault(item.name, []).append((item.count - before, item.value, item.at))
                case NewCurve(number=1):
                    if item.epoch <= 1:
                        yield Restarted(self._state.epoch, time.time())
                    self._go_back(item.epoch)
                case NewCurve():
                    yield Tagged({"curves": f"{item.number}; an epoch has fallen back to {item.epoch}"})
                case Tagged():
                    yield item
        self._may_go_back = self._may_go_back and not self._epochs.has_begun
        if self._points and time.time() >= self._points_due:
            yield from self._flushed()

    def _flushed(self) -> Iterator[Points]:
        self._points_due = time.time() + SECONDS_BETWEEN_POINTS
        points, self._points = ({}, self._points) if self._may_go_back else (self._points, {})
        if points:
            yield Points(points)

    def _go_back(self, epoch: int) -> None:
        """Count what comes oftener on from an epoch, also what has come before that had a number."""
        known = self._state.before
        self._state.go_back(epoch)
        for name, series in self._points.items():
            metric = name.removesuffix(BY_STEP)
            more = self._state.before.get(metric, 0) - known.get(metric, 0) if name.endswith(BY_STEP) else 0
            self._points[name] = [(count - more, value, at) for count, value, at in series]
        self._may_go_back = False

    def _let_go_on(self) -> None:
        """What it logs while it ends, it may save: the next attempt reports that, and what came just before."""
        self._listener.receive()
        self._listener.release()

    def _keep_artifacts(self) -> None:
        """What MLflow in it has kept is the trial's, also where it was ended before its own end."""
        for message in () if self._is_over else self._listener.artifacts():
            if problem := self._files.keep(message, self._last):
                print(f"sweep: {self._log.hidden(problem)}")  # no tag can be set any more

    def _hide(self) -> None:
        """Take secrets out of what it has printed."""
        if (size := self._log.hide()) is not None:
            self._state.write_heard(replace(self._state.heard, log=size))
