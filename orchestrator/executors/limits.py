"""How long a worker may be silent, how often it may die, and how long a trial may take."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

from orchestrator.trial import Trial
from orchestrator.worker.runner import Task


@dataclass(frozen=True)
class Limits:
    """When a worker is given up. A trial is retried from its checkpoint unless it makes no progress."""

    retries: int = 2  # deaths of a worker in a row, without a new whole epoch between them, that a trial survives
    stall_seconds: float = 120.0  # without a heartbeat: the least that counts as hanging
    stall_factor: float = 10.0  # and the longest wait that the trial has had so far, times this
    trial_timeout: float | None = None  # seconds that the attempts at a trial may take together


@dataclass(frozen=True)
class Asked:
    """That a worker has been asked to end what it runs: why, and when it is killed if it has not done so."""

    cause: str
    until: float


@dataclass(eq=False)
class ActiveTrial:
    """A trial in a worker: how it is doing, over all attempts."""

    trial: Trial
    task: Task
    limits: Limits
    stop: str | None = None  # why it is to end after its last reported epoch, once that is decided
    deaths: int = 0
    epoch: int = 0
    spent: float = 0.0  # seconds, in earlier attempts
    timed_out: bool = False
    started: float = inf  # when this attempt began to train: what its worker takes to start is not the trial's
    last_heartbeat: float = field(default_factory=time.monotonic)
    has_heartbeats: bool = False  # in this attempt
    longest_wait: float = 0.0

    def begin(self) -> None:
        """A new attempt begins."""
        self.started, self.last_heartbeat = inf, time.monotonic()
        self.has_heartbeats = False

    def begin_training(self) -> None:
        """The trial function of this attempt is called."""
        self.begin()
        self.started = self.last_heartbeat

    def die(self) -> None:
        """The attempt has ended without a result."""
        self.timed_out = self.is_out_of_time()
        self.spent += max(0.0, time.monotonic() - self.started)
        self.deaths += 1

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
            self.epoch, self.deaths = epoch, 0

    @property
    def is_given_up(self) -> bool:
        """Whether it has died too often, or taken too long in all."""
        return self.timed_out or self.deaths > self.limits.retries

    @property
    def has_one_attempt_left(self) -> bool:
        """Whether the next death ends the trial, where there has been a death before."""
        return self.deaths == self.limits.retries > 0

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


def overdue(runs: Sequence[ActiveTrial], *, is_silent: bool) -> str | None:
    """Why trials that share a worker have taken too long, if they have: all of them, where they hang.

    Args:
        runs: the trials.
        is_silent: whether nothing has come from them just now.
    """
    if any(run.is_out_of_time() for run in runs):
        return runs[0].overtime
    if is_silent and all(run.hangs() for run in runs):
        return f"it made no step for {max(run.patience for run in runs):.0f} seconds"
    return None
