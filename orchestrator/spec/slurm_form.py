"""The shape of `executor: {slurm: ..}`."""

import math
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from orchestrator.spec.strict import Form
from orchestrator.system.durations import seconds
from orchestrator.system.machine import Resources

DEFAULT_IDLE = "10m"


def _duration(written: object) -> str:
    seconds(written)
    return str(written)


Duration = Annotated[str, BeforeValidator(_duration)]


def _in_a_line(line: str) -> str:
    if not line.strip() or "\n" in line:
        raise ValueError("should be a line")
    return line


Line = Annotated[str, AfterValidator(_in_a_line)]


class SlurmJobs(Form):
    """What jobs of Slurm run the trials: each serves trial after trial, one at a time."""

    partition: Annotated[str | None, Field(description="The partition. Default: that of the cluster.")] = None
    account: Annotated[str | None, Field(description="The account that pays.")] = None
    gpus: Annotated[
        int | str | None, Field(description="GPUs of a job: a number, or a type and a number, as a100:2.")
    ] = None
    cpus: Annotated[int | None, Field(ge=1, description="Cores of a job, which are its trial's threads.")] = None
    time: Annotated[
        Duration | None,
        Field(
            description="How long a job may run, as 4h or 90m. A trial that is not done by then goes on in another "
            "job. Default: that of the partition."
        ),
    ] = None
    mem: Annotated[str | None, Field(description="Memory of a job, as Slurm writes it: 16G.")] = None
    workers: Annotated[int, Field(ge=1, description="How many jobs there are at most, as --workers.")] = 1
    setup: Annotated[
        list[Line], Field(description="Lines of bash that a job runs before all else, as: module load cuda.")
    ] = Field(default_factory=list)
    options: Annotated[list[Line], Field(description="Further options of sbatch, as: --qos=long.")] = Field(
        default_factory=list
    )
    idle: Annotated[
        Duration,
        Field(
            description="How long a job without a trial is kept: where nothing is left for it, or while its launch "
            "is away."
        ),
    ] = DEFAULT_IDLE

    @property
    def idle_seconds(self) -> float:
        """How long a job without a trial is kept."""
        return seconds(self.idle)

    def of_sbatch(self, resources: Resources) -> list[str]:
        """The options of sbatch. Where nothing is said here, a job takes what the file says that a trial does."""
        gpus = self.gpus if self.gpus is not None else math.ceil(resources.gpus or 0) or None
        given = {
            "partition": self.partition,
            "account": self.account,
            "gpus": gpus or None,
            "cpus-per-task": self.cpus or resources.cpus,
            "time": None if self.time is None else _for_slurm(seconds(self.time)),
            "mem": self.mem,
        }
        named = [f"--{name}={value}" for name, value in given.items() if value is not None]
        return ["--nodes=1", "--ntasks=1", *named, *self.options]


def _for_slurm(duration: float) -> str:
    """As hours:minutes:seconds; a whole minute at the least."""
    whole = max(60, math.ceil(duration))
    return f"{whole // 3600}:{whole % 3600 // 60:02}:{whole % 60:02}"
