"""What runs in a job: it serves its orchestrator with trial after trial, until its time is nearly over.

It outlives its orchestrator: the trial that runs goes on, and a later launch that is found in time takes it over.
"""

import os
import signal
import socket
import sys
import time
import uuid
from contextlib import suppress
from math import inf
from multiprocessing.connection import wait
from pathlib import Path
from types import FrameType

from pydantic import ValidationError

from orchestrator import events
from orchestrator.executors.deaths import Deaths
from orchestrator.executors.limits import ActiveTrial, WorkerLoss
from orchestrator.executors.local import LocalSlot, WorkerProcess
from orchestrator.executors.remote.greeting import RefusedError
from orchestrator.executors.remote.link import Link
from orchestrator.executors.resources import ResourceSampler
from orchestrator.executors.slurm import orders
from orchestrator.executors.slurm.clock import Clock
from orchestrator.executors.slurm.door import Caller, Door
from orchestrator.executors.slurm.held import Held
from orchestrator.executors.slurm.orders import Adopt, EndJob, Kill, Pass, Serve, Word
from orchestrator.trial import Trial
from orchestrator.worker import serve
from orchestrator.worker.runner import Task

REVOKED = "revoked"  # the folder of files named by sessions that are to end
SECONDS_BETWEEN_CALLS = 2.0  # for an orchestrator that is away
SECONDS_TO_BE_FOUND = 600.0  # before a first launch has said how long it is to wait
SECONDS_BETWEEN_LOOKS, SECONDS_BETWEEN_FLUSHES = 1.0, 0.02
SECONDS_OF_SILENCE = 60.0  # of an orchestrator, after which the connection is taken to be cut
SECONDS_TO_SAY_GOODBYE = 15.0


class JobServer:
    """The job, from its beginning to its end.

    Args:
        folder: on the shared disk, where the orchestrator leaves its address.
        clock: of the job.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.folder = folder
        self.session = uuid.uuid4().hex
        self._clock = clock
        self._signals, self._woken = os.pipe()
        os.set_blocking(self._signals, False)
        self._signalled = ""
        self._link = Link()
        self._caller = Caller(self.session)
        self._launch = ""
        self._serve: Serve | None = None
        self._resources = ResourceSampler()
        self._deaths = Deaths(self._resources)
        self._worker = LocalSlot(self._start, self._deaths, None)
        self._attempt = 0
        self._is_preparing = False
        self._held: Held | None = None
        self._is_stale = False  # whether the worker is of an earlier launch
        self._is_ours = True  # whether what runs has been begun, or adopted, by the launch that is served
        self._leaving: WorkerLoss | None = None
        self._goodbye = inf
        self._is_over = False
        self._busy_until, self._called = time.monotonic(), -inf

    def run(self) -> None:
        """Serve until the end."""
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
            signal.signal(number, self._on_signal)
        try:
            while not self._is_over:
                connection = self._link.connection
                ends = [self._signals, *([connection] if connection else []), *self._worker.ends]
                wait(ends, SECONDS_BETWEEN_FLUSHES if self._link.wants_to_write else SECONDS_BETWEEN_LOOKS)
                self._look()
        finally:
            self._worker.kill()
            self._link.detach()

    def _look(self) -> None:
        """Do all that there is to do now."""
        with suppress(BlockingIOError):
            os.read(self._signals, 4096)
        if self._link.connection is None:
            self._call()
        self._link.pump()
        while (message := self._link.receive()) is not None:
            self._obey(orders.orders.validate_json(message))
        if time.monotonic() - self._link.heard > SECONDS_OF_SILENCE:
            self._link.detach()
        self._pass_on()
        self._sample()
        self._consider_leaving()

    # The orchestrator

    def _call(self) -> None:
        """Look for an orchestrator, a few seconds apart."""
        now = time.monotonic()
        if now - self._called < SECONDS_BETWEEN_CALLS:
            return
        self._called = now
        door = Door.read(self.folder)
        with suppress(OSError):  # the folder is read anew, where what is known of a file may be old
            self._is_over = any(each.name == self.session for each in (self.folder / REVOKED).iterdir())
        if self._is_over or door is None:
            return
        link = self._link if door.key == self._launch else Link()
        try:
            if self._caller.dial(door, link) and link is not self._link:
                self._begin_launch(door.key, link)
        except RefusedError:
            self._is_over = True

    def _begin_launch(self, launch: str, link: Link) -> None:
        """Another launch has been found: tell it what runs."""
        self._launch, self._link, self._attempt = launch, link, 0
        self._is_stale = True
        self._is_preparing, self._busy_until = False, time.monotonic()
        held = self._held.folders if self._held else {}
        awaits = bool(self._held and self._held.stack.awaits_verdicts)
        self._is_ours = not held
        hello = orders.Hello(_own_name(), socket.gethostname(), held, awaits, self._leaving)
        link.send(orders.said(Word.HELLO, 0, orders.hellos.dump_json(hello)))

    def _obey(self, order: orders.Order) -> None:
        match order:
            case Serve():
                self._serve = order
            case Pass():
                self._pass_down(order)
            case Adopt(attempt, rows) if self._held:
                self._attempt, self._is_ours = attempt, True
                for message in (told for row in rows for told in self._held.told(row)):
                    self._say(Word.SENT, message)
            case Adopt():
                self._attempt = order.attempt
                self._died(WorkerLoss("its trials had ended", is_planned=True))
            case Kill(attempt):
                self._end_worker()
                self._attempt = attempt
                self._say(Word.KILLED)
            case EndJob():
                self._is_over = True

    def _pass_down(self, order: Pass) -> None:
        """Give a message to the worker."""
        message = order.message
        if isinstance(message, serve.Stack | serve.Prepare):
            self._attempt, self._is_ours = order.attempt, True
            if self._leaving:
                self._died(self._leaving)
                return
            if self._is_stale:  # what it has imported may have changed since
                self._worker.kill()
            self._worker.renew()
            self._deaths.begin()
            self._is_stale = False
            self._is_preparing = isinstance(message, serve.Prepare)
            self._held = Held(message) if isinstance(message, serve.Stack) else None
            tasks = message.tasks if isinstance(message, serve.Stack) else []
            self._worker.runs = {row: self._run(row, task) for row, task in enumerate(tasks)}
            self._clock.grace = max((task.program.grace for task in tasks if task.program), default=0.0)
        elif order.attempt != self._attempt:
            return
        if self._held:
            self._held.answered(message)
        self._worker.send(message)

    def _say(self, word: Word, content: bytes = b"") -> None:
        if self._is_ours and self._launch:
            self._link.send(orders.said(word, self._attempt, content))

    # The worker

    def _pass_on(self) -> None:
        """Tell of what the worker has sent, and of its death."""
        if not self._is_busy:
            return
        dead = not self._worker.is_alive  # before the pipe is read: what it still holds was sent before the death
        while self._is_busy and (message := self._worker.receive()) is not None:
            self._busy_until = time.monotonic()
            is_heartbeat = self._held is not None and not self._is_preparing and self._observe(message, self._held)
            self._is_preparing = False
            if not is_heartbeat or self._link.connection:
                self._say(Word.SENT, message)
        if self._is_busy and (dead or self._worker.lost):
            self._died(self._worker.cause_of_death())

    def _observe(self, message: bytes, held: Held) -> bool:
        """Learn what the worker says of its trials; whether that is no more than a sign of life."""
        try:
            row, event = events.decode(message)
        except ValidationError:  # a trial that writes into our pipe must not end the others
            self._worker.lost = True
            return False
        if row not in self._worker.runs:
            self._worker.lost = True
            return False
        if isinstance(event, events.Started):
            self._worker.runs[row].begin_training()
        else:
            for run in self._worker.runs.values():
                run.heartbeat()
        if isinstance(event, events.Heartbeat):
            return True
        held.take(row, event, message)
        if isinstance(event, events.Progress):
            self._clock.saw_epoch(event.seconds)
        self._resources.observe(self._worker.runs[row].trial, event)
        if not held.running and not self._is_ours:
            self._link.send(orders.said(Word.FREE, 0))
        return False

    def _died(self, loss: WorkerLoss) -> None:
        self._end_worker()
        if self._is_ours:
            self._say(Word.DIED, orders.losses.dump_json(loss))
        else:
            self._link.send(orders.said(Word.FREE, 0))

    def _end_worker(self) -> None:
        self._worker.kill()
        self._worker.runs = {}
        self._held, self._is_preparing = None, False

    @property
    def _is_busy(self) -> bool:
        return self._is_preparing or bool(self._held and self._held.running)

    @property
    def _is_stuck(self) -> bool:
        """Whether what runs hangs, or waits for an orchestrator that is away."""
        if self._link.connection is not None or not self._is_busy:
            return False
        return self._held is None or self._held.awaits_verdicts or all(r.hangs() for r in self._worker.runs.values())

    def _sample(self) -> None:
        for trial, sample in self._resources.samples():
            self._say(Word.SENT, events.encode(int(trial.label), sample))

    def _start(self) -> WorkerProcess:
        assert self._serve  # noqa: S101
        return WorkerProcess.started(self._serve.around, "sweep-worker", warm=self._serve.warm)

    def _run(self, row: int, task: Task) -> ActiveTrial:
        """A trial as the worker's slot here has it; its limits are kept here where the orchestrator is away."""
        assert self._serve  # noqa: S101
        return ActiveTrial(Trial(task.function, 0, task.params, str(row)), task, self._serve.limits)

    # The end

    def _consider_leaving(self) -> None:
        """End in order, where Slurm or the clock asks for it, or nobody has anything to do."""
        now = time.monotonic()
        if self._leaving is None and not self._is_over:
            self._leaving = self._reason_to_leave(now)
            if self._leaving is not None:
                self._link.send(orders.said(Word.LEAVING, 0, orders.losses.dump_json(self._leaving)))
                if self._held and self._held.running:
                    self._held.answered(serve.Stop())
                    self._worker.send(serve.Stop())
        is_at_work = self._is_busy and not self._is_stuck
        if self._leaving is None or is_at_work or self._is_over:
            return
        if self._goodbye == inf:
            self._goodbye = now + SECONDS_TO_SAY_GOODBYE
            self._worker.kill()
            self._link.send(orders.said(Word.LEFT, 0))
        is_cut = self._link.connection is None  # so nobody hears it any more, or has heard it
        self._is_over = is_cut or self._link.is_delivered or now > self._goodbye

    def _reason_to_leave(self, now: float) -> WorkerLoss | None:
        if self._signalled:
            return WorkerLoss(f"its job was asked to end by {self._signalled}", is_planned=True)
        if self._clock.is_nearly_over:
            return WorkerLoss("the time of its job was nearly over", is_of_node=True)
        if self._is_busy and not self._is_stuck:
            self._busy_until = now
        patience = self._serve.idle if self._serve else SECONDS_TO_BE_FOUND
        is_idle = now - self._busy_until > patience
        return WorkerLoss("its job had had nothing to do", is_planned=True) if is_idle else None

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signalled = signal.Signals(number).name
        with suppress(OSError):
            os.write(self._woken, b".")


def _own_name() -> str:
    """Of this job, as `squeue` has it."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID", "")


def main() -> None:
    """Serve the launch whose folder is the only argument."""
    JobServer(Path(sys.argv[1]), Clock()).run()
