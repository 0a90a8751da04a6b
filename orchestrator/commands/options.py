"""Arguments and options that several calls take."""

import os
from pathlib import Path
from typing import Annotated

import typer

from orchestrator import executors
from orchestrator.commands.lookup import completions
from orchestrator.errors import InputError
from orchestrator.system import durations
from orchestrator.system.loopback import LARGEST_PORT

SweepArgument = Annotated[
    str,
    typer.Argument(
        metavar="FILE or NAME", help="A sweep's YAML file, or its name in the store.", autocompletion=completions
    ),
]
FilesArgument = Annotated[list[Path], typer.Argument(metavar="FILE", help="A sweep's YAML file; several are allowed.")]
Sets = Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Set a parameter to a constant.")]
Name = Annotated[
    str | None,
    typer.Option("--name", metavar="NAME", help="Run it as a sweep of its own, of this name, that takes nothing over."),
]
DataDir = Annotated[
    Path | None, typer.Option(envvar="SWEEP_DATA_DIR", help="Folder of the data, also for downloads. Default: ./data.")
]
TrackingUri = Annotated[
    str | None,
    typer.Option(envvar="MLFLOW_TRACKING_URI", help="MLflow's tracking URI. Default: SQLite under ./mlruns/."),
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="How many trials run at the same time. Default: by the cores and GPUs of the machine."),
]
Executor = Annotated[
    str | None,
    typer.Option(
        metavar="|".join(executors.EXECUTORS),
        help="Where trials run. Default: where the file says, or process. With inline, in this process, for pdb.",
        autocompletion=lambda: [*executors.EXECUTORS],
    ),
]
SetExecutor = Annotated[
    list[str] | None,
    typer.Option("--set-executor", metavar="NAME=VALUE", help="Set an option of the executor: cpus=2."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Port = Annotated[int, typer.Option(min=1, max=LARGEST_PORT, help="Port on 127.0.0.1.")]


def seconds(written: str) -> float:
    """A duration as an option has it."""
    try:
        return durations.seconds(written)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


MaxTrials = Annotated[int | None, typer.Option(min=1, metavar="N", help="Begin at most so many trials.")]
MaxTime = Annotated[
    float | None,
    typer.Option(parser=seconds, metavar="DURATION", help="End after so long, as by Ctrl-C: 30m, or seconds."),
]


def use_data(data_dir: Path | None) -> None:
    """Have trial functions look for data there.

    Raises:
        InputError: there is no such folder.
    """
    if data_dir is not None:
        if not data_dir.is_dir():
            raise InputError(f"--data-dir {data_dir}: there is no such folder")
        os.environ["SWEEP_DATA_DIR"] = str(data_dir.absolute())
