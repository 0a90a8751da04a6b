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
from orchestrator.attempt import Task
from orchestrator.divergence import DivergenceRule
from orchestrator.errors import InputError, SweepError
from orchestrator.events import Event, Finished, Progress, Started
from orchestrator.executors.patience import Limits, Run
from orchestrator.interrupt import Interrupt
from orchestrator.paths import LOG_FILE
from orchestrator.trial import Outcome, Params, Trial

CLOSING_SECONDS = 5
SECONDS_LATE = 1.0
MOST_AT_ONCE = 100  # events of a trial, before it is another's turn


@dataclass(eq=False)
class Worker:
    """A worker process, its end of the pipe, and the trial that it is busy with."""

    process: SpawnProcess
    connection: Connection
    run: "Run | None" = None
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
            known = {number.value: number.name for number in signal.Signals}
            return f"its worker was killed by {known.get(-code, f'signal {-code}')}"
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
        limits: Limits | None = None,
    ) -> None:
        self.function = function
        self.divergence = divergence
        self.interrupt = interrupt
        self.threads = threads
        self.log = log  # of what workers print outside trials
        self.gpus = gpus
        self.limits = limits or Limits()
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
            if slot.run is None and error is None:
                slot.process.join(max(0.0, deadline - time.monotonic()))
            slot.kill()

    @property
    def has_free_slot(self) -> bool:
        return any(slot is None or slot.run is None for slot in self._slots)

    @property
    def idle(self) -> bool:
        return not self._busy()

    def prepare(self, configs: Sequence[Params]) -> None:
        cause = ""
        for _ in range(self.limits.retries + 1):
            first = self._slots[0]
            if first is None or not first.process.is_alive():
                first = self._slots[0] = self._spawn(0)
            first.send(worker.Prepare(self.function, configs))
            problem = self._answer(first)
            if self.interrupt.requested:
                first.kill()
                return
            if problem:
                raise InputError(*problem.splitlines())
            if problem is not None:
                return
            cause = first.cause_of_death
            first.kill()
        raise SweepError(f"{self.function} could not be made ready: {cause} (see {self.log})")

    def submit(self, trial: Trial, workdir: Path, threads: int | None = None) -> None:
        workdir.mkdir(parents=True, exist_ok=True)
        task = Task(trial.function, trial.params, workdir, self.divergence, threads or self.threads)
        index = next(i for i, slot in enumerate(self._slots) if slot is None or slot.run is None)
        self._begin(index, Run(trial, task, self.limits))

    def events(self) -> Iterator[tuple[Trial, Event]]:
        busy = self._busy()
        soonest = min(run.deadline for _, run in busy)
        ends = [end for slot, _ in busy for end in (slot.connection, slot.process.sentinel)]
        wait([*ends, self.interrupt.fileno()], max(0.0, soonest - time.monotonic()))
        self._heed_interrupt()
        stood_still = time.monotonic() > soonest + SECONDS_LATE  # stopped, or asleep with the machine: trials were, too
        for slot, run in busy:
            if stood_still:
                run.last_sign = time.monotonic()
            for _ in range(MOST_AT_ONCE):
                event = self._event(slot, run)
                if event is None:
                    break
                yield run.trial, event
                if event.is_final:
                    break

    def _answer(self, asked: Worker) -> str | None:
        """What a worker answers, or None where it dies or the sweep is interrupted first."""
        while True:
            wait([asked.connection, asked.process.sentinel, self.interrupt.fileno()])
            self.interrupt.drain()
            dead = not asked.process.is_alive()  # before the pipe is read, as in `_event`
            answer = asked.receive()
            if answer is not None:
                return answer.decode()
            if dead or asked.lost or self.interrupt.requested:
                return None

    def _busy(self) -> list[tuple[Worker, Run]]:
        return [(slot, slot.run) for slot in self._slots if slot is not None and slot.run is not None]

    def _begin(self, index: int, run: Run) -> None:
        slot = self._slots[index]
        if slot is None or not slot.process.is_alive():  # it may have died while it had nothing to do
            slot = self._slots[index] = self._spawn(index)
        run.begin()
        slot.run = run
        slot.send(run.task)

    def _event(self, slot: Worker, run: Run) -> Event | None:
        """What a busy worker tells by now: an event, the end of its trial, or nothing."""
        dead = not slot.process.is_alive()  # before the pipe is read: what it still holds was sent before the death
        event = self._received(slot, run)
        if event is not None and event.is_final:
            slot.run = None
            return event
        if self.interrupt.at_once:
            return self._lost(slot, run, "it was interrupted")
        if run.is_out_of_time():
            return self._lost(
                slot, run, f"it ran longer than the trial timeout of {self.limits.trial_timeout:g} seconds"
            )
        if event is None and (dead or slot.lost):
            return self._lost(slot, run, slot.cause_of_death)
        if event is None and run.hangs():
            return self._lost(slot, run, f"it made no step for {run.patience:.0f} seconds")
        if isinstance(event, Started):
            run.begin()
        elif isinstance(event, Progress):
            run.has_reached(event.epoch)
        return event

    def _received(self, slot: Worker, run: Run) -> Event | None:
        message = slot.receive()
        while message == worker.BEAT:
            run.sign()
            message = slot.receive()
        try:
            return None if message is None else events.decode(message)
        except ValidationError:  # a trial that writes into our pipe is no reason to end the others
            slot.lost = True
            return None

    def _lost(self, slot: Worker, run: Run, reason: str) -> Finished | None:
        """End a worker; its trial is tried again from its checkpoint, or has failed."""
        index = self._slots.index(slot)
        slot.kill()
        slot.connection.close()
        self._slots[index] = None
        if self.interrupt.requested:
            return Finished(Outcome.INTERRUPTED)
        run.timeouts += run.is_out_of_time()
        run.deaths += 1
        if max(run.deaths, run.timeouts) > self.limits.retries:
            return Finished(Outcome.FAILED, reason=reason)
        with (run.task.workdir / LOG_FILE).open("a") as log:
            log.write(
                f"sweep: {reason}; going on from the last checkpoint, retry {run.deaths} of {self.limits.retries}\n"
            )
        self._begin(index, run)
        return None

    def _heed_interrupt(self) -> None:
        self.interrupt.drain()
        if self.interrupt.requested and not self._asked_to_stop:
            self._asked_to_stop = True
            for slot, _ in self._busy():
                slot.send(worker.Stop())

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
