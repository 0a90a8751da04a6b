# /// script
# dependencies = ["wandb==0.31.0", "sweeps==0.2.0"]
# ///
"""What W&B's agent makes of commands: writes expected/commands.json.

Run it in an environment with wandb==0.31.0 and sweeps==0.2.0, or with `uv run`.
"""

import json
import os
import tempfile
from pathlib import Path
from unittest import mock

import yaml
from sweeps.params import HyperParameterSet
from wandb import wandb_agent

ENVIRONMENT = {"KEY": "s3cret value", "SIZE": "4", "DATA_DIR": "/data", "EMPTY": ""}
PLAIN = {"epochs": {"value": 20}, "lr": {"value": 0.01}}
MANY = {
    "a-b": {"value": 1e-05},
    "big": {"value": 1e22},
    "data.path": {"value": "s3://x/y"},
    "flag": {"value": True},
    "layers": {"value": [64, [32, 0.5], "x"]},
    "name": {"value": "two words = 'x' \"y\" $HOME é"},
    "none": {"value": None},
    "off": {"value": False},
    "whole": {"value": 3.0},
    "zero": {"value": 0},
}
NESTED = {
    "lr": {"value": 0.1},
    "optimizer": {
        "parameters": {
            "betas": {"value": [0.9, 0.99]},
            "name": {"value": "adam"},
            "weight.decay": {"parameters": {"on": {"value": True}, "rate": {"value": None}}},
        }
    },
}
MAPPING = {"model": {"value": {"depth": 2, "norm": None, "act": {"name": "gelu"}}}}
START = ["${env}", "${interpreter}", "${program}"]
COMMANDS = [
    None,
    [*START, "${args}"],
    [*START, "${args_no_equals}"],
    [*START, "${args_no_hyphens}"],
    [*START, "${args_append_hydra}"],
    [*START, "${args_override_hydra}"],
    [*START, "${args_no_boolean_flags}"],
    [*START, "${args_json}"],
    [*START, "--config", "${args_json_file}"],
    ["python", "${program}", "${args_no_hyphens}", "--", "${args}"],
    ["python3", "-m", "${program}", "${args}"],
    ["torchrun", "--nproc-per-node", 2, "${program}", "${args}"],
    ["accelerate", "launch", "--num_processes", "${envvar:SIZE}", "${program}", "${args}"],
    ["${program}", "${args}"],
    ["bash", "-c", "python train.py ${args} ${program}"],
    ["${interpreter}", "train.py", "--key=${envvar:KEY}", "--data=${envvar:DATA_DIR}/${envvar:SIZE}/x", "${args}"],
    ["${env}", "X=${envvar:EMPTY}", "${interpreter}", "${program}", "a word", 0.5, True],
    ["${envvar:DATA_DIR}${envvar:SIZE}", "x${program}", "${args}"],
]
PARAMETERS = [{}, PLAIN, MANY, NESTED, MAPPING]
COMMANDS_OF_ALL = 8  # the first ones, for all parameters; the others for plain ones
PROGRAM = "src/train it.py"


def paths(parameters: dict, outer: tuple[str, ...] = ()) -> dict[str, tuple[str, ...]]:
    """The keys that lead to each parameter, by its name with dots."""
    found: dict[str, tuple[str, ...]] = {}
    for key, form in parameters.items():
        own = (*outer, key)
        found |= paths(form["parameters"], own) if "parameters" in form else {".".join(own): own}
    return found


def value(parameters: dict, path: tuple[str, ...]) -> object:
    first, *rest = path
    return value(parameters[first]["parameters"], tuple(rest)) if rest else parameters[first]["value"]


def command_line(command: list | None, program: str | None, args: dict) -> tuple[list[str], dict, str | None]:
    """What the agent would start, what it writes for wandb in that, and what for `${args_json_file}`."""
    agent = object.__new__(wandb_agent.Agent)
    started: dict = {}
    agent.__dict__ |= {"_sweep_command": command and [*command], "_function": None, "_in_jupyter": False}
    agent.__dict__ |= {"_run_processes": {}, "_forward_signals": False}
    run = {"run_id": "r", "program": program, "args": args}

    class Started:
        def __init__(self, **given: object) -> None:
            started.update(given)

    environment = {**os.environ, **ENVIRONMENT, "WANDB_SWEEP_ID": "s"}
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.dict(os.environ, {**environment, "WANDB_DIR": folder}, clear=True),
        mock.patch.object(wandb_agent, "AgentProcess", Started),
    ):
        (Path(folder) / "wandb" / "sweep-s").mkdir(parents=True)
        agent._command_run(run)
        written = Path(folder) / "wandb" / "sweep-s" / "config-r.json"
        text = written.read_text() if written.exists() else None
        words = [str(word).replace(str(written), "config.json") for word in started["command"]]
        return words, yaml.safe_load(written.with_suffix(".yaml").read_text()), text


def main() -> None:
    cases = []
    for number, command in enumerate(COMMANDS):
        for parameters in PARAMETERS if number < COMMANDS_OF_ALL else [PLAIN]:
            args = HyperParameterSet.from_config(parameters).to_config()
            words, _, text = command_line(command, PROGRAM, args)
            known = paths(parameters)
            flat = {name: value(parameters, path) for name, path in known.items()}
            nested = {name: path for name, path in known.items() if len(path) > 1}
            case = {"command": command, "params": flat, "paths": nested, "expected": words}
            cases.append(case if text is None else {**case, "json_file": text})
    lines = ",\n".join(json.dumps(case) for case in cases)
    header = json.dumps({"program": PROGRAM, "environment": ENVIRONMENT})[1:-1]
    path = Path(__file__).parent / "expected" / "commands.json"
    path.write_text(f'{{{header}, "cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
