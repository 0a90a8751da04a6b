"""Runs trials one after the other in this process and thread, so that pdb and print work.

What Python prints goes to the terminal and into the log of the trial; what other code prints, to the terminal alone.

Where trials are to be stacked, each is a stack of its own, filled up to the width: the numbers are those of any stack.
"""

import math
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, nullcontext, suppress
from multiprocessing.connection import wait
from pathlib import Path
from types import TracebackType

from orchestrator.errors import InputError
from orchestrator.events import Event, Finished, Heartbeat
from orchestrator.executors.contract import Setup
from orchestrator.executors.resources import ResourceSampler
from orchestrator.system import machine
from orchestrator.system.machine import Shares
from orchestrator.system.paths import LOG_FILE
from orchestrator.trial import Outcome, Params, Trial
from orchestrator.worker import runner
from orchestrator.worker.endings import error_line
from orchestrator.worker.output import Tees


class InlineExecutor:
    """One slot, in this thread. An epoch begins when `events` is asked for it, so a trial always awaits verdicts."""

    def __init__(self, setup: Setup, shares: Shares) -> None:
        self.setup = setup
        self.shares = shares
        self._contexts = ExitStack()
        self._resources = ResourceSampler()
        self._running: tuple[Trial, Generator[Event, None, None]] | None = None
        self._tees = Tees()
        self._log: Path | None = None  # of the trial; a program writes its own
        self._stops: dict[int, str] = {}
        self._is_paused = False

    def __enter__(self) -> "InlineExecutor":
        self._contexts.enter_context(self.setup.function.active())
        machine.keep_freed_memory()
        machine.limit_threads(self.shares.threads)
        if self.setup.resources.gpus is not None:  # else this process keeps what it sees
            self._contexts.enter_context(machine.seeing(self.shares.gpus[0]))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._running:
            self._running[1].close()
        self._contexts.__exit__(kind, error, trace)

    @property
    def has_free_slot(self) -> bool:
        return self._running is None and not self._is_paused

    @property
    def most_slots(self) -> int:
        return 1

    def resize(self, slots: int) -> None:
        self._is_paused = slots == 0

    @property
    def idle(self) -> bool:
        return self._running is None

    def prepare(self, configs: Sequence[Params]) -> None:
        try:
            with self.setup.interrupt.raising():
                problem = runner.prepare(self.setup.function.name, configs)
        except KeyboardInterrupt:
            return
        if problem:
            raise InputError(*problem.splitlines())
        if not self.setup.warm:
            self.setup.on_remark("all trials run in this process: each finds what those before it have changed")

    def submit(self, trial: Trial, workdir: Path, threads: int | None = None) -> None:
        workdir.mkdir(parents=True, exist_ok=True)
        task = self.setup.task(trial, workdir, threads or self.setup.threads(trial, self.shares))
        self._stops = {}
        self._log = workdir / LOG_FILE if task.program is None else None

        def on_step(_: int, step: int, loss: float) -> None:
            self.setup.on_heartbeat(trial, Heartbeat(step, loss if math.isfinite(loss) else None))

        self._running = (trial, runner.run(task, self.setup.stacking.width, on_step, self._stops))

    def stop(self, trial: Trial, reason: str) -> None:
        self._stops[0] = reason

    def events(self) -> Iterator[tuple[Trial, Event]]:
        return self._resources.with_samples(self._reports())

    def _reports(self) -> Iterator[tuple[Trial, Event]]:
        if self._running is None:
            if self._is_paused and not self.setup.interrupt.requested:
                wait([self.setup.interrupt.fileno()])
                self.setup.interrupt.drain()
            return
        trial, running = self._running
        event = Finished(Outcome.INTERRUPTED) if self.setup.interrupt.requested else self._next(running)
        if event.is_final:
            with suppress(KeyboardInterrupt), self.setup.interrupt.raising():
                running.close()
            self._running = None
        yield trial, event

    def _next(self, running: Generator[Event, None, None]) -> Event:
        try:
            with self.setup.interrupt.raising(), self._tees.into(self._log) if self._log else nullcontext():
                event = next(running)
        except KeyboardInterrupt as error:
            if not self.setup.interrupt.at_once:  # the trial's own code has raised it
                return Finished(Outcome.FAILED, reason=error_line(error))
            return Finished(Outcome.INTERRUPTED)
        # a framework may have made something else of KeyboardInterrupt
        was_interrupted = isinstance(event, Finished) and self.setup.interrupt.at_once and not event.outcome.is_result
        return Finished(Outcome.INTERRUPTED) if was_interrupted else event
