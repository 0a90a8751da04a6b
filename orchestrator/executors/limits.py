"""How long a worker may be silent, how often it may die, and how long a trial may take."""

import time
from dataclasses import dataclass, field
from math import inf

from orchestrator.trial import Trial
from orchestrator.worker.runner import Task


@dataclass(frozen=True)
class Limits:
    """When a worker is given up. A trial is retried from its checkpoint unless it makes no progress."""

    retries: int = 2  # deaths of a worker in a row, without a new whole epoch between them, that a trial survives
    stall_seconds: float = 120.0  # without a sign of life: the least that counts as hanging
    stall_factor: float = 10.0  # and the longest wait that the trial has had so far, times this
    trial_timeout: float | None = None  # seconds that an attempt may take in all


@dataclass(eq=False)
class ActiveTrial:
    """A trial in a worker: how it is doing, over all attempts."""

    trial: Trial
    task: Task
    limits: Limits
    stop: str | None = None  # why it is to end after what it has reported last, once it is
    deaths: int = 0
    timeouts: int = 0  # never forgiven: a trial may not live on by an epoch an attempt
    epoch: int = 0
    started: float = field(default_factory=time.monotonic)
    last_sign: float = field(default_factory=time.monotonic)
    has_shown_signs: bool = False  # in this attempt
    longest_wait: float = 0.0

    def begin(self) -> None:
        """A new attempt begins."""
        self.started = self.last_sign = time.monotonic()
        self.has_shown_signs = False

    def sign(self) -> None:
        """The trial has shown that it lives."""
        now = time.monotonic()
        waited = now - self.last_sign
        if waited <= self.patience:  # a longer one is no pace: this very process stood still
            self.longest_wait = max(self.longest_wait, waited)
        self.last_sign, self.has_shown_signs = now, True

    def has_reached(self, epoch: int) -> None:
        """The trial has reported an epoch."""
        self.sign()
        if epoch > self.epoch:
            self.epoch, self.deaths = epoch, 0

    @property
    def is_given_up(self) -> bool:
        """Whether it has died or taken too long more often than it may."""
        return max(self.deaths, self.timeouts) > self.limits.retries

    @property
    def has_one_try_left(self) -> bool:
        """Whether the next death, or timeout, is one too many, where there has been another."""
        return max(self.deaths, self.timeouts) == self.limits.retries > 0

    @property
    def patience(self) -> float:
        """Seconds without a sign of life after which the trial hangs.

        The first sign may take long: imports, data, or an epoch of a function that does not call `watch`.
        """
        floor = self.limits.stall_seconds
        pace = self.longest_wait if self.has_shown_signs else max(self.longest_wait, floor)
        return max(floor, self.limits.stall_factor * pace)

    @property
    def deadline(self) -> float:
        """When to look again, at the latest."""
        out_of_time = inf if self.limits.trial_timeout is None else self.started + self.limits.trial_timeout
        return min(out_of_time, self.last_sign + self.patience)

    def is_out_of_time(self) -> bool:
        """Whether this attempt has taken longer than the trial timeout."""
        limit = self.limits.trial_timeout
        return limit is not None and time.monotonic() >= self.started + limit

    def hangs(self) -> bool:
        """Whether it has been silent for too long."""
        return time.monotonic() >= self.last_sign + self.patience
