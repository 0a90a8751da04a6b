"""Runs trials in spawned worker processes, one pipe each. A worker serves trial after trial; a dead one is replaced."""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import TracebackType

from pydantic import ValidationError

from orchestrator import events, worker
from orchestrator.divergence import DivergenceRule
from orchestrator.errors import InputError, SweepError
from orchestrator.events import Event, Finished, Started
from orchestrator.interrupt import Interrupt
from orchestrator.trial import Outcome, Params, Trial

CLOSING_SECONDS = 5


@dataclass(eq=False)
class Worker:
    """A worker process, its end of the pipe, and the trial that it is busy with."""

    process: SpawnProcess
    connection: Connection
    trial: Trial | None = None
    deadline: float = float("inf")
    lost: bool = False  # its end of the pipe is closed, so it is dead or dying

    def send(self, message: worker.Message) -> None:
        with suppress(OSError):  # that it has died is seen when its events are read
            self.connection.send_bytes(worker.messages.dump_json(message))

    def receive(self) -> bytes | None:
        """The next message, or None if there is none by now."""
        try:
            return self.connection.recv_bytes() if self.connection.poll() else None
        except (EOFError, OSError):  # closed, or cut off within a message
            self.lost = True
            return None

    def kill(self) -> None:
        """End the process and the children that its trial may have started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid or 0, signal.SIGKILL)
        self.process.kill()
        self.process.join()

    @property
    def cause_of_death(self) -> str:
        self.process.join(CLOSING_SECONDS)
        code = self.process.exitcode
        if code is not None and code < 0:
            return f"its worker was killed by {signal.Signals(-code).name}"
        return f"its worker exited with status {code}"


class ProcessExecutor:
    """`workers` processes, each with `threads` threads, and with one of the GPUs where there are any."""

    def __init__(
        self,
        function: str,
        divergence: DivergenceRule,
        interrupt: Interrupt,
        *,
        workers: int,
        threads: int,
        log: Path = Path(os.devnull),
        gpus: Sequence[str] = (),
        trial_timeout: float | None = None,
    ) -> None:
        self.function = function
        self.divergence = divergence
        self.interrupt = interrupt
        self.threads = threads
        self.log = log  # of what workers print outside trials
        self.gpus = gpus
        self.trial_timeout = trial_timeout
        self._slots: list[Worker | None] = [None] * workers
        self._asked_to_stop = False

    def __enter__(self) -> "ProcessExecutor":
        self._slots = [self._spawn(i) for i in range(len(self._slots))]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        alive = [slot for slot in self._slots if slot is not None]
        for slot in alive:
            slot.connection.close()
        deadline = time.monotonic() + CLOSING_SECONDS
        for slot in alive:
            if slot.trial is None and error is None:
                slot.process.join(max(0.0, deadline - time.monotonic()))
            slot.kill()

    @property
    def has_free_slot(self) -> bool:
        return any(slot is None or slot.trial is None for slot in self._slots)

    @property
    def idle(self) -> bool:
        return not self._busy()

    def prepare(self, configs: Sequence[Params]) -> None:
        first = self._slots[0] or self._spawn(0)
        first.send(worker.Prepare(self.function, configs))
        problem = None
        while problem is None and not first.lost:
            wait([first.connection, first.process.sentinel, self.interrupt.fileno()])
            self.interrupt.drain()
            if self.interrupt.requested:
                first.kill()
                self._slots[0] = None
                return
            dead = not first.process.is_alive()
            problem = first.receive()
            first.lost |= dead and problem is None
        if problem is None:
            raise SweepError(f"{self.function} could not be made ready: {first.cause_of_death} (see {self.log})")
        if problem:
            raise InputError(*problem.decode().splitlines())

    def submit(self, trial: Trial, workdir: Path) -> None:
        index = next(i for i, slot in enumerate(self._slots) if slot is None or slot.trial is None)
        slot = self._slots[index] or self._spawn(index)
        if not slot.process.is_alive():  # it died while it had nothing to do
            slot = self._spawn(index)
        self._slots[index] = slot
        workdir.mkdir(parents=True, exist_ok=True)
        slot.trial = trial
        slot.deadline = self._deadline()
        slot.send(worker.Task(trial.function, trial.params, workdir, self.divergence))

    def events(self) -> Iterator[tuple[Trial, Event]]:
        busy = self._busy()
        soonest = min(slot.deadline for slot in busy)
        timeout = None if soonest == float("inf") else max(0.0, soonest - time.monotonic())
        connections = [slot.connection for slot in busy]
        wait([*connections, *(slot.process.sentinel for slot in busy), self.interrupt.fileno()], timeout)
        self._heed_interrupt(busy)
        for slot in busy:
            trial = slot.trial
            event = self._event(slot)
            if trial is not None and event is not None:
                yield trial, event

    def _busy(self) -> list[Worker]:
        return [slot for slot in self._slots if slot is not None and slot.trial is not None]

    def _event(self, slot: Worker) -> Event | None:
        """What a busy worker tells by now: an event, its own death, or nothing."""
        dead = not slot.process.is_alive()  # before the pipe is read: what it still holds was sent before the death
        event = self._received(slot)
        if event is not None and event.is_final:
            slot.trial, slot.deadline = None, float("inf")
            return event
        if self.interrupt.at_once:
            return self._lost(slot, "it was interrupted")
        if time.monotonic() >= slot.deadline:
            return self._lost(slot, f"it ran longer than the trial timeout of {self.trial_timeout:g} seconds")
        if event is None and (dead or slot.lost):
            return self._lost(slot, slot.cause_of_death)
        if isinstance(event, Started):
            slot.deadline = self._deadline()
        return event

    def _received(self, slot: Worker) -> Event | None:
        message = slot.receive()
        try:
            return None if message is None else events.decode(message)
        except ValidationError:  # a trial that writes into our pipe is no reason to end the others
            slot.lost = True
            return None

    def _lost(self, slot: Worker, reason: str) -> Finished:
        slot.kill()
        slot.connection.close()
        self._slots[self._slots.index(slot)] = None
        if self.interrupt.requested:
            return Finished(Outcome.INTERRUPTED)
        return Finished(Outcome.FAILED, reason=reason)

    def _heed_interrupt(self, busy: Sequence[Worker]) -> None:
        self.interrupt.drain()
        if self.interrupt.requested and not self._asked_to_stop:
            self._asked_to_stop = True
            for slot in busy:
                slot.send(worker.Stop())

    def _deadline(self) -> float:
        return float("inf") if self.trial_timeout is None else time.monotonic() + self.trial_timeout

    def _spawn(self, index: int) -> Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        gpu = self.gpus[index % len(self.gpus)] if self.gpus else None
        process = context.Process(
            target=worker.serve, args=(theirs, self.function, self.threads, gpu, self.log), name=f"sweep-worker-{index}"
        )
        # until it ignores Ctrl-C itself, the child would answer one with a traceback
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        theirs.close()
        return Worker(process, ours)
