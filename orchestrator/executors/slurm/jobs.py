"""The jobs of a sweep: how many there are to be, which have come, and which are gone."""

import hashlib
import re
import time
from collections.abc import Mapping
from math import inf
from pathlib import Path

from orchestrator.errors import InputError, SweepError
from orchestrator.executors.slurm.commands import ENDING, HOPELESS, Job, Look, Slurm
from orchestrator.executors.slurm.door import ADDRESS_FILE
from orchestrator.system import regular

SECONDS_BETWEEN_LOOKS = 60.0  # at the queue, while nothing is awaited
SECONDS_WHILE_WAITING = 15.0  # for a job to begin
SECONDS_WHILE_MISSED = 3.0  # where a job has lost its connection
FOLDER = "slurm"  # in the sweep's folder
SECONDS_TO_END = 60.0
MOST_FAILED_STARTS = 3  # of jobs, one after the other, that end before they have come
LONGEST_TAIL = 2000  # bytes of a job's log


class Jobs:
    """What is known of them, as of the last look at the queue.

    Args:
        slurm: the commands.
        script: what each of them runs.
        logs: the folder of what they print.
    """

    def __init__(self, slurm: Slurm, script: Path, logs: Path) -> None:
        self.slurm = slurm
        self.known: Mapping[str, Job] = {}  # that wait or run, by identity
        self.is_answering = True  # as far as is known
        self._script, self._logs = script, logs
        self._due = -inf
        self._look: Look | None = None
        self._began = -inf
        self._submitted = -inf
        self._expected: set[str] = set()  # of this launch, that have not come
        self._failed_starts = 0

    @property
    def due(self) -> float:
        """When to look again, at the latest; the end of a look that is under way is a signal."""
        return self._due

    def look_within(self, seconds: float) -> None:
        """Look again soon."""
        self._due = min(self._due, time.monotonic() + seconds)

    def look(self) -> bool:
        """Look at the queue, where it is time for that; whether it was, and Slurm has answered.

        Raises:
            SweepError: jobs cannot begin, or end before they come.
        """
        if self._look is None and time.monotonic() >= self._due:
            self._look, self._due = self.slurm.look(), inf
            self._began = time.monotonic()
        if self._look is None or not self._look.is_over:
            return False
        found, self._look = self._look.wait(), None
        self.is_answering = found is not None
        waits = self._expected or any(job.is_waiting for job in self.known.values())
        soon = time.monotonic() + (SECONDS_WHILE_WAITING if waits or found is None else SECONDS_BETWEEN_LOOKS)
        self._due = min(self._due, soon)
        if found is None or self._began < self._submitted:  # what was submitted meanwhile is not in it
            return False
        self.known = found
        for identity in [identity for identity in self._expected if identity not in found]:
            self._expected.discard(identity)
            self._failed(identity)
        return True

    def has_come(self, identity: str) -> None:
        """A job has begun to serve."""
        self._expected.discard(identity)
        self._failed_starts = 0

    def submit(self, number: int) -> None:
        """Have so many more of them.

        Raises:
            InputError: Slurm does not take them, or would let them wait for ever.
        """
        array = self.slurm.submit(self._script, number)
        added = {f"{array}_{task}" for task in range(1, number + 1)}
        self._expected |= added
        self._submitted = time.monotonic()
        self.known = {**self.known, **{identity: Job(identity, "PENDING", "") for identity in added}}
        self._due = min(self._due, time.monotonic() + 1.0)

    def check_hope(self) -> None:
        """See whether what waits can ever begin.

        Raises:
            InputError: it cannot.
        """
        for job in self.known.values():
            if job.is_waiting and HOPELESS.match(job.reason):
                raise InputError(f"Slurm would let the jobs wait for ever: {job.reason} (see `squeue`)")

    @property
    def waiting(self) -> list[Job]:
        """Those in the queue."""
        return [job for job in self.known.values() if job.is_waiting]

    def _failed(self, identity: str) -> None:
        log = self._logs / f"job-{identity}.log"
        if not log.is_file():  # it was cancelled in the queue
            return
        self._failed_starts += 1
        if self._failed_starts >= MOST_FAILED_STARTS:
            said = log.read_bytes()[-LONGEST_TAIL:].decode(errors="replace").strip().splitlines()
            last = f": {said[-1]}" if said else ""
            raise SweepError(
                f"{self._failed_starts} jobs in a row ended before they could run a trial{last} (see {log}; "
                "is this Python there on the nodes, and does `setup` suit them?)"
            )


def end_left(folder: Path) -> None:
    """End the jobs that a killed launch of a sweep has left, and wait until none is left.

    Args:
        folder: of the sweep.

    Raises:
        SweepError: they do not end, or Slurm is not here.
    """
    left = folder / FOLDER
    if not left.is_dir():
        return
    if (left / ADDRESS_FILE).is_file():  # which a launch takes away that ends by itself
        slurm = Slurm(job_name(folder.name, left), (), left)
        slurm.cancel_all()
        deadline = time.monotonic() + SECONDS_TO_END
        while (jobs := slurm.look().wait()) is None or any(job.state != ENDING for job in jobs.values()):
            if time.monotonic() > deadline:
                raise SweepError(
                    f"an earlier launch has left jobs in Slurm, which cannot be ended from here: launch where Slurm's "
                    f"commands are, or end them and remove {left}"
                )
            time.sleep(1.0)
    regular.remove(left)


def job_name(sweep: str, folder: Path) -> str:
    """The name of a sweep's jobs: one that no other sweep has, from another folder neither."""
    digest = hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9_.-]', '_', sweep)[:40]}-{digest}"
