"""Files of one's own harm nothing, whatever they are called, and are found where people have them."""

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.functions import Modules, find, modules_of
from orchestrator.functions.needed import is_needed
from orchestrator.functions.parameter import FunctionError

Command = Callable[..., subprocess.CompletedProcess[str]]
MINE = """
from dataclasses import dataclass

from {module} import WIDTH

@dataclass
class Config:
    size: int = 1

def train(config: Config):
    yield {{"epoch": 1, "width": float(WIDTH)}}
"""
HARMFUL = "raise RuntimeError('this file is not to be imported')\n"
IN_THE_WAY = (
    *("orchestrator.py", "random.py", "queue.py", "logging/__init__.py", "multiprocessing.py", "signal.py"),
    *("numpy.py", "yaml/__init__.py", "mlflow.py", "pydantic.py", "greenlet.py", "docker/__init__.py"),
)


def put(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def installed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Command:
    """The command as an installed one is called: by a file that lies elsewhere."""
    script = tmp_path_factory.mktemp("bin") / "sweep"
    script.write_text("from orchestrator.cli import main\n\nmain()\n")

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(script), *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
            env=dict(os.environ),
        )

    return run


@pytest.mark.slow
@pytest.mark.parametrize("place", [".", "mine"])
def test_files_called_like_what_is_imported_harm_nothing(
    folder: Path, store: str, installed: Command, place: str
) -> None:
    own = {f"{name}.py": f"WIDTH = {number}\n" for name, number in (("tests", 1), ("samplers", 20), ("models", 300))}
    all_of_them = MINE.format(module="models").replace("(WIDTH)", "(WIDTH + samplers.WIDTH + tests.WIDTH)")
    put(folder / place, dict.fromkeys(IN_THE_WAY, HARMFUL) | own)
    put(folder / place, {"mine.py": f"import samplers, tests\n{all_of_them}", "a.yaml": "trial: mine:train\n"})
    done = installed("launch", f"{place}/a.yaml", "--workers", 1)
    assert (done.returncode, done.stderr, " 321 " in done.stdout) == (0, "", True), done.stderr + done.stdout


@pytest.mark.slow
def test_modules_in_src_are_found(folder: Path, store: str, installed: Command) -> None:
    put(folder, {"src/mine/__init__.py": "", "src/mine/train.py": MINE.format(module="mine.settings")})
    put(folder, {"src/mine/settings.py": "WIDTH = 7\n", "sweeps/a.yaml": "trial: mine.train:train\n"})
    done = installed("launch", "sweeps/a.yaml", "--workers", 1)
    assert (done.returncode, done.stderr, " 7 " in done.stdout) == (0, "", True), done.stderr + done.stdout


def test_src_counts_where_it_is_no_package_itself(tmp_path: Path) -> None:
    put(tmp_path, {"a/src/x.py": "", "b/src/__init__.py": "", "c/x.py": ""})
    folders = modules_of("x:train", [tmp_path / "a", tmp_path / "b", tmp_path / "c"]).folders
    assert [Path(folder).relative_to(tmp_path).as_posix() for folder in folders] == ["a", "a/src", "b", "c"]


@pytest.mark.parametrize("name", ["queue", "statistics", "optuna"])
def test_a_trial_function_in_such_a_file_is_refused_in_a_sentence(tmp_path: Path, name: str) -> None:
    put(tmp_path, {f"{name}.py": MINE.format(module="mine")})
    modules = Modules((str(tmp_path),))
    with pytest.raises(FunctionError, match=f"^{name} in .* has the name of a module of Python, or .*; rename it$"):
        find(f"{name}:train", modules)
    Modules().use()


def test_what_is_needed_is_pythons_and_that_of_dependencies() -> None:
    assert [
        name for name in ("random", "numpy", "yaml", "mlflow", "PIL", "torch", "sqlalchemy") if not is_needed(name)
    ] == []
    assert not any(is_needed(name) for name in ("tests", "samplers", "models", "utils", "orchestrator", "test"))


@pytest.mark.slow
def test_modules_of_one_name_in_several_folders_are_each_of_their_own_sweep(
    folder: Path, store: str, sweep: Command
) -> None:
    for number, place in enumerate(("a", "b"), start=1):
        text = MINE.format(module="settings").replace("size: int = 1", f"size: int = {number}")
        put(
            folder / place,
            {"mine.py": text, "settings.py": f"WIDTH = {number}\n", f"{place}.yaml": "trial: mine:train"},
        )
    done = sweep("launch", "a/a.yaml", "b/b.yaml", "--workers", 1)
    assert (done.returncode, done.stderr) == (0, "")
    assert sweep("report", "a/a.yaml", "b/b.yaml", "--out", "both").returncode == 0
    assert sizes_and_widths(folder / "both") == [("1", "1.0"), ("2", "2.0")]
    os.chdir(folder / "a")
    assert sweep("report", "a.yaml", "../b/b.yaml", "--tracking-uri", store, "--out", "both").returncode == 0
    assert sizes_and_widths(folder / "a" / "both") == [("1", "1.0"), ("2", "2.0")]


def sizes_and_widths(folder: Path) -> list[tuple[str, str]]:
    with (folder / "report.csv").open() as file:
        return [(row["size"], row["width"]) for row in csv.DictReader(file)]
