"""A parameter that a script has no option for is said before any trial runs."""

from pathlib import Path

import pytest

from orchestrator.spec import load

SCRIPT = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("data")
parser.add_argument("--hidden", "-w", type=int, default=4)
parser.add_argument("--lr", type=float)
args = parser.parse_args()
"""
FILE = """
program: train.py
metric: {name: loss}
parameters: {hiden: 8, lr: 0.1, hid: 4}
seeds: [0, 1]
"""


def warnings(folder: Path, script: str, file: str = FILE) -> list[str]:
    (folder / "train.py").write_text(script)
    (folder / "sweep.yaml").write_text(file)
    return [line.removeprefix(f"{folder}/") for line in load(folder / "sweep.yaml").warnings]


def test_an_option_that_there_is_not_is_said_with_its_place_and_the_nearest(tmp_path: Path) -> None:
    assert warnings(tmp_path, SCRIPT) == [
        "sweep.yaml:4: parameters.hiden: there is no option --hiden in the source of train.py; did you mean hidden?",
        "sweep.yaml:5: seeds: there is no option --seed in the source of train.py; it has hidden, lr",
    ]


def test_options_of_a_module_beside_the_script_count(tmp_path: Path) -> None:
    (tmp_path / "options.py").write_text('def add(parser):\n    parser.add_argument("--hiden")\n')
    script = SCRIPT.replace("import argparse", "import argparse, options") + 'parser.add_argument("--seed")\n'
    assert warnings(tmp_path, script) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("parser.parse_args()", "parser.parse_known_args()[0]"),
        ('"--lr"', "NAME"),
        ("ArgumentParser()", "ArgumentParser(parents=[common()])"),
        ("argparse.ArgumentParser()", "HfArgumentParser(Arguments)"),
        ("args = ", "Trainer.add_argparse_args(parser)\nargs = "),
        ("args = ", "parser.add_class_arguments(Model)\nargs = "),
        ("add_argument", "add_option"),
        ("import argparse", "import argparse !"),
        ("import argparse", "import argparse, click"),
        ("import argparse", "from typer import Typer\nimport argparse"),
        ("args = ", "lib.register_options(parser)\nargs = "),
        ("argparse.ArgumentParser()", "default_argument_parser()"),
        ('parser.add_argument("--lr"', 'add = parser.add_argument\nadd("--lr"'),
        ('"data")', '"data", nargs=argparse.REMAINDER)'),
    ],
)
def test_nothing_is_said_of_a_script_whose_source_may_not_show_all(tmp_path: Path, old: str, new: str) -> None:
    assert warnings(tmp_path, SCRIPT.replace(old, new)) == []


def test_options_of_a_module_that_is_imported_from_where_the_script_runs_count(tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "options.py").write_text('def add(parser):\n    parser.add_argument("--hiden")\n')
    script = SCRIPT.replace("import argparse", "import argparse\nfrom pkg.options import add")
    (tmp_path / "pkg" / "train.py").write_text(script + 'parser.add_argument("--seed")\n')
    assert warnings(tmp_path, "", FILE.replace("train.py", "pkg.train")) == []
    assert warnings(tmp_path, "", FILE.replace("train.py", "pkg/train.py")) == []


def test_the_script_is_named_where_the_file_has_a_command_alone(tmp_path: Path) -> None:
    file = FILE.replace("program: train.py", 'command: [python, train.py, "${args}"]')
    said = warnings(tmp_path, 'import argparse\nargparse.ArgumentParser().add_argument("data")\n', file)
    assert said[0].endswith("parameters.hiden: there is no option --hiden in the source of train.py; it has none")


@pytest.mark.parametrize("passed", ["${args_json_file}", "${args_no_hyphens}"])
def test_nothing_is_said_where_parameters_come_otherwise(tmp_path: Path, passed: str) -> None:
    command = f'command: ["${{env}}", "${{interpreter}}", "${{program}}", "{passed}"]\n'
    assert warnings(tmp_path, SCRIPT, FILE + command) == []
