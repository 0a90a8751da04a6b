"""What a program finds when it starts: its arguments, its folder, and its parameters, where W&B's agent puts them."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.programs.command import json_text
from orchestrator.programs.processes import CHANNEL, WORKDIR
from orchestrator.programs.program import Program, ProgramFailedError
from orchestrator.programs.scripts import interpreter
from orchestrator.system import regular
from orchestrator.trial import Params

INJECTED = Path(__file__).with_name("injected")  # for the program's Python
FOREIGN = (  # what would make a program take itself for a part of something else, of which the launch is one
    *("RANK", "LOCAL_RANK", "OMPI_COMM_WORLD_RANK", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "WANDB_SERVICE"),
)
CHECKPOINTS, MLFLOW, PARAMS, CONFIG = "checkpoint", "mlflow", "params.json", "config.yaml"


@dataclass(frozen=True)
class Environment:
    """The arguments and the environment of a program, for one trial."""

    workdir: Path
    arguments: Sequence[str]
    secrets: Sequence[str]

    @classmethod
    def of(cls, program: Program, params: Params, workdir: Path) -> "Environment":
        """Write the files that the program reads its parameters from, and make its folder."""
        workdir = workdir.absolute()
        given = program.given(params)
        (workdir / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
        regular.replace(workdir / PARAMS, json_text(given).encode())
        config = {"wandb_version": "1", **{name: f'{{"value": {_text(value)}}}' for name, value in given.items()}}
        lines = (f"{json.dumps(name)}: {text}\n" for name, text in config.items())
        regular.replace(workdir / CONFIG, "".join(lines).encode())
        words, _ = interpreter(os.environ.get("PATH", os.defpath))
        try:
            arguments = program.command.arguments(given, words, str(workdir / PARAMS), os.environ)
        except KeyError as error:
            raise ProgramFailedError(f"the environment has no variable {error.args[0]}") from error
        return cls(workdir, arguments, program.command.secrets(os.environ))

    @property
    def checkpoints(self) -> Path:
        """The folder for the program itself, which attempts share."""
        return self.workdir / CHECKPOINTS

    @property
    def mlflow(self) -> Path:
        """The store that MLflow in the program writes to."""
        return self.workdir / MLFLOW

    def variables(self, channel: Path) -> dict[str, str]:
        """The environment: that of the launch, and what tells the program where it is."""
        path = os.pathsep.join([str(INJECTED), *filter(None, [os.environ.get("PYTHONPATH")])])
        wandb = {"MODE": "offline", "SILENT": "true", "DIR": str(self.workdir), "RUN_ID": self.workdir.name}
        wandb |= {"DATA_DIR": str(self.workdir)}  # what is to be uploaded, which wandb copies
        wandb |= {"SWEEP_ID": self.workdir.parent.name, "SWEEP_PARAM_PATH": str(self.workdir / CONFIG)}
        return {
            **{name: value for name, value in os.environ.items() if name not in FOREIGN},
            **({"SLURM_PROCID": "0"} if "SLURM_PROCID" in os.environ else {}),
            **{f"WANDB_{name}": value for name, value in wandb.items()},
            "PYTHONPATH": path,
            "PYTHONUNBUFFERED": "1",
            "MLFLOW_ALLOW_FILE_STORE": "true",
            "MLFLOW_TRACKING_URI": self.mlflow.as_uri(),
            CHANNEL: str(channel),
            "SWEEP_PARAMS": str(self.workdir / PARAMS),
            WORKDIR: str(self.checkpoints),
        }


def _text(value: Any) -> str:
    """A value as JSON that readers of YAML 1.1 understand, too: to them 1e-05 is a string, and 1.0e-05 a number."""
    if isinstance(value, float):
        mantissa, e, exponent = repr(value).partition("e")
        return f"{mantissa}{'' if '.' in mantissa or not e else '.0'}{e}{exponent}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(name)}: {_text(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_text, value)) + "]"
    return json.dumps(value)
