"""How long a worker may be silent, how often it may die, and how long a trial may take."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

from orchestrator.divergence import FARTHEST, NEAREST
from orchestrator.events import Finished, Infeasibility
from orchestrator.trial import Outcome, Trial
from orchestrator.worker.runner import Task

MOST_NODES = 3  # machines that a trial may lose without a new epoch: it may be what kills them


@dataclass(frozen=True)
class Limits:
    """When a worker is given up. A trial is retried from its checkpoint unless it makes no progress."""

    retries: int = 2  # deaths of a worker in a row, without a new whole epoch between them, that a trial survives
    stall_seconds: float = 120.0  # without a heartbeat: the least that counts as hanging
    stall_factor: float = 10.0  # and the longest wait that the trial has had so far, times this
    trial_timeout: float | None = None  # seconds that the attempts at a trial may take together


@dataclass(frozen=True)
class WorkerLoss:
    """Why a worker is given up, in words.

    Args:
        reason: in words.
        is_for_memory: whether the system has killed it, or its program, for its memory.
        is_of_node: whether the machine that it was on is lost, so that its trials have nothing to do with it.
        is_planned: whether that was announced, or somebody has asked for it: it counts for nothing.
    """

    reason: str
    is_for_memory: bool = False
    is_of_node: bool = False
    is_planned: bool = False


@dataclass(frozen=True)
class Asked:
    """That a worker has been asked to end what it runs: why, and when it is killed if it has not done so."""

    cause: WorkerLoss
    until: float


@dataclass(eq=False)
class ActiveTrial:
    """A trial in a worker: how it is doing, over all attempts."""

    trial: Trial
    task: Task
    limits: Limits
    stop: str | None = None  # why it is to end after its last reported epoch, once that is decided
    deaths: int = 0
    nodes_lost: int = 0  # under it, since its last new epoch
    epoch: int = 0
    spent: float = 0.0  # seconds, in earlier attempts
    timed_out: bool = False
    is_alone: bool = False  # whether nothing else is to run beside it: it was killed for memory, as others may have had
    lacks_memory: bool = False  # it was so alone, too
    has_another: bool = False  # attempt, however often it has died: the first one alone
    was_begun: bool = False  # in an attempt, this one or an earlier one
    started: float = inf  # when this attempt began to train: what its worker takes to start is not the trial's
    last_heartbeat: float = field(default_factory=time.monotonic)
    has_heartbeats: bool = False  # in this attempt
    longest_wait: float = 0.0

    def begin(self) -> None:
        """A new attempt begins."""
        self.started, self.last_heartbeat, self.was_begun = inf, time.monotonic(), True
        self.has_heartbeats = False

    def begin_training(self) -> None:
        """The trial function of this attempt is called."""
        self.begin()
        self.started = self.last_heartbeat

    def die(self, loss: WorkerLoss) -> None:
        """The attempt has ended without a result."""
        self.timed_out = self.is_out_of_time()
        self.spent += max(0.0, time.monotonic() - self.started)
        self.deaths += not (loss.is_of_node or loss.is_planned)
        self.nodes_lost += loss.is_of_node and not loss.is_planned
        self.lacks_memory = loss.is_for_memory and self.is_alone
        self.has_another = loss.is_for_memory and not self.is_alone
        self.is_alone = self.is_alone or loss.is_for_memory

    def heartbeat(self) -> None:
        """The trial has shown that it lives."""
        now = time.monotonic()
        waited = now - self.last_heartbeat
        if waited <= self.patience:  # a longer wait is not counted: this process itself was suspended
            self.longest_wait = max(self.longest_wait, waited)
        self.last_heartbeat, self.has_heartbeats = now, True

    def has_reached(self, epoch: int) -> None:
        """The trial has reported an epoch."""
        self.heartbeat()
        if epoch > self.epoch:
            self.epoch, self.deaths, self.nodes_lost = epoch, 0, 0

    @property
    def is_given_up(self) -> bool:
        """Whether it has died too often, or taken too long in all, or lacks memory even alone."""
        if self.timed_out or self.lacks_memory or self.nodes_lost >= MOST_NODES:
            return True
        return self.deaths > self.limits.retries and not self.has_another

    @property
    def retry(self) -> str:
        """Which attempt comes next, in words."""
        if self.nodes_lost and not self.has_another:
            return f"on another machine ({self.nodes_lost} lost of the {MOST_NODES} that it is given)"
        return "alone on the machine" if self.has_another else f"retry {self.deaths} of {self.limits.retries}"

    def given_up(self, reason: str) -> Finished:
        """Its end, once it is given up: it is infeasible, or has failed.

        Args:
            reason: how its last attempt has ended.
        """
        if self.timed_out:
            lack = Infeasibility("time", self._margin, self.limits.trial_timeout)
            return Finished(Outcome.INFEASIBLE, reason=self.why(reason), infeasible=lack)
        if self.lacks_memory:
            said = f"out of memory, also alone on the machine: {reason}"
            return Finished(Outcome.INFEASIBLE, reason=said, infeasible=Infeasibility("memory"))
        if self.nodes_lost >= MOST_NODES:
            reason = f"{MOST_NODES} machines were lost under it without a new epoch, which may be its doing: {reason}"
        return Finished(Outcome.FAILED, reason=reason)

    @property
    def _margin(self) -> float | None:
        """How much longer all of its epochs would have taken, in powers of ten, as far as its pace tells."""
        total = self.task.params.get("epochs")
        if not isinstance(total, int) or not 0 < self.epoch < total:
            return None
        return min(max(math.log10(total / self.epoch), NEAREST), FARTHEST)

    @property
    def has_one_attempt_left(self) -> bool:
        """Whether the next death ends the trial, where there has been a death before."""
        return self.deaths == self.limits.retries > 0 or self.nodes_lost == MOST_NODES - 1

    @property
    def patience(self) -> float:
        """Seconds without a heartbeat after which the trial hangs.

        The first heartbeat may take long: imports, data, or an epoch of a function that does not call `watch`.
        """
        floor = self.limits.stall_seconds
        pace = self.longest_wait if self.has_heartbeats else max(self.longest_wait, floor)
        return max(floor, self.limits.stall_factor * pace)

    @property
    def deadline(self) -> float:
        """When to look again, at the latest."""
        return min(self._out_of_time, self.last_heartbeat + self.patience)

    def why(self, reason: str) -> str:
        """Why it is given up, where this was the end of its last attempt."""
        return f"{self.overtime}; at its end, {reason}" if self.timed_out and reason != self.overtime else reason

    @property
    def overtime(self) -> str:
        """That its attempts have taken too long, in words."""
        return f"it ran longer than the trial timeout of {self._limit:g} seconds"

    def is_out_of_time(self) -> bool:
        """Whether its attempts have taken longer than the trial timeout together."""
        return time.monotonic() >= self._out_of_time

    @property
    def _limit(self) -> float:
        return inf if self.limits.trial_timeout is None else self.limits.trial_timeout

    @property
    def _out_of_time(self) -> float:
        return self.started + self._limit - self.spent

    def hangs(self) -> bool:
        """Whether it has been silent for too long."""
        return time.monotonic() >= self.last_heartbeat + self.patience


def overdue(runs: Sequence[ActiveTrial], *, is_silent: bool) -> WorkerLoss | None:
    """Why trials that share a worker have taken too long, if they have: all of them, where they hang.

    Args:
        runs: the trials.
        is_silent: whether nothing has come from them just now.
    """
    if any(run.is_out_of_time() for run in runs):
        return WorkerLoss(runs[0].overtime)
    if is_silent and all(run.hangs() for run in runs):
        return WorkerLoss(f"it made no step for {max(run.patience for run in runs):.0f} seconds")
    return None
