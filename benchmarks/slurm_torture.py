"""Sweeps whose trials run in jobs of Slurm, and what befalls jobs, Slurm and launches: all must end as if untouched.

What happens to them: the orchestrator is killed, or the process of a job; somebody cancels a job, or puts it back into
the queue; a job of another partition takes their place; the daemon of the node, or the controller, is killed and comes
back after a while; and all the time jobs have a minute to live. What the sweeps leave is compared with what a sweep
left that ran in worker processes of this machine, and that nobody touched. `torture.py --executor slurm` begins it.
"""

import itertools
import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import slurm_cluster
import torture
from comparison import Clause
from rich.console import Console
from rich.markup import escape
from slurm_cluster import Cluster
from torture import KINDS, Kill, Kind, Launch, Report, Sweep

CPUS = 8  # that the node says it has
LONGEST_OUTAGE = 15.0  # seconds, of a daemon
SECONDS_OF_OTHERS = 3.0  # that a job of another partition takes the place of ours
MOST_KILLS = 10  # of a sweep
SECONDS_FOR_JOBS = 20.0  # to leave the queue after the end
BLOCK = "executor: {slurm: {partition: low, time: 1m, workers: 2, idle: 30s}}\n"
TARGETS = {
    "orchestrator": 0.25,
    "job": 0.2,
    "scancel": 0.15,
    "requeue": 0.1,
    "preemption": 0.1,
    "slurmd": 0.1,
    "slurmctld": 0.1,
}
FUNCTIONS = KINDS["functions"]
KIND = Kind(BLOCK + FUNCTIONS.text, FUNCTIONS.witness, TARGETS, FUNCTIONS.marks)


class SlurmLaunch(Launch):
    """A launch whose jobs are a cluster's, which outlive it."""

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        super().__init__(folder)
        self._cluster = cluster

    def pids(self) -> list[int]:
        return [self.process.pid] if self.runs else []

    def strike(self, target: str, rng: random.Random) -> bool:
        if target == "orchestrator":
            return super().strike(target, rng)
        acts: dict[str, Callable[[str], object]] = {
            "job": lambda job: self._run("scancel", "--signal=KILL", "--full", job),
            "scancel": lambda job: self._run("scancel", job),
            "requeue": lambda job: self._run("scontrol", "requeue", job),
            "preemption": lambda job: self._preempt(),
            "slurmd": lambda job: self._restart("node", rng),
            "slurmctld": lambda job: self._restart("controller", rng),
        }
        jobs = self._run(
            "squeue", "--noheader", "--array", "--states=RUNNING", "--partition=low", "--format=%i"
        ).split()
        if jobs:
            acts[target](rng.choice(sorted(jobs)))
        return bool(jobs)

    def _run(self, *command: str) -> str:
        return self._cluster.run(*command)

    def _preempt(self) -> None:
        wrapped = f"--wrap=sleep {SECONDS_OF_OTHERS}"
        self._run("sbatch", "--partition=high", f"--cpus-per-task={CPUS}", "--output=/dev/null", wrapped)

    def _restart(self, which: str, rng: random.Random) -> None:
        """Kill a daemon; it comes back after a while."""
        stop, start = getattr(self._cluster, f"stop_{which}"), getattr(self._cluster, f"start_{which}")
        stop(signal.SIGKILL)
        self.pause(rng.uniform(0.0, LONGEST_OUTAGE))
        start()


@dataclass
class SlurmSweep(Sweep):
    """A sweep that runs on a cluster."""

    cluster: Cluster | None = None

    def _launched(self) -> Launch:
        assert self.cluster is not None  # noqa: S101
        return SlurmLaunch(self.folder, self.cluster)

    def look_at_queue(self) -> None:
        """See that no job is left of a sweep that has ended."""
        assert self.cluster is not None  # noqa: S101
        deadline = time.monotonic() + SECONDS_FOR_JOBS
        while left := self.cluster.run("squeue", "--noheader", "--partition=low").strip():
            if time.monotonic() > deadline:
                self._blame(Clause.ORPHANS, f"jobs are left in the queue: {left}")
                self.cluster.run("scancel", "--partition=low", "--user=root")
                return
            time.sleep(0.2)


def run(kills: int, seed: int, console: Console) -> int:
    """Torture sweeps on a cluster until so many kills have been made; the exit status."""
    if lack := slurm_cluster.lacking():
        console.print(lack)
        return 2
    folder = Path(tempfile.mkdtemp(prefix="slurm-torture-"))
    with slurm_cluster.started(folder / "cluster", CPUS) as cluster:
        os.environ |= cluster.environment
        report = _tortured(folder, cluster, kills, random.Random(seed), console)
    console.print(report.table())
    if report.violations:
        console.print(f"what the sweeps with violations have left is under {folder}")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


def _tortured(folder: Path, cluster: Cluster, kills: int, rng: random.Random, console: Console) -> Report:
    of_processes = torture.untouched(folder / "untouched", "functions", console)
    report = Report("jobs of Slurm", of_processes.untouched, of_processes.seconds_untouched)
    for number in itertools.count(1):
        before = len(report.kills)
        if before >= kills or len(report.violations) >= torture.MOST_VIOLATIONS:
            return report
        sweep = SlurmSweep(folder / f"sweep-{number}", KIND, cluster=cluster)

        def tell(kill: Kill, before: int = before, sweep: Sweep = sweep, number: int = number) -> None:
            made = before + len(sweep.kills)
            console.print(f"{time.strftime('%H:%M:%S')} {made}/{kills} sweep {number}: {kill.target}, {kill.phase}")

        left = sweep.run(rng, min(MOST_KILLS, kills - before), tell)
        sweep.look_at_queue()
        lines = report.take(sweep, left)
        console.print(f"sweep {number} has ended after {len(sweep.kills)} kills: {len(lines)} violations")
        for line in lines:
            console.print(f"[red]sweep {number}, {escape(line)}")
        if not lines:
            shutil.rmtree(sweep.folder)
    return report
