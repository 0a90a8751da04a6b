"""The time that a job has left, and what it keeps of that for ending in order."""

import os
import re
import time
from contextlib import suppress
from math import inf

from orchestrator.executors.slurm.commands import Query

LEAST_RESERVE, MOST_RESERVE, SHARE_OF_RESERVE = 10.0, 60.0, 0.1  # of the job's time
EPOCHS_OF_RESERVE = 1.5
SECONDS_BETWEEN_QUERIES = 60.0  # where Slurm does not answer
TIME_LEFT = re.compile(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)")


class Clock:
    """That of the job in which this process runs."""

    def __init__(self) -> None:
        self.grace = 0.0  # seconds, that what runs may take to end once it is asked
        self._longest_epoch = 0.0  # seconds, of all the trials that the job has had
        self._ends_at: float | None = None
        self._reserve = 0.0
        self._query: Query | None = None
        self._queried = -inf
        with suppress(KeyError, ValueError):  # older versions of Slurm do not say it
            self._learn(float(os.environ["SLURM_JOB_END_TIME"]) - time.time())

    def saw_epoch(self, seconds: float) -> None:
        """An epoch of a trial has taken so long."""
        self._longest_epoch = max(self._longest_epoch, seconds)

    @property
    def is_nearly_over(self) -> bool:
        """Whether there is no time for another epoch, as far as is known."""
        if self._ends_at is None:
            self._ask()
        reserve = self._reserve + self.grace + EPOCHS_OF_RESERVE * self._longest_epoch
        return self._ends_at is not None and time.monotonic() > self._ends_at - reserve

    def _learn(self, left: float) -> None:
        self._ends_at = time.monotonic() + left
        self._reserve = min(max(LEAST_RESERVE, SHARE_OF_RESERVE * left), MOST_RESERVE)

    def _ask(self) -> None:
        """Ask Slurm, again where it has not answered, without waiting for it."""
        now = time.monotonic()
        if self._query is None and now - self._queried >= SECONDS_BETWEEN_QUERIES:
            self._queried = now
            job = os.environ.get("SLURM_JOB_ID", "")
            self._query = Query("squeue", "--noheader", f"--jobs={job}", "--format=%L")
        if self._query is not None and self._query.is_over:
            said, self._query = self._query.answer(), None
            left = None if said is None else seconds_of(said.strip())
            if left is not None:
                self._learn(left)


def seconds_of(written: str) -> float | None:
    """What Slurm means by 59:54, 1:02:03 or 2-01:02:03; infinite for UNLIMITED, None where it does not know."""
    if found := TIME_LEFT.fullmatch(written):
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60.0 + seconds
    return inf if written == "UNLIMITED" else None
