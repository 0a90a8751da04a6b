"""The loop of slots: it begins the trials that wait, stops them, gives up workers and retries their trials.

What a slot is and where its worker runs is for others to know: processes of this machine, or of others.
"""

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from math import inf
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import TracebackType

from pydantic import ValidationError

from orchestrator import events
from orchestrator.errors import InputError, SweepError
from orchestrator.events import Event, Finished, Heartbeat, Progress, Started
from orchestrator.executors import alone
from orchestrator.executors.contract import Setup
from orchestrator.executors.limits import MOST_NODES, ActiveTrial, WorkerLoss, overdue
from orchestrator.executors.slot import Slot
from orchestrator.system.machine import Shares
from orchestrator.system.paths import LOG_FILE
from orchestrator.system.regular import opened
from orchestrator.trial import Outcome, Params, Trial
from orchestrator.worker import serve

SECONDS_LATE = 1.0
MOST_AT_ONCE = 100  # events of a worker, before the next worker's turn


class SlotExecutor(ABC):
    """Runs trials in slots, those of a stack together. Submitted trials wait until `events` begins them.

    How many slots there are may change while it runs.
    """

    def __init__(self, setup: Setup, shares: Shares) -> None:
        self.setup = setup
        self.shares = shares
        self._waiting: list[ActiveTrial] = []
        self._asked_to_stop = False
        self._most = shares.workers if setup.pending is None else min(shares.workers, setup.pending)
        self._limit: int | None = None  # of busy slots, once somebody has asked for one
        self._prepared: set[str] = set()  # machines that have the data of `prepare`

    @property
    @abstractmethod
    def slots(self) -> Sequence[Slot]:
        """Those in which trials run, or can begin now."""

    @abstractmethod
    def __enter__(self) -> "SlotExecutor": ...

    @abstractmethod
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    @property
    def _ends(self) -> Sequence[Connection | int]:
        """What becomes readable when something happens that is not of one slot alone."""
        return ()

    @property
    def _due(self) -> float:
        """When to look again for that, at the latest."""
        return inf

    def _attend(self) -> None:  # noqa: B027 - most have nothing to look for
        """Look for that, after each wait."""

    def _prepare_attempt(self) -> None:  # noqa: B027
        """An attempt is about to begin."""

    def _may_still_run(self, run: ActiveTrial) -> bool:
        """Whether a worker that was given up may yet be at a trial that waits."""
        return False

    @property
    def has_free_slot(self) -> bool:
        allowed = inf if self._limit is None else (self._limit - len(self._busy())) * self.setup.stacking.width
        return len(self._waiting) < allowed and self._has_place

    @property
    def _has_place(self) -> bool:
        """Whether there is a slot for a further trial, however many may run."""
        kept = alone.kept(self.slots, self._waiting)
        free = sum(1 for slot in self.slots if not slot.runs and slot.machine not in kept)
        return len(self._waiting) < free * self.setup.stacking.width

    @property
    def most_slots(self) -> int | None:
        return None

    def resize(self, slots: int) -> None:
        self._limit = slots
        self._most = slots if self.setup.pending is None else min(slots, self.setup.pending)

    @property
    def idle(self) -> bool:
        return not (self._busy() or self._waiting)

    def prepare(self, configs: Sequence[Params]) -> None:
        deaths = nodes = 0
        while True:
            slot = self._first_slot()
            if slot is None:
                return
            slot.renew()
            slot.send(serve.Prepare(self.setup.function.name, configs))
            answer = self._answer(slot)
            if self.setup.interrupt.requested:
                slot.kill()
                return
            if answer and answer.problem:
                raise InputError(*answer.problem.splitlines())
            if answer:
                self._prepared.add(slot.machine)
                if answer.remark:
                    self.setup.on_remark(answer.remark)
                return
            loss = slot.cause_of_death()
            slot.kill()
            deaths += not (loss.is_of_node or loss.is_planned)
            nodes += loss.is_of_node and not loss.is_planned
            if deaths > self.setup.limits.retries or nodes >= MOST_NODES:
                why = f"{loss.reason} (see {self.setup.log})"
                raise SweepError(f"{self.setup.function.name} could not prepare its data: {why}")

    def submit(self, trial: Trial, workdir: Path, threads: int | None = None) -> None:
        workdir.mkdir(parents=True, exist_ok=True)
        task = self.setup.task(trial, workdir, threads or self.setup.threads(trial, self.shares))
        self._waiting.append(ActiveTrial(trial, task, self.setup.limits))

    def stop(self, trial: Trial, reason: str) -> None:
        for slot in self._busy():
            for row, run in slot.runs.items():
                if run.trial is trial:
                    run.stop = reason
                    if not self.setup.awaits_verdicts:
                        slot.send(serve.Decision(row, reason))
                    return
        next(run for run in self._waiting if run.trial is trial).stop = reason

    def events(self) -> Iterator[tuple[Trial, Event]]:
        if self.setup.interrupt.requested:
            waiting, self._waiting = self._waiting, []
            yield from ((run.trial, Finished(Outcome.INTERRUPTED)) for run in waiting)
        self._begin_stacks()
        busy = self._busy()
        if not (busy or self._waiting) and (self._limit != 0 or self.setup.interrupt.requested):
            return
        soonest = min((slot.deadline for slot in busy), default=inf)
        self._wait(busy, soonest)
        self._forward_interrupt()
        was_suspended = time.monotonic() > soonest + SECONDS_LATE  # so were the trials
        for slot in busy:
            for _ in range(MOST_AT_ONCE):
                asked = time.monotonic()
                for run in slot.runs.values() if was_suspended else ():
                    run.last_heartbeat = asked
                reports = [*self._reports_of(slot)]
                yield from reports
                was_suspended = was_suspended or time.monotonic() > asked + SECONDS_LATE
                self._answer_epochs(slot, reports)
                if not (reports and slot.runs):
                    break

    def _answer_epochs(self, slot: Slot, reports: Sequence[tuple[Trial, Event]]) -> None:
        epochs = [trial for trial, event in reports if isinstance(event, Progress)]
        for trial in epochs if self.setup.awaits_verdicts else ():
            row, run = next((row, run) for row, run in slot.runs.items() if run.trial is trial)
            slot.send(serve.Decision(row, run.stop))

    def _wait(self, slots: Sequence[Slot], until: float = inf) -> None:
        """Wait until something happens in these slots or around them, or until a time."""
        until = min(until, self._due)
        ends = [*self._ends, *(end for slot in slots for end in slot.ends)]
        wait([*ends, self.setup.interrupt.fileno()], None if until == inf else max(0.0, until - time.monotonic()))
        self._attend()

    def _first_slot(self) -> Slot | None:
        """A slot, once there is one; None where the sweep is interrupted before that."""
        while not self.slots:
            self._wait(())
            self.setup.interrupt.drain()
            if self.setup.interrupt.requested:
                return None
        return self.slots[0]

    def _answer(self, slot: Slot) -> serve.Prepared | None:
        """The answer of a worker, or None where it dies or the sweep is interrupted first."""
        while True:
            self._wait([slot])
            self.setup.interrupt.drain()
            dead = not slot.is_alive  # before the pipe is read, as in `_reports_of`
            answer = slot.receive()
            if answer is not None:
                return serve.answers.validate_json(answer)
            if dead or slot.lost or self.setup.interrupt.requested:
                return None

    def _busy(self) -> list[Slot]:
        return [slot for slot in self.slots if slot.runs]

    def _begin_stacks(self) -> None:
        """Begin in the free slots the trials that have waited longest, each with those that stack with it."""
        waiting = [run for run in self._waiting if not self._may_still_run(run)]
        if not waiting:
            return
        one_each = self.setup.stacking.width == 1  # then no more were submitted than there was room for
        room = inf if self._limit is None or one_each else self._limit - len(self._busy())
        kept, begun = alone.kept(self.slots, self._waiting), set[int]()
        free = deque(slot for slot in self.slots if not slot.runs and slot.machine not in kept)
        by_key: dict[object, list[ActiveTrial]] = {}
        for run in waiting:
            by_key.setdefault(self._key(run), []).append(run)
        for first in waiting:
            if id(first) in begun or (room <= 0 and not first.was_begun):  # what has lost its worker goes on
                continue
            slot = alone.quiet_slot(self.slots) if first.is_alone else free.popleft() if free else None
            if first.is_alone:
                free = deque(other for other in free if slot is None or other.machine != slot.machine)
            if slot is not None:
                stack: dict[int, ActiveTrial] = {}
                for run in by_key[self._key(first)]:
                    if id(run) not in begun:
                        stack.setdefault(run.trial.place, run)
                begun |= {id(run) for run in stack.values()}
                self._begin(slot, [*stack.values()])
                room -= 1
        self._waiting = [run for run in self._waiting if id(run) not in begun]

    def _key(self, run: ActiveTrial) -> tuple[int | None, str, str]:
        """What the trials of a stack share. The last attempt is alone: another trial may have killed the worker."""
        alone = run.trial.trial_key if run.has_one_attempt_left or run.is_alone else ""
        return run.task.threads, self.setup.stacking.shape(run.trial), alone

    def _begin(self, slot: Slot, stack: Sequence[ActiveTrial]) -> None:
        slot.renew()
        self._prepare_attempt()
        for run in stack:
            run.begin()
        own = slot.machine, slot.gpus
        beside = [other for other in self._busy() if (other.machine, other.gpus) == own]
        slot.runs, slot.asked, slot.has_shared = dict(enumerate(stack)), None, bool(beside)
        for other in beside:
            other.has_shared = True
        stops = {row: run.stop for row, run in slot.runs.items() if run.stop is not None}
        tasks, width = [run.task for run in stack], self.setup.stacking.width
        slot.begin(serve.Stack(tasks, width, stops, self.setup.awaits_verdicts))

    def _reports_of(self, slot: Slot) -> Iterator[tuple[Trial, Event]]:
        """What a busy worker has sent by now: an event, the ends of its trials, or nothing."""
        dead = not slot.is_alive  # before the pipe is read: what it still holds was sent before the death
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

    def _cause_of_loss(self, slot: Slot, event: Event | None, dead: bool) -> WorkerLoss | None:
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
            return cause or slot.cause_of_death()
        return cause if cause and slot.has_had_grace(cause) else None

    def _received(self, slot: Slot) -> tuple[int, Event | None]:
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

    def _lost(self, slot: Slot, loss: WorkerLoss) -> Iterator[tuple[Trial, Event]]:
        """End a worker; its trials are retried from their checkpoints, or have ended."""
        slot.kill()
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
