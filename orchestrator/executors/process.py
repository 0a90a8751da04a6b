"""Runs trials in spawned worker processes, one pipe each. A worker serves trial after trial; a dead one is replaced.

It has each done by a child of its own, and dies as the child does; a warm worker, or one that runs programs, does them
itself. Where trials are stacked it serves stack after stack, and its death ends an attempt at each trial of its stack.
"""

import time
from collections.abc import Iterator, Sequence
from functools import partial
from types import TracebackType

from orchestrator.events import Event
from orchestrator.executors.contract import Setup
from orchestrator.executors.deaths import Deaths
from orchestrator.executors.local import LocalSlot, WorkerProcess
from orchestrator.executors.resources import ResourceSampler
from orchestrator.executors.slot import CLOSING_SECONDS
from orchestrator.executors.slots import SlotExecutor
from orchestrator.system import machine
from orchestrator.system.machine import Shares
from orchestrator.trial import Trial
from orchestrator.worker import serve


class ProcessExecutor(SlotExecutor):
    """A process for each slot, with its share of the threads and of the GPUs, where there are any."""

    def __init__(self, setup: Setup, shares: Shares) -> None:
        super().__init__(setup, shares)
        self._resources = ResourceSampler()
        self._deaths = Deaths(self._resources)
        self._slots = [self._slot(index) for index in range(self._most)]

    def __enter__(self) -> "ProcessExecutor":
        for slot in self._slots:
            slot.renew()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for slot in self._slots:
            slot.close()
        deadline = time.monotonic() + CLOSING_SECONDS
        for slot in self._slots:
            if not slot.runs and error is None:
                slot.join(max(0.0, deadline - time.monotonic()))
            slot.kill()

    @property
    def slots(self) -> Sequence[LocalSlot]:
        return self._slots

    @property
    def most_slots(self) -> int | None:
        return machine.most_workers(self.setup.resources)

    def resize(self, slots: int) -> None:
        super().resize(slots)
        self._slots += [self._slot(index) for index in range(len(self._slots), self._most)]

    def events(self) -> Iterator[tuple[Trial, Event]]:
        return self._resources.with_samples(super().events())

    def _prepare_attempt(self) -> None:
        if all(slot.is_alive for slot in self._busy()):  # else the cause of a death is still to be looked for
            self._deaths.begin()

    def _slot(self, index: int) -> LocalSlot:
        gpus = self.shares.gpus
        own = gpus[index % len(gpus)] if gpus else None
        return LocalSlot(partial(self._start, index, own), self._deaths, own)

    def _start(self, index: int, gpus: str | None) -> WorkerProcess:
        function = self.setup.function
        around = serve.Surroundings(function.name, function.modules, self.shares.threads, gpus, self.setup.log)
        warm = self.setup.warm or function.program is not None  # which is a process of its own
        return WorkerProcess.started(around, f"sweep-worker-{index}", warm=warm)
