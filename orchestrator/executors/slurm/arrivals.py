"""How the jobs of a launch begin: which are awaited, which have failed, and when it may submit others."""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from math import inf
from pathlib import Path

from orchestrator.executors.slurm.commands import Job

MOST_FAILURES = 3  # in a row, before something is said
SHORTEST_PAUSE, LONGEST_PAUSE = 2.0, 120.0  # seconds after a failure, twice as many each time
SECONDS_TO_COME = 60.0  # for a job that runs, before something is said
LONGEST_TAIL = 2000  # bytes of a job's log


class Arrivals:
    """Those of the jobs that this launch has submitted.

    Args:
        logs: the folder of what jobs print, each into `job-JOB-NODE.log`.
    """

    def __init__(self, logs: Path) -> None:
        self.problem = ""  # with the last one that has failed
        self._logs = logs
        self._awaited: dict[str, float] = {}  # those that have not come, and since when they run
        self._failures = 0  # in a row
        self._resumes = -inf  # when others may be submitted
        self._has_told_failures = self._has_told_late = False

    @property
    def awaited(self) -> Collection[str]:
        """Jobs that have not come, by identity."""
        return self._awaited.keys()

    @property
    def pause(self) -> float:
        """Seconds until others may be submitted."""
        return max(0.0, self._resumes - time.monotonic())

    @property
    def are_failing(self) -> bool:
        """Whether so many have failed in a row that the next ones will."""
        return self._failures >= MOST_FAILURES

    @property
    def has_running(self) -> bool:
        """Whether one runs that may yet come."""
        return any(since < inf for since in self._awaited.values())

    def expect(self, identities: Iterable[str]) -> None:
        """These have been submitted."""
        self._awaited |= dict.fromkeys(identities, inf)

    def forget(self, identities: Iterable[str]) -> None:
        """These have been cancelled."""
        for identity in identities:
            self._awaited.pop(identity, None)

    def has_come(self, identity: str) -> None:
        """A job serves; that it begins to is the end of failures."""
        if self._awaited.pop(identity, None) is not None:
            self._failures, self._resumes, self._has_told_failures = 0, -inf, False

    def compare(self, known: Mapping[str, Job]) -> None:
        """Learn what the queue has."""
        now = time.monotonic()
        gone = [identity for identity in self._awaited if identity not in known]
        self._awaited = {
            identity: min(since, now) if known[identity].is_living else inf
            for identity, since in self._awaited.items()
            if identity in known
        }
        if not gone:
            return
        logs = [log for identity in gone if (log := self._log(identity))]
        # jobs without a log count once: they may have been cancelled in the queue, all together
        self._failures += len(logs) + (len(logs) < len(gone))
        self.problem = self._of_log(logs[-1]) if logs else self._of_folder
        self._resumes = now + min(SHORTEST_PAUSE * 2.0 ** min(self._failures - 1, 10), LONGEST_PAUSE)

    def remarks(self, address: str) -> Iterator[str]:
        """What there is to say, each once.

        Args:
            address: at which jobs reach the launch, in words.
        """
        if self.are_failing and not self._has_told_failures:
            self._has_told_failures = True
            yield f"{self.problem}; others go on, and further ones are submitted more and more seldom"
        now = time.monotonic()
        late = [identity for identity, since in self._awaited.items() if now - since > SECONDS_TO_COME]
        if late and not self._has_told_late:
            self._has_told_late = True
            log = self._log(late[0])
            where = f" on {self._node(log)}" if log else ""
            see = f" (see {log})" if log else ""
            yield (
                f"job {late[0]} has been running{where} for a minute and has not called yet: unless its `setup` takes "
                f"so long, see whether that node can connect to {address}{see}"
            )

    def _log(self, identity: str) -> Path | None:
        return next(self._logs.glob(f"job-{identity}-*.log"), None)

    def _node(self, log: Path) -> str:
        return log.stem.split("-", 2)[2]

    def _of_log(self, log: Path) -> str:
        said = log.read_bytes()[-LONGEST_TAIL:].decode(errors="replace").strip().splitlines()
        last = f": {said[-1]}" if said else ""
        return (
            f"{self._failures} jobs in a row ended before they could run a trial, the last on {self._node(log)}{last} "
            f"(see {log}; is this Python there on the nodes, and does `setup` suit them?)"
        )

    @property
    def _of_folder(self) -> str:
        return (
            f"jobs ended and left no log, {self._failures} times in a row: do the nodes see {self._logs}? (launch in a "
            "folder that they share; or they were cancelled in the queue)"
        )
