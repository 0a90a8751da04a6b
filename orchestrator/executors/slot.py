"""A slot: it has a worker, here or on another machine, and another one once that is lost."""

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from multiprocessing.connection import Connection

from orchestrator.executors.limits import ActiveTrial, Asked, WorkerLoss
from orchestrator.worker import serve

CLOSING_SECONDS = 5


class Slot(ABC):
    """Runs one stack of trials after the other: those that it is busy with are in `runs`, by their place in the stack.

    `lost` says that nothing more can come from its worker.
    """

    machine = ""  # on which it is; what runs alone has one of them to itself

    def __init__(self, gpus: str | None = None) -> None:
        self.gpus = gpus  # that its worker sees, as CUDA names them; None: all that there are
        self.has_shared = False  # whether others have worked on them, too, since it began what it is busy with
        self.runs: dict[int, ActiveTrial] = {}
        self.lost = False
        self.asked: Asked | None = None  # its worker to end, if it was

    @property
    @abstractmethod
    def ends(self) -> Sequence[Connection | int]:
        """What becomes readable when there is something to receive, or its worker has died."""

    @property
    @abstractmethod
    def is_alive(self) -> bool:
        """Whether its worker lives; what it had sent before its end can still be received."""

    @abstractmethod
    def renew(self) -> None:
        """Have a worker that lives; called while nothing runs."""

    @abstractmethod
    def begin(self, stack: serve.Stack) -> None:
        """Have the trials begin that are in `runs`."""

    @abstractmethod
    def send(self, message: serve.Message) -> None:
        """Send a message to the worker; that it has died is seen when its events are read."""

    @abstractmethod
    def receive(self) -> bytes | None:
        """The next message of the worker, or None if there is none yet. The folders here hold what belongs to it."""

    @abstractmethod
    def cause_of_death(self) -> WorkerLoss:
        """Of what its worker has died."""

    @abstractmethod
    def kill(self) -> None:
        """End the worker and what its trials may have started, whatever session that is in."""

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
