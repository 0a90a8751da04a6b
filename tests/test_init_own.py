"""`sweep init --trial` and `--program`: what it writes of a function, or of a script's options, plans as it is."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.commands.first_values import first_values
from orchestrator.functions import find
from orchestrator.spec import load
from orchestrator.spec.source import read
from orchestrator.trackers import Store
from orchestrator.trials.grid import expand

Sweep = Callable[..., subprocess.CompletedProcess[str]]


def written(folder: Path, name: str) -> dict[str, Any]:
    """The keys and values of a file that was written, without its comments."""
    content: dict[str, Any] = read(folder / name).content
    return content


def commented(folder: Path, name: str) -> list[str]:
    """The lines of parameters that have their defaults."""
    lines = (folder / name).read_text().splitlines()
    start = lines.index("  # These parameters have their defaults:") + 1
    return [line.removeprefix("  # ") for line in lines[start : lines.index("", start)]]


FUNCTION = """
from typing import Annotated, Literal
from pydantic import Field

def train(
    width: int = 64,
    lr: Annotated[float, Field(gt=0, description="Of SGD.")] = 0.1,
    optimizer: Literal["sgd", "adam"] = "sgd",
    nesterov: bool = False,
    epochs: int = 3,
    workdir=None,
):
    for epoch in range(1, epochs + 1):
        yield {"epoch": epoch, "loss": lr / epoch}
"""


@pytest.mark.slow
def test_a_function_has_its_parameters_with_defaults_and_limits(folder: Path, sweep: Sweep) -> None:
    (folder / "mine.py").write_text(FUNCTION)
    done = sweep("init", "--trial", "mine:train")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("wrote mine.yaml; `sweep plan mine.yaml` shows its trials, `sweep launch mine.yaml`")
    assert written(folder, "mine.yaml") == {"trial": "mine:train", "parameters": {"lr": {"values": [0.05, 0.1, 0.2]}}}
    assert "  lr: {values: [0.05, 0.1, 0.2]}  # Of SGD. (above 0)\n" in (folder / "mine.yaml").read_text()
    assert commented(folder, "mine.yaml") == [
        "width: 64",
        "optimizer: sgd  # sgd, adam",
        "nesterov: false",
        "epochs: 3",
    ]
    assert "\n# metric:" in (folder / "mine.yaml").read_text()
    assert "to run: 3 of 3" in sweep("plan", "mine.yaml").stdout
    assert sweep("init", "--trial", "mine:train").stderr == (
        "sweep: mine.yaml: exists already and is not overwritten; name another file\n"
    )


@pytest.mark.slow
def test_a_metric_is_written_where_the_function_declares_one(folder: Path, sweep: Sweep) -> None:
    (folder / "mine.py").write_text(
        f"{FUNCTION}\nfrom orchestrator import Declaration, Metric\n"
        "train.declaration = Declaration(metrics=(Metric('loss'), Metric('accuracy', 'maximize')))\n"
    )
    (folder / "sweeps").mkdir()
    assert sweep("init", "sweeps/first.yaml", "--trial", "mine:train").returncode == 0
    assert written(folder, "sweeps/first.yaml")["metric"] == {"name": "loss", "goal": "minimize"}
    assert "to run: 3 of 3" in sweep("plan", "sweeps/first.yaml").stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("signature", "parameters"),
    [
        ("lr=0.1", {"lr": {"values": [0.05, 0.1, 0.2]}}),
        ("momentum=0.9, learning_rate=1e-5", {"learning_rate": {"values": [5e-6, 1e-5, 2e-5]}}),
        ("depth=2, dropout=0.5, epochs=9", {"dropout": {"values": [0.25, 0.5, 1.0]}}),
        ("epochs=9, depth=3", {"depth": {"values": [2, 3, 6]}}),
        ("seed=1, depth=1", {"depth": {"values": [1, 2]}}),
        ("epochs=9, deep=False", {"deep": {"values": [False, True]}}),
        ("decay=0.0, lr=0.1", {"lr": {"values": [0.05, 0.1, 0.2]}}),
        ("lr", {"lr": {"values": [0.001, 0.01]}}),
        ("lr, size, data: str", {"lr": {"values": [0.001, 0.01]}, "size": 1, "data": ""}),
        ("lr: Annotated[float, Field(le=0.1)] = 0.1", {"lr": {"values": [0.05, 0.1]}}),
        ("epochs=9", {"epochs": 9}),
        ("name='here'", {"name": "here"}),
    ],
)
def test_what_is_varied_first_is_what_is_likely_to_matter(
    folder: Path, sweep: Sweep, signature: str, parameters: dict[str, Any]
) -> None:
    head = "from typing import Annotated\nfrom pydantic import Field\n"
    (folder / "mine.py").write_text(f"{head}def train({signature}, workdir=None, *, y=None): ...\n")
    assert sweep("init", "--trial", "mine:train").returncode == 0
    assert written(folder, "mine.yaml")["parameters"] == parameters
    assert sweep("plan", "mine.yaml").returncode == 0


def test_values_that_the_function_refuses_are_not_among_the_first(folder: Path) -> None:
    (folder / "mine.py").write_text(
        "from dataclasses import dataclass\n@dataclass\nclass Config:\n    lr: float = 0.1\n"
        "    def __post_init__(self):\n        if self.lr > 0.1: raise ValueError('too high')\n"
        "def train(config: Config): ...\n"
    )
    function = find("mine:train")

    def accepts(values: Any) -> bool:
        try:
            return bool(function.resolve(values))
        except ValueError:
            return False

    assert first_values(function.parameters, accepts) == {"lr": {"values": [0.05, 0.1]}}


def test_of_a_dict_what_the_source_reads_is_written(folder: Path, sweep: Sweep) -> None:
    (folder / "mine.py").write_text(
        "def train(config):\n    lr, depth = config['optimizer']['lr'], config.get('depth', 2)\n"
        "    return {'score': lr * depth + config['x']}\n"
    )
    assert sweep("init", "--trial", "mine:train").returncode == 0
    expected = {"optimizer.lr": {"values": [0.001, 0.01]}, "x": 1}
    assert written(folder, "mine.yaml")["parameters"] == expected
    assert commented(folder, "mine.yaml") == ["depth: 2"]
    (folder / "other.py").write_text("def train(config):\n    return dict(config)\n")
    done = sweep("init", "--trial", "other:train")
    assert "no parameters of other:train could be read; the file has an example of some, commented out\n" in done.stdout
    assert written(folder, "other.yaml") == {"trial": "other:train"}
    assert "to run: 1 of 1" in sweep("plan", "other.yaml").stdout


ARGPARSE = """
import argparse
WIDTH = 64
raise_if_run = 1 / 0
def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("-l", "--learning-rate", type=float, default=1e-2, help="of SGD,\\n  100%% of it")
    group = parser.add_argument_group("model")
    group.add_argument("--width", type=int, default=WIDTH)
    group.add_argument("--kind", choices=["conv", "fc"], default="conv")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--data", default="data")
    parser.add_argument("--untyped", default=0.5)
    parser.add_argument("--sizes", nargs="+", type=int)
    parser.add_argument("--computed", type=int, default=2 * WIDTH)
    parser.add_argument("--no-cuda", action="store_false")
    parser.add_argument("place", nargs="?")
    parser.add_argument("-x", type=int)
    return parser
"""
CLICK = """
import click
raise_if_run = 1 / 0
@click.command()
@click.option("--lr", default=0.1, help="Of SGD.")
@click.option("--width", "-w", type=click.IntRange(8, max=512), default=64)
@click.option("--kind", type=click.Choice(["conv", "fc"]), required=True)
@click.option("--size", multiple=True)
@click.option("--name")
@click.option("--deep/--flat", default=True)
def main(lr, width, kind, size, name, deep): ...
"""
TYPER = """
from typing import Annotated
import typer
raise_if_run = 1 / 0
app = typer.Typer()
@app.command()
def main(
    data: Annotated[str, typer.Argument()] = "here",
    learning_rate: float = 0.1,
    width: Annotated[int, typer.Option("--units")] = 64,
    name: str = typer.Option("net", help="Of it."),
    shuffle: bool = True,
): ...
"""
HYDRA = """
import hydra
raise_if_run = 1 / 0
@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(cfg): ...
"""
SCRIPTS = {
    "argparse": (
        ARGPARSE,
        {"learning-rate": {"values": [0.005, 0.01, 0.02]}},
        ["width: 64", "kind: conv  # conv, fc", "verbose: false", "data: data"],
        "${args_no_boolean_flags}",
    ),
    "click": (
        CLICK,
        {"lr": {"values": [0.05, 0.1, 0.2]}, "kind": "conv"},
        ["width: 64  # from 8 to 512", "name: null"],
        None,
    ),
    "typer": (TYPER, {"learning-rate": {"values": [0.05, 0.1, 0.2]}}, ["units: 64", "name: net  # Of it."], None),
    "typer.run": (
        "import typer\ndef main(lr: float = 0.1, width: int = 8): ...\n\ntyper.run(main)\n",
        {"lr": {"values": [0.05, 0.1, 0.2]}},
        ["width: 8"],
        None,
    ),
    "hydra": (
        HYDRA,
        {"optimizer.lr": {"values": [0.05, 0.1, 0.2]}, "data": 1},
        ["model.width: 64", "epochs: 3", "optimizer.nesterov: true", "name: null"],
        "${args_no_hyphens}",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", SCRIPTS)
def test_a_script_has_the_options_that_its_source_shows(folder: Path, sweep: Sweep, kind: str) -> None:
    source, parameters, others, arguments = SCRIPTS[kind]
    (folder / "train.py").write_text(source)
    (folder / "conf" / "model").mkdir(parents=True)
    (folder / "conf" / "model" / "wide.yaml").write_text("width: 64\n")
    (folder / "conf" / "config.yaml").write_text(
        "defaults: [{model: wide}, _self_]\nepochs: 3\noptimizer: {lr: 1e-1, nesterov: true}\nname:\ndata: ???\n"
        "log: ${name}.log\nhydra: {job: {chdir: true}}\n"
    )
    done = sweep("init", "--program", "train.py")
    assert (done.returncode, done.stderr) == (0, "")
    content = written(folder, "train.yaml")
    assert (content["program"], content["parameters"]) == ("train.py", parameters)
    assert commented(folder, "train.yaml") == others
    assert content.get("command", [None])[-1] == arguments
    assert [trial.params[next(iter(parameters))] for trial in expand(load(folder / "train.yaml")).trials] == next(
        iter(parameters.values())
    )["values"]
    assert sweep("plan", "train.yaml").returncode == 0


@pytest.mark.parametrize(
    ("source", "needed"),
    [
        (
            "import argparse\np = argparse.ArgumentParser()\np.add_argument('data')\n"
            "p.add_argument('--lr', default=0.1, type=float)\np.add_argument('more', nargs='*')\n"
            "p.add_argument('last', nargs=1)\n",
            ["data", "last"],
        ),
        (
            "import click\n@click.command()\n@click.argument('data')\n@click.argument('more', nargs=-1)\n"
            "@click.argument('other', required=False)\n@click.option('--lr', default=0.1)\ndef main(**_): ...\n",
            ["data"],
        ),
        (
            "import typer\nfrom typing import Annotated\ndef main(data: str, to: Annotated[str, typer.Argument()], "
            "more: Annotated[str, typer.Argument()] = 'x', lr: float = 0.1): ...\ntyper.run(main)\n",
            ["data", "to"],
        ),
    ],
)
def test_what_a_script_needs_without_a_name_stands_in_its_command_and_is_said(
    folder: Path, sweep: Sweep, source: str, needed: list[str]
) -> None:
    (folder / "train.py").write_text(source)
    done = sweep("init", "--program", "train.py")
    each = "each of them" if len(needed) > 1 else "it"
    line = f"train.py needs {' and '.join(needed)} beside its options: replace {each} in `command` by what is meant\n"
    assert (done.returncode, line in done.stdout) == (0, True), done
    assert written(folder, "train.yaml")["command"][-len(needed) - 1 :] == [*needed, "${args}"]
    assert sweep("plan", "train.yaml").returncode == 0


@pytest.mark.parametrize(
    ("comment", "name"),
    [
        ("# @package _global_", "lr"),
        ("# of ours\n\n# @package _global_.net", "net.lr"),
        ("# @package _group_", "model.lr"),
        ("# @package other", "other.lr"),
        ("", "model.lr"),
    ],
)
def test_an_option_of_hydras_is_called_as_its_file_says_at_its_top(
    folder: Path, sweep: Sweep, comment: str, name: str
) -> None:
    (folder / "train.py").write_text(HYDRA)
    (folder / "conf" / "model").mkdir(parents=True)
    (folder / "conf" / "config.yaml").write_text("defaults: [{model: wide}]\n")
    (folder / "conf" / "model" / "wide.yaml").write_text(f"{comment}\nlr: 0.1\n# @package none\n")
    assert sweep("init", "--program", "train.py").returncode == 0
    assert [*written(folder, "train.yaml")["parameters"]] == [name]


def test_a_help_text_is_a_comment_in_a_line(folder: Path, sweep: Sweep) -> None:
    (folder / "train.py").write_text(ARGPARSE)
    sweep("init", "--program", "train.py")
    line = "  learning-rate: {values: [0.005, 0.01, 0.02]}  # of SGD, 100%% of it\n"
    assert line in (folder / "train.yaml").read_text()


def test_options_in_a_module_beside_the_script_are_found(folder: Path, sweep: Sweep) -> None:
    (folder / "settings.py").write_text(ARGPARSE)
    (folder / "scripts").mkdir()
    (folder / "train.py").write_text("from settings import options\nargs = options().parse_args()\n")
    assert sweep("init", "scripts/train.yaml", "--program", "train.py").returncode == 0
    content = written(folder, "scripts/train.yaml")
    assert (content["program"], [*content["parameters"]]) == ("../train.py", ["learning-rate"])
    assert "to run: 3 of 3" in sweep("plan", "scripts/train.yaml").stdout


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("train.py", "import sys\nlr = float(sys.argv[1])\n"),
        ("train.sh", "echo loss=1\n"),
        (
            "train.py",
            "import argparse\np = argparse.ArgumentParser().add_subparsers()\np.add_argument('--lr', type=float)\n",
        ),
    ],
)
def test_without_options_the_file_has_an_example_in_a_comment(
    folder: Path, sweep: Sweep, name: str, source: str
) -> None:
    (folder / name).write_text(source)
    done = sweep("init", "--program", name)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(
        f"no options of {name} could be read; the file has an example of some, commented out\n"
    )
    assert written(folder, "train.yaml") == {"program": name}
    assert "\n# parameters:\n#   lr: {values: [0.001, 0.01]}\n" in (folder / "train.yaml").read_text()
    assert "to run: 1 of 1" in sweep("plan", "train.yaml").stdout
    taken_in = (folder / "train.yaml").read_text().replace("# parameters:\n#   lr", "parameters:\n  lr")
    (folder / "train.yaml").write_text(taken_in)
    assert "to run: 2 of 2" in sweep("plan", "train.yaml").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--trial", "nowhere:train"], "--trial nowhere:train: there is no module nowhere"),
        (["--trial", "mine"], "--trial mine: 'mine' is not of the form package.module:function"),
        (["--program", "nowhere.py"], "--program nowhere.py: there is no file or module nowhere.py in "),
        (["--program", "broken.py"], "broken.py:1: "),
        (["--program", "a.py", "--trial", "a:b"], "init takes one of --from, --trial and --program, not several"),
    ],
)
def test_what_cannot_be_swept_is_said_in_a_line_and_nothing_is_written(
    folder: Path, sweep: Sweep, arguments: list[str], said: str
) -> None:
    (folder / "broken.py").write_text("def train(:\n")
    done = sweep("init", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert [*folder.glob("*.yaml")] == []


@pytest.mark.slow
def test_what_is_written_of_a_function_is_launched_as_it_is(folder: Path, store: str, sweep: Sweep) -> None:
    (folder / "mine.py").write_text(FUNCTION)
    assert sweep("init", "--trial", "mine:train").returncode == 0
    done = sweep("launch", "mine.yaml")
    assert done.returncode == 0, done.stderr
    assert sorted(record.params["lr"] for record in Store(store).records("mine")) == [0.05, 0.1, 0.2]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["argparse", "flags", "click"])
def test_what_is_written_of_a_script_is_launched_as_it_is(folder: Path, store: str, sweep: Sweep, name: str) -> None:
    scripts = {
        "argparse": (
            "import argparse\np = argparse.ArgumentParser()\np.add_argument('--lr', type=float, default=0.5)\n"
            "args = p.parse_args()\nprint(f'epoch 1 loss={args.lr}')\n"
        ),
        "flags": (
            "import argparse\np = argparse.ArgumentParser()\np.add_argument('--deep', action='store_true')\n"
            "args = p.parse_args()\nprint(f'epoch 1 loss={1.5 if args.deep else 0.5}')\n"
        ),
        "click": (
            "import click\n@click.command()\n@click.option('--lr', default=0.5)\n"
            "def main(lr):\n    print(f'epoch 1 loss={lr}')\nmain()\n"
        ),
    }
    losses = {"argparse": [0.25, 0.5, 1.0], "flags": [0.5, 1.5], "click": [0.25, 0.5, 1.0]}
    (folder / "train.py").write_text(scripts[name])
    assert sweep("init", "--program", "train.py").returncode == 0
    done = sweep("launch", "train.yaml")
    assert done.returncode == 0, done.stderr
    assert sorted(record.metrics["loss"] for record in Store(store).records("train")) == losses[name]


def test_the_module_is_not_imported_for_it(folder: Path, sweep: Sweep) -> None:
    (folder / "mine.py").write_text("raise_if_imported = 1 / 0\ndef train(lr: float = 0.1, epochs: int = 3): ...\n")
    assert sweep("init", "--trial", "mine:train").returncode == 0
    assert "mine" not in sys.modules
