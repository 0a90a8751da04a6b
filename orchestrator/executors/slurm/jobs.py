"""The jobs of a sweep: how many there are to be, which have come, and which are gone."""

import hashlib
import re
import time
from collections.abc import Iterable, Mapping
from math import inf
from pathlib import Path

from orchestrator.errors import InputError, SweepError
from orchestrator.executors.slurm.arrivals import Arrivals
from orchestrator.executors.slurm.commands import ENDING, HOPELESS, Job, Look, Slurm
from orchestrator.executors.slurm.door import ADDRESS_FILE
from orchestrator.system import regular

SECONDS_BETWEEN_LOOKS = 60.0  # at the queue, while nothing is awaited
SECONDS_WHILE_WAITING = 15.0  # for a job to begin
SECONDS_WHILE_MISSED = 3.0  # where a job has lost its connection
FOLDER = "slurm"  # in the sweep's folder
SECONDS_TO_END = 60.0


class Jobs:
    """What is known of them, as of the last look at the queue.

    Args:
        slurm: the commands.
        logs: the folder of what they print, as for `Arrivals`.
    """

    def __init__(self, slurm: Slurm, logs: Path) -> None:
        self.slurm = slurm
        self.known: Mapping[str, Job] = {}  # that wait or run, by identity
        self.is_answering = True  # as far as is known
        self.arrivals = Arrivals(logs)
        self._due = -inf
        self._look: Look | None = None
        self._began = -inf
        self._changed = -inf  # when jobs were submitted or cancelled last

    @property
    def due(self) -> float:
        """When to look again, at the latest; the end of a look that is under way is a signal."""
        return self._due

    def look_within(self, seconds: float) -> None:
        """Look again soon."""
        self._due = min(self._due, time.monotonic() + seconds)

    def look(self) -> bool:
        """Look at the queue, where it is time for that; whether it was, and Slurm has answered."""
        if self._look is None and time.monotonic() >= self._due:
            self._look, self._due = self.slurm.look(), inf
            self._began = time.monotonic()
        if self._look is None or not self._look.is_over:
            return False
        found, self._look = self._look.wait(), None
        self.is_answering = found is not None
        waits = self.arrivals.awaited or any(job.is_waiting for job in self.known.values())
        soon = time.monotonic() + (SECONDS_WHILE_WAITING if waits or found is None else SECONDS_BETWEEN_LOOKS)
        self._due = min(self._due, soon)
        if found is None or self._began < self._changed:  # what was done meanwhile is not in it
            return False
        self.known = found
        self.arrivals.compare(found)
        if self.arrivals.pause:
            self.look_within(self.arrivals.pause)
        return True

    def submit(self, script: Path, number: int) -> None:
        """Have so many more of them, which run this script.

        Raises:
            InputError: Slurm does not take them, or would let them wait for ever.
        """
        array = self.slurm.submit(script, number)
        added = {f"{array}_{task}" for task in range(1, number + 1)}
        self.arrivals.expect(added)
        self._changed = time.monotonic()
        self.known = {**self.known, **{identity: Job(identity, "PENDING", "") for identity in added}}
        self.look_within(1.0)

    def cancel(self, identities: Iterable[str]) -> None:
        """Take these, which wait, out of the queue."""
        if cancelled := {*identities}:
            self.slurm.cancel(cancelled)
            self.arrivals.forget(cancelled)
            self._changed = time.monotonic()
            self.known = {identity: job for identity, job in self.known.items() if identity not in cancelled}
            self.look_within(1.0)

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
        """Those in the queue: first those that have come already, and were put back."""
        waiting = [job for job in self.known.values() if job.is_waiting]
        return sorted(waiting, key=lambda job: job.identity in self.arrivals.awaited)


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
