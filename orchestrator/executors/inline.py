"""Runs trials one after the other in this process and thread, so that pdb and print work.

Where trials are to be stacked, each is a stack of its own, filled up to the width: the numbers are those of any stack.
"""

import math
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from types import TracebackType

from orchestrator.divergence import DivergenceRule
from orchestrator.errors import InputError
from orchestrator.events import Event, Finished, Heartbeat
from orchestrator.executors import OnHeartbeat
from orchestrator.stacking import UNSTACKED, Stacking
from orchestrator.system import machine
from orchestrator.system.interrupt import Interrupt
from orchestrator.trial import Outcome, Params, Trial
from orchestrator.worker import runner


class InlineExecutor:
    """One slot, in this thread."""

    def __init__(
        self,
        function: str,
        divergence: DivergenceRule,
        interrupt: Interrupt,
        threads: int,
        stacking: Stacking = UNSTACKED,
        on_heartbeat: OnHeartbeat = lambda *_: None,
    ) -> None:
        self.function = function
        self.divergence = divergence
        self.interrupt = interrupt
        self.threads = threads
        self.stacking = stacking
        self.on_heartbeat = on_heartbeat
        self._running: tuple[Trial, Generator[Event, None, None]] | None = None
        self._stops: dict[int, str] = {}

    def __enter__(self) -> "InlineExecutor":
        machine.keep_freed_memory()
        machine.limit_threads(self.threads)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._running:
            self._running[1].close()

    @property
    def has_free_slot(self) -> bool:
        return self._running is None

    @property
    def idle(self) -> bool:
        return self._running is None

    def prepare(self, configs: Sequence[Params]) -> None:
        try:
            with self.interrupt.raising():
                problem = runner.prepare(self.function, configs)
        except KeyboardInterrupt:
            return
        if problem:
            raise InputError(*problem.splitlines())

    def submit(self, trial: Trial, workdir: Path, threads: int | None = None) -> None:
        workdir.mkdir(parents=True, exist_ok=True)
        task = runner.Task(trial.function, trial.params, workdir, self.divergence, threads or self.threads, trial.place)
        self._stops = {}

        def beat(_: int, step: int, loss: float) -> None:
            self.on_heartbeat(trial, Heartbeat(step, loss if math.isfinite(loss) else None))

        self._running = (trial, runner.run(task, self.stacking.width, beat, self._stops))

    def stop(self, trial: Trial, reason: str) -> None:
        self._stops[0] = reason

    def events(self) -> Iterator[tuple[Trial, Event]]:
        if self._running is None:
            return
        trial, running = self._running
        event = Finished(Outcome.INTERRUPTED) if self.interrupt.requested else self._next(running)
        if event.is_final:
            running.close()
            self._running = None
        yield trial, event

    def _next(self, running: Generator[Event, None, None]) -> Event:
        try:
            with self.interrupt.raising():
                return next(running)
        except KeyboardInterrupt:
            return Finished(Outcome.INTERRUPTED)
