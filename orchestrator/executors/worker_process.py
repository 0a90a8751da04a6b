"""A worker process, as the executor has it that it works for."""

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from orchestrator.executors.limits import ActiveTrial, Asked, WorkerLoss
from orchestrator.system import descendants
from orchestrator.worker import serve

CLOSING_SECONDS = 5


@dataclass(eq=False)
class Worker:
    """A worker process, its end of the pipe, and the trials that it is busy with, by their place in the stack."""

    process: SpawnProcess
    connection: Connection
    runs: dict[int, ActiveTrial] = field(default_factory=dict)
    gpus: str | None = None  # that it sees, as CUDA names them; None: all that there are
    has_shared: bool = False  # whether others have worked on them, too, since it began what it is busy with
    lost: bool = False  # its end of the pipe is closed, so it is dead or dying
    asked: Asked | None = None  # to end, if it was

    def send(self, message: serve.Message) -> None:
        with suppress(OSError):  # that it has died is seen when its events are read
            self.connection.send_bytes(serve.messages.dump_json(message))

    def receive(self) -> bytes | None:
        """The next message, or None if there is no message yet."""
        try:
            return self.connection.recv_bytes() if self.connection.poll() else None
        except (EOFError, OSError):  # closed, or cut off within a message
            self.lost = True
            return None

    @property
    def deadline(self) -> float:
        """When to look at it again, at the latest; that of the most patient of its trials."""
        return self.asked.until if self.asked else max(run.deadline for run in self.runs.values())

    def has_had_grace(self, cause: WorkerLoss) -> bool:
        """Whether it can be killed for this cause: at once, but where it runs a program, once that could have saved."""
        program = next(iter(self.runs.values())).task.program
        if program and not self.asked:
            self.asked = Asked(cause, time.monotonic() + program.grace + CLOSING_SECONDS)
            self.send(serve.Stop())
        return self.asked is None or time.monotonic() >= self.asked.until

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
