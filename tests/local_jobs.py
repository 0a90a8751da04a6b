"""Processes of this machine in place of Slurm's jobs: what an executor asks of Slurm's commands, without a cluster."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.events import Event, Progress
from orchestrator.executors.contract import Setup
from orchestrator.executors.slurm.commands import Job
from orchestrator.executors.slurm.executor import SlurmExecutor
from orchestrator.spec.executor_forms import SlurmForm
from orchestrator.system.machine import Shares
from orchestrator.trial import Trial

SECONDS_OF_REQUEUE = 20.0
# A trial function that keeps checkpoints
KEEPING = """
import time
from toys import Config

def train(config: Config, workdir):
    kept = workdir / "checkpoint"
    for epoch in range(int(kept.read_text()) + 1 if kept.exists() else 1, config.epochs + 1):
        time.sleep(config.pause)
        kept.with_suffix(".new").write_text(str(epoch))
        yield {"epoch": epoch, "train_loss": config.x / epoch}
        kept.with_suffix(".new").replace(kept)
"""


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
    scripts: dict[str, Path] = field(default_factory=dict)
    waiting: dict[str, float] = field(default_factory=dict)  # jobs that have not begun, or not again, and when they do
    arrays: int = 0
    instead: Mapping[int, Sequence[str]] = field(default_factory=dict)  # what jobs run from this one on; none: nothing

    def submit(self, script: Path, number: int) -> str:
        self.arrays += 1
        for task in range(1, number + 1):
            self._begin(script, f"{self.arrays}_{task}")
        return str(self.arrays)

    def _begin(self, script: Path, identity: str) -> None:
        begun = len(self.scripts)
        command = next(
            (self.instead[first] for first in sorted(self.instead, reverse=True) if begun >= first), [script]
        )
        self.scripts[identity] = script
        array, _, task = identity.partition("_")
        named = {"SLURM_ARRAY_JOB_ID": array, "SLURM_ARRAY_TASK_ID": task}
        environment = {**os.environ, **named, "SLURM_CONF": os.devnull}
        if command:
            with (script.parent / f"job-{identity}-local.log").open("ab") as log:
                self.processes[identity] = subprocess.Popen(
                    command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )

    def requeue(self, identities: Iterable[str]) -> None:
        """End these, and have them wait for a while."""
        put_back = {*identities}
        self.cancel(put_back)
        self.waiting |= dict.fromkeys(put_back, time.monotonic() + SECONDS_OF_REQUEUE)

    def look(self) -> Looked:
        for identity, due in [*self.waiting.items()]:
            if time.monotonic() > due:
                del self.waiting[identity]
                self._begin(self.scripts[identity], identity)
        states = {**dict.fromkeys(self.waiting, "PENDING"), **dict.fromkeys(self.running, "RUNNING")}
        return Looked({name: Job(name, state, "None", str(self.scripts[name])) for name, state in states.items()})

    @property
    def running(self) -> list[str]:
        return [identity for identity, process in self.processes.items() if process.poll() is None]

    def cancel(self, identities: Iterable[str], sent: int = signal.SIGTERM) -> None:
        for identity in identities:
            self.waiting.pop(identity, None)
            if identity in self.processes:
                with suppress(ProcessLookupError):
                    os.kill(self.processes[identity].pid, sent)

    def cancel_all(self) -> None:
        self.cancel(self.running)


def executor(setup: Setup, jobs: LocalJobs, form: SlurmForm | None = None) -> SlurmExecutor:
    """One whose jobs these are."""
    gpus = setup.resources.gpus
    assert not gpus
    made = SlurmExecutor(setup, Shares(setup.workers or 1, 1, (), threads_given=True), form or SlurmForm())
    made._jobs.slurm = jobs  # type: ignore[assignment]
    return made


def run(executor: SlurmExecutor, folder: Path, at: int, act: Callable[[], object], **params: Any) -> list[Event]:
    """The events of a trial that keeps checkpoints; as its epoch `at` comes, something is done."""
    executor.submit(Trial("keeping:train", 1, params, str(params)), folder / "trial")
    heard: list[Event] = []
    while not executor.idle:
        for _, event in executor.events():
            heard.append(event)
            if isinstance(event, Progress) and event.epoch == at:
                act()
                at = -1
    return heard
