"""The shape of `executor`: where trials run that are not to run on this machine, and what each takes there."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from orchestrator.spec.strict import Form
from orchestrator.system.machine import whole_or_shared


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


class ExecutorForm(Form):
    """Where trials run, unless the command says otherwise; one of these."""

    ray: Annotated[
        RayForm | None, Field(description="On a Ray cluster: {address: auto, cpus: 2, gpus: 0.25} for each trial.")
    ] = None
