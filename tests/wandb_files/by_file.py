# /// script
# dependencies = ["wandb==0.31.0", "sweeps==0.2.0"]
# ///
"""What W&B's engine and agent make of each sweep file of this folder: writes expected/files.json.

Run it in an environment with wandb==0.31.0 and sweeps==0.2.0, or with `uv run`. Both get the files as they are, but:

- `1e-3` is a number, as in YAML 1.2, where PyYAML reads a text, which the engine refuses as the end of a range;
- `categorical` with `probabilities`, as the documentation has it, is the engine's `categorical_w_probabilities`.
"""

import json
import random
import re
from collections import Counter
from pathlib import Path

import yaml
from by_agent import command_line
from sweeps.config.schema import sweep_config_jsonschema
from sweeps.grid_search import grid_search_next_runs
from sweeps.params import HyperParameter, HyperParameterSet

FOLDER = Path(__file__).parent
FILES = sorted(path for path in FOLDER.iterdir() if path.suffix in (".yaml", ".yml", ".json"))
LISTED = (HyperParameter.CATEGORICAL, HyperParameter.CATEGORICAL_PROB)
SHARES = 40  # at which the values of a distribution are taken
SHARES_OF_LISTS = 1000
DRAWS = 4  # of a random sweep or a search, with their command lines
COMMANDS = 6  # of a grid


class Loader(yaml.SafeLoader):
    """PyYAML's, with the numbers of YAML 1.2."""


EXPONENT = re.compile(r"[-+]?([0-9][0-9_]*\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$")
Loader.add_implicit_resolver("tag:yaml.org,2002:float", EXPONENT, [*"-+.0123456789"])


def read(path: Path) -> dict:
    """A file as `wandb sweep` reads it, with the exceptions above."""
    with path.open() as file:
        config = yaml.load(file, Loader)  # noqa: S506
    with path.open() as file:
        return {**config, "command": yaml.safe_load(file).get("command"), "parameters": known(config["parameters"])}


def known(parameters: dict) -> dict:
    """The parameters in the names that the engine has."""
    found = {}
    for name, form in parameters.items():
        found[name] = dict(form)
        if "parameters" in form:
            found[name]["parameters"] = known(form["parameters"])
        if "probabilities" in form:
            found[name]["distribution"] = "categorical_w_probabilities"
    return found


def plain(value: object) -> object:
    """As an agent gets it: through JSON."""
    return json.loads(json.dumps(value, default=lambda one: one.item() if hasattr(one, "item") else str(one)))


def flat(parameters: dict, values: dict, prefix: str = "") -> dict:
    """The values of a trial by names with dots."""
    found = {}
    for name, form in parameters.items():
        inner = "parameters" in form
        found |= flat(form["parameters"], values[name], f"{prefix}{name}.") if inner else {prefix + name: values[name]}
    return found


def trial(config: dict, args: dict) -> dict:
    """A trial with its command line, and what the agent writes for the program to read."""
    args = plain(args)
    words, written, text = command_line(config["command"], config.get("program"), args)
    values = {name: given["value"] for name, given in plain(written).items() if name in args}
    made = {"params": flat(config["parameters"], values), "words": words, "config": values}
    return made if text is None else {**made, "json_file": text}


def distributions(parameters: HyperParameterSet) -> dict:
    """The values at equally spaced shares, or of lists how often each is drawn."""
    found = {}
    for parameter in parameters.searchable_params:
        listed = parameter.type in LISTED
        count = SHARES_OF_LISTS if listed else SHARES
        values = [plain(parameter.ppf((i + 0.5) / count)) for i in range(count)]
        name = parameter.name.replace(HyperParameterSet.NESTING_DELIMITER, ".")
        if listed:
            counts = Counter(map(json.dumps, values))
            found[name] = {"shares": [[json.loads(text), number / count] for text, number in counts.items()]}
        else:
            found[name] = {"quantiles": [v if isinstance(v, int) else float(f"{v:.7g}") for v in values]}
    return found


def made(path: Path) -> dict:
    config = read(path)
    unknown = sorted(config.keys() - sweep_config_jsonschema["properties"].keys())
    found = {"method": config["method"], "unknown_to_the_engine": unknown}
    parameters = HyperParameterSet.from_config(config["parameters"])
    if config["method"] == "grid":
        runs = grid_search_next_runs([], {"method": "grid", "parameters": config["parameters"]}, n=10_000)
        args = [run.config for run in runs if run is not None]
        return {
            **found,
            "grid": [trial(config, one)["params"] for one in args],
            "trials": [trial(config, one) for one in args[:COMMANDS]],
        }
    random.seed(path.name)
    trials = []
    for _ in range(DRAWS):
        for parameter in parameters:
            parameter.value = parameter.sample()
        trials.append(trial(config, parameters.to_config()))
    return {**found, "distributions": distributions(parameters), "trials": trials}


if __name__ == "__main__":
    lines = [f"{json.dumps(path.name)}: {json.dumps(made(path))}" for path in FILES]
    (FOLDER / "expected" / "files.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
