"""Runs trials in spawned worker processes, one pipe each. A worker serves trial after trial; a dead one is replaced.

It has each done by a child of its own, and dies as the child does; a warm worker, or one that runs programs, does them
itself. Where trials are stacked it serves stack after stack, and its death ends an attempt at each trial of its stack.
"""

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from math import inf
from multiprocessing.connection import wait
from pathlib import Path
from types import TracebackType

from pydantic import ValidationError

from orchestrator import events
from orchestrator.errors import InputError, SweepError
from orchestrator.events import Event, Finished, Heartbeat, Progress, Started
from orchestrator.executors.contract import Setup
from orchestrator.executors.deaths import Deaths
from orchestrator.executors.limits import ActiveTrial, WorkerLoss, overdue
from orchestrator.executors.resources import ResourceSampler
from orchestrator.executors.worker_process import CLOSING_SECONDS, Worker
from orchestrator.system.machine import Shares
from orchestrator.system.paths import LOG_FILE
from orchestrator.system.regular import opened
from orchestrator.trial import Outcome, Params, Trial
from orchestrator.worker import serve
from orchestrator.worker.spawn import start

SECONDS_LATE = 1.0
MOST_AT_ONCE = 100  # events of a worker, before the next worker's turn


class ProcessExecutor:
    """A process for each slot, with its share of the threads and of the GPUs, where there are any.

    Submitted trials wait until `events` begins them, those of a stack together.
    """

    def __init__(self, setup: Setup, shares: Shares) -> None:
        self.setup = setup
        self.shares = shares
        self._resources = ResourceSampler()
        self._deaths = Deaths(self._resources)
        slots = shares.workers if setup.pending is None else min(shares.workers, setup.pending)
        self._slots: list[Worker | None] = [None] * slots
        self._waiting: list[ActiveTrial] = []
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
            if not slot.runs and error is None:
                slot.process.join(max(0.0, deadline - time.monotonic()))
            slot.kill()

    @property
    def has_free_slot(self) -> bool:
        return not self._keeps_alone and len(self._waiting) < len(self._free()) * self.setup.stacking.width

    @property
    def idle(self) -> bool:
        return not (self._busy() or self._waiting)

    def prepare(self, configs: Sequence[Params]) -> None:
        cause = ""
        for _ in range(self.setup.limits.retries + 1):
            first = self._slots[0]
            if first is None or not first.process.is_alive():
                first = self._slots[0] = self._spawn(0)
            first.send(serve.Prepare(self.setup.function.name, configs))
            answer = self._answer(first)
            if self.setup.interrupt.requested:
                first.kill()
                return
            if answer and answer.problem:
                raise InputError(*answer.problem.splitlines())
            if answer:
                if answer.remark:
                    self.setup.on_remark(answer.remark)
                return
            cause = self._deaths.cause(first.process, []).reason
            first.kill()
        raise SweepError(f"{self.setup.function.name} could not prepare its data: {cause} (see {self.setup.log})")

    def submit(self, trial: Trial, workdir: Path, threads: int | None = None) -> None:
        workdir.mkdir(parents=True, exist_ok=True)
        task = self.setup.task(trial, workdir, threads or self.setup.threads(trial, self.shares))
        self._waiting.append(ActiveTrial(trial, task, self.setup.limits))

    def stop(self, trial: Trial, reason: str) -> None:
        runs = [*self._waiting, *(run for slot in self._busy() for run in slot.runs.values())]
        next(run for run in runs if run.trial is trial).stop = reason

    def events(self) -> Iterator[tuple[Trial, Event]]:
        return self._resources.with_samples(self._reports())

    def _reports(self) -> Iterator[tuple[Trial, Event]]:
        if self.setup.interrupt.requested:
            waiting, self._waiting = self._waiting, []
            yield from ((run.trial, Finished(Outcome.INTERRUPTED)) for run in waiting)
        self._begin_stacks()
        busy = self._busy()
        if not busy:
            return
        soonest = min(slot.deadline for slot in busy)
        ends = [end for slot in busy for end in (slot.connection, slot.process.sentinel)]
        seconds = None if soonest == inf else max(0.0, soonest - time.monotonic())
        wait([*ends, self.setup.interrupt.fileno()], seconds)
        self._forward_interrupt()
        was_suspended = time.monotonic() > soonest + SECONDS_LATE  # so were the trials
        for slot in busy:
            for run in slot.runs.values() if was_suspended else ():
                run.last_heartbeat = time.monotonic()
            for _ in range(MOST_AT_ONCE):
                reports = [*self._reports_of(slot)]
                yield from reports
                self._answer_epochs(slot, reports)
                if not (reports and slot.runs):
                    break

    def _answer_epochs(self, slot: Worker, reports: Sequence[tuple[Trial, Event]]) -> None:
        epochs = [trial for trial, event in reports if isinstance(event, Progress)]
        for trial in epochs if self.setup.awaits_verdicts else ():
            row, run = next((row, run) for row, run in slot.runs.items() if run.trial is trial)
            slot.send(serve.Decision(row, run.stop))

    def _answer(self, worker: Worker) -> serve.Prepared | None:
        """The answer of a worker, or None where it dies or the sweep is interrupted first."""
        while True:
            wait([worker.connection, worker.process.sentinel, self.setup.interrupt.fileno()])
            self.setup.interrupt.drain()
            dead = not worker.process.is_alive()  # before the pipe is read, as in `_reports_of`
            answer = worker.receive()
            if answer is not None:
                return serve.answers.validate_json(answer)
            if dead or worker.lost or self.setup.interrupt.requested:
                return None

    def _busy(self) -> list[Worker]:
        return [slot for slot in self._slots if slot is not None and slot.runs]

    def _free(self) -> list[int]:
        return [index for index, slot in enumerate(self._slots) if slot is None or not slot.runs]

    @property
    def _keeps_alone(self) -> bool:
        """Whether a trial runs alone on the machine, or is about to."""
        running = (run for slot in self._busy() for run in slot.runs.values())
        return any(run.is_alone for run in (*self._waiting[:1], *running))

    def _begin_stacks(self) -> None:
        """Begin in the free slots the trials that have waited longest, each with those that stack with it."""
        for index in self._free():
            if not self._waiting or (self._keeps_alone and self._busy()):
                return
            key = self._key(self._waiting[0])
            stack: dict[int, ActiveTrial] = {}
            for run in self._waiting:
                if self._key(run) == key:
                    stack.setdefault(run.trial.place, run)
            self._waiting = [run for run in self._waiting if run not in stack.values()]
            self._begin(index, [*stack.values()])

    def _key(self, run: ActiveTrial) -> tuple[int | None, str, str]:
        """What the trials of a stack share. The last attempt is alone: another trial may have killed the worker."""
        alone = run.trial.trial_key if run.has_one_attempt_left or run.is_alone else ""
        return run.task.threads, self.setup.stacking.shape(run.trial), alone

    def _begin(self, index: int, stack: Sequence[ActiveTrial]) -> None:
        slot = self._slots[index]
        if slot is None or not slot.process.is_alive():  # it may have died while it had nothing to do
            slot = self._slots[index] = self._spawn(index)
        if all(busy.process.is_alive() for busy in self._busy()):  # else the cause of a death is still to be looked for
            self._deaths.begin()
        for run in stack:
            run.begin()
        beside = [other for other in self._busy() if other.gpus == slot.gpus]
        slot.runs, slot.asked, slot.has_shared = dict(enumerate(stack)), None, bool(beside)
        for other in beside:
            other.has_shared = True
        stops = {row: run.stop for row, run in slot.runs.items() if run.stop is not None}
        tasks, width = [run.task for run in stack], self.setup.stacking.width
        slot.send(serve.Stack(tasks, width, stops, self.setup.awaits_verdicts))

    def _reports_of(self, slot: Worker) -> Iterator[tuple[Trial, Event]]:
        """What a busy worker has sent by now: an event, the ends of its trials, or nothing."""
        dead = not slot.process.is_alive()  # before the pipe is read: what it still holds was sent before the death
        row, event = self._received(slot)
        if cause := self._cause_of_loss(slot, event, dead):
            yield from self._lost(slot, cause)
        elif event is not None and event.is_final:
            yield slot.runs.pop(row).trial, event
        elif event is not None:
            run = slot.runs[row]
            if isinstance(event, Started):
                run.begin_training()
            elif isinstance(event, Progress):
                run.has_reached(event.epoch)
            else:
                run.heartbeat()
            yield run.trial, event

    def _cause_of_loss(self, slot: Worker, event: Event | None, dead: bool) -> WorkerLoss | None:
        """Why a busy worker that has sent this has to be given up, if it has."""
        cause = slot.asked.cause if slot.asked else None
        if isinstance(event, Finished):
            is_ours = event.outcome is Outcome.INTERRUPTED and not self.setup.interrupt.requested
            of_event = WorkerLoss(event.reason or "", is_for_memory=event.infeasible is not None)
            is_loss = event.is_loss or (event.may_fit_alone and slot.has_shared)
            return of_event if is_loss else cause if is_ours else None
        if self.setup.interrupt.at_once:
            return WorkerLoss("it was interrupted")
        cause = cause or overdue([*slot.runs.values()], is_silent=event is None)
        if event is None and (dead or slot.lost):
            return cause or self._deaths.cause(slot.process, [run.trial for run in slot.runs.values()])
        return cause if cause and slot.has_had_grace(cause) else None

    def _received(self, slot: Worker) -> tuple[int, Event | None]:
        """The next event of a worker, after the heartbeats before it, and the place of its trial."""
        while (message := slot.receive()) is not None:
            try:
                row, sent = events.decode(message)
            except ValidationError:  # a trial that writes into our pipe must not end the others
                slot.lost = True
                break
            slot.lost = slot.lost or row not in slot.runs
            if slot.lost:
                break
            if not isinstance(sent, Heartbeat):
                return row, sent
            for run in slot.runs.values():
                run.heartbeat()
            self.setup.on_heartbeat(slot.runs[row].trial, sent)
        return 0, None

    def _lost(self, slot: Worker, loss: WorkerLoss) -> Iterator[tuple[Trial, Event]]:
        """End a worker; its trials are retried from their checkpoints, or have ended."""
        self._slots[self._slots.index(slot)] = None
        slot.kill()
        slot.connection.close()
        runs, slot.runs = [*slot.runs.values()], {}
        is_interrupted = self.setup.interrupt.requested
        for run in runs:
            run.die(loss)
        ended = [run for run in runs if is_interrupted or run.is_given_up]
        retried = [run for run in runs if run not in ended]
        self._waiting[:0] = retried
        for run in retried:
            how, *_ = loss.reason.split(": ")  # behind it stands what the log has, which may be read as metrics
            with suppress(OSError), opened(run.task.workdir / LOG_FILE, "ab") as log:
                log.write(f"sweep: {how}; resuming from the last checkpoint, {run.retry}\n".encode())
        for run in ended:
            yield run.trial, Finished(Outcome.INTERRUPTED) if is_interrupted else run.given_up(loss.reason)

    def _forward_interrupt(self) -> None:
        self.setup.interrupt.drain()
        if self.setup.interrupt.requested and not self._asked_to_stop:
            self._asked_to_stop = True
            for slot in self._busy():
                slot.send(serve.Stop())

    def _spawn(self, index: int) -> Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        gpus = self.shares.gpus
        own = gpus[index % len(gpus)] if gpus else None
        function = self.setup.function
        around = serve.Surroundings(function.name, function.modules, self.shares.threads, own, self.setup.log)
        is_warm = self.setup.warm or function.program is not None  # which is a process of its own
        arguments = (theirs, around, is_warm)
        process = context.Process(target=serve.serve, args=arguments, name=f"sweep-worker-{index}")
        start(process)
        theirs.close()
        return Worker(process, ours, gpus=own)
