"""A worker process of this machine, and the slot that has it."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from orchestrator.executors.deaths import Deaths
from orchestrator.executors.limits import WorkerLoss
from orchestrator.executors.slot import Slot
from orchestrator.system import descendants
from orchestrator.worker import serve
from orchestrator.worker.spawn import start


@dataclass(eq=False)
class WorkerProcess:
    """A worker process, and this end of its pipe."""

    process: SpawnProcess
    connection: Connection

    @classmethod
    def started(cls, around: serve.Surroundings, name: str, *, warm: bool) -> "WorkerProcess":
        """Start one; it ends with this process."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=serve.serve, args=(theirs, around, warm), name=name)
        start(process)
        theirs.close()
        return cls(process, ours)

    def kill(self) -> None:
        """End the process and what its trials may have started, whatever session that is in."""
        pid = self.process.pid or 0
        if self.process.is_alive():
            os.kill(pid, signal.SIGSTOP)  # what it has adopted is found below it as long as it lives
            descendants.kill_all(pid)
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        self.process.kill()
        self.process.join()
        self.connection.close()


class LocalSlot(Slot):
    """Has a worker process of this machine.

    Args:
        start: a worker.
        deaths: what the system knows of them.
        gpus: that it sees.
    """

    def __init__(self, start: Callable[[], WorkerProcess], deaths: Deaths, gpus: str | None) -> None:
        super().__init__(gpus)
        self._start = start
        self._deaths = deaths
        self._worker: WorkerProcess | None = None

    @property
    def ends(self) -> Sequence[Connection | int]:
        return (self._worker.connection, self._worker.process.sentinel) if self._worker else ()

    @property
    def is_alive(self) -> bool:
        return self._worker is not None and self._worker.process.is_alive()

    def renew(self) -> None:
        if not self.is_alive:  # it may have died while it had nothing to do
            self._worker, self.lost = self._start(), False

    def begin(self, stack: serve.Stack) -> None:
        self.send(stack)

    def send(self, message: serve.Message) -> None:
        if self._worker:
            with suppress(OSError):
                self._worker.connection.send_bytes(serve.messages.dump_json(message))

    def receive(self) -> bytes | None:
        try:
            has_message = self._worker is not None and self._worker.connection.poll()
            return self._worker.connection.recv_bytes() if self._worker and has_message else None
        except (EOFError, OSError):  # closed, or cut off within a message
            self.lost = True
            return None

    def cause_of_death(self) -> WorkerLoss:
        if self._worker is None:
            return WorkerLoss("it has none")
        return self._deaths.cause(self._worker.process, [run.trial for run in self.runs.values()])

    def close(self) -> None:
        """Have the worker end by itself, once it has nothing to do."""
        if self._worker:
            self._worker.connection.close()

    def join(self, seconds: float) -> None:
        """Wait for the end of the worker."""
        if self._worker:
            self._worker.process.join(seconds)

    def kill(self) -> None:
        if self._worker:
            self._worker.kill()
        self._worker, self.lost = None, False
