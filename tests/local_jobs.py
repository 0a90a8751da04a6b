"""Processes of this machine in place of Slurm's jobs: what an executor asks of Slurm's commands, without a cluster."""

import os
import signal
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.executors.contract import Setup
from orchestrator.executors.slurm.commands import Job
from orchestrator.executors.slurm.executor import SlurmExecutor
from orchestrator.spec.executor_forms import SlurmForm
from orchestrator.system.machine import Shares


@dataclass(frozen=True)
class Looked:
    """A look at the queue that is over."""

    jobs: Mapping[str, Job]
    is_over = True

    def wait(self) -> Mapping[str, Job]:
        return self.jobs


@dataclass
class LocalJobs:
    """The jobs of a sweep, each begun as soon as it is submitted."""

    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    arrays: int = 0

    def submit(self, script: Path, number: int) -> str:
        self.arrays += 1
        for task in range(1, number + 1):
            named = {"SLURM_ARRAY_JOB_ID": str(self.arrays), "SLURM_ARRAY_TASK_ID": str(task)}
            environment = {**os.environ, **named, "SLURM_CONF": os.devnull}
            identity = f"{self.arrays}_{task}"
            with (script.parent / f"job-{identity}.log").open("ab") as log:
                self.processes[identity] = subprocess.Popen(
                    [script], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
        return str(self.arrays)

    def look(self) -> Looked:
        return Looked({identity: Job(identity, "RUNNING", "None") for identity in self.running})

    @property
    def running(self) -> list[str]:
        return [identity for identity, process in self.processes.items() if process.poll() is None]

    def cancel(self, identities: Iterable[str], sent: int = signal.SIGTERM) -> None:
        for identity in identities:
            with suppress(ProcessLookupError):
                os.kill(self.processes[identity].pid, sent)

    def cancel_all(self) -> None:
        self.cancel(self.running)


def executor(setup: Setup, jobs: LocalJobs) -> SlurmExecutor:
    """One whose jobs these are."""
    gpus = setup.resources.gpus
    assert not gpus
    made = SlurmExecutor(setup, Shares(setup.workers or 1, 1, (), threads_given=True), SlurmForm())
    made._jobs.slurm = jobs  # type: ignore[assignment]
    return made
