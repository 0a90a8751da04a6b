"""The shape of `executor`: where trials run that are not to run on this machine, and what each takes there."""

import math
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, field_validator

from orchestrator.spec.strict import Form
from orchestrator.system.durations import seconds
from orchestrator.system.machine import Resources, whole_or_shared


def _duration(written: object) -> str:
    seconds(written)
    return str(written)


def _a_line(text: str) -> str:
    if not text.strip() or "\n" in text:
        raise ValueError("should be a line")
    return text


Duration = Annotated[str, BeforeValidator(_duration)]
Line = Annotated[str, AfterValidator(_a_line)]


class ElsewhereForm(Form):
    """What all engines have in common that run trials on other machines."""

    cpus: Annotated[
        int | None,
        Field(ge=1, description="Cores of a trial, which are its threads. Default: those of `resources`, or 1."),
    ] = None
    gpus: Annotated[
        Annotated[float, Field(ge=0), AfterValidator(whole_or_shared)] | None,
        Field(description="GPUs of a trial; 0.5 lets two share one. Default: those of `resources`, or none."),
    ] = None

    @property
    def slots(self) -> int | None:
        """How many trials run at a time at most, where that is said here."""
        return None


class RayForm(ElsewhereForm):
    """A Ray cluster."""

    address: Annotated[
        str, Field(min_length=1, description="Of the cluster, as HOST:PORT of its head. Default: auto, the one here.")
    ] = "auto"
    include: Annotated[
        list[str],
        Field(
            description="Files and folders that go to the machines with the code, of those that do not by themselves: "
            "data, mlruns, .git, .venv and .env files. Paths from the file's own folder."
        ),
    ] = Field(default_factory=list)
    runtime_env: Annotated[
        dict[str, Any],
        Field(description="Ray's runtime_env: {pip: [einops]}. Default: the environment that the machines have."),
    ] = Field(default_factory=dict)


class SlurmForm(ElsewhereForm):
    """Jobs of Slurm, each of which serves trial after trial, one at a time."""

    partition: Annotated[str | None, Field(description="The partition. Default: that of the cluster.")] = None
    account: Annotated[str | None, Field(description="The account that pays.")] = None
    time: Annotated[
        Duration | None,
        Field(
            description="How long a job may run: 4h. A trial that is not done by then goes on in another job. Default: "
            "as long as the partition lets it."
        ),
    ] = None
    mem: Annotated[str | None, Field(description="Memory of a job, as Slurm writes it: 16G.")] = None
    workers: Annotated[int, Field(ge=1, description="How many jobs there are at most, as --workers. Default: 1.")] = 1
    setup: Annotated[list[Line], Field(description="Lines of bash that a job runs first: module load cuda.")] = Field(
        default_factory=list
    )
    options: Annotated[list[Line], Field(description="Further options of sbatch: --qos=long.")] = Field(
        default_factory=list
    )
    idle: Annotated[
        Duration,
        Field(description="How long a job is kept for which there is no trial, or whose launch is away."),
    ] = "10m"

    @field_validator("gpus")
    @classmethod
    def _whole(cls, gpus: float | None) -> float | None:
        if gpus is not None and not gpus.is_integer():
            raise ValueError("should be a whole number: a job has its GPUs to itself")
        return gpus

    @property
    def slots(self) -> int:
        return self.workers

    @property
    def idle_seconds(self) -> float:
        """How long a job is kept that has nothing to do."""
        return seconds(self.idle)

    def of_sbatch(self, takes: Resources) -> list[str]:
        """The options of sbatch for a job whose trials take so much."""
        given = {
            "partition": self.partition,
            "account": self.account,
            "gpus": math.ceil(takes.gpus or 0) or None,
            "cpus-per-task": takes.cpus,
            "time": None if self.time is None else _for_slurm(seconds(self.time)),
            "mem": self.mem,
        }
        named = [f"--{name}={value}" for name, value in given.items() if value is not None]
        return ["--nodes=1", "--ntasks=1", *named, *self.options]


def _for_slurm(duration: float) -> str:
    """As hours:minutes:seconds; a whole minute at the least."""
    whole = max(60, math.ceil(duration))
    return f"{whole // 3600}:{whole % 3600 // 60:02}:{whole % 60:02}"


class ExecutorForm(Form):
    """Where trials run, unless the command says otherwise; one of these."""

    slurm: Annotated[
        SlurmForm | None, Field(description="In jobs of Slurm: {partition: gpu, gpus: 1, time: 4h, workers: 20}.")
    ] = None
    ray: Annotated[
        RayForm | None, Field(description="On a Ray cluster: {address: auto, cpus: 2, gpus: 0.25} for each trial.")
    ] = None
