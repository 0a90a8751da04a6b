"""A package or a module called `models` of the user's own harms neither the default trial nor theirs."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from installing import pip, wheel

from orchestrator.functions import Modules, modules_of

ROOT = Path(__file__).parent.parent
Command = Callable[..., subprocess.CompletedProcess[str]]
DIGITS = "parameters: {dataset: digits, epochs: 1, batch_size: 512, num_layers: 1, latent_dim: 2}\n"
NET = "WIDTH = 7\n"
THEIRS = {
    "a package": {"models/__init__.py": "", "models/net.py": NET},
    "a folder without __init__": {"models/net.py": NET},
    "a module": {"models.py": "class net:\n    WIDTH = 7\n"},
    "a package with a train of its own": {
        "models/__init__.py": "",
        "models/net.py": NET,
        "models/train.py": "x = 1\n",
    },
}
*OTHERS, WORST = THEIRS
KINDS = [*(pytest.param(kind, marks=pytest.mark.long) for kind in OTHERS), WORST]
MINE = """
from dataclasses import dataclass
from models import net

@dataclass
class Config:
    epochs: int = 1

def train(config: Config):
    yield {"epoch": 1, "width": float(net.WIDTH)}
"""


def put(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_models_of_the_users_own_harm_no_trial(folder: Path, store: str, sweep: Command, kind: str) -> None:
    place = folder / "mine"
    put(place, THEIRS[kind])
    put(place, {"mine.py": MINE, "mine.yaml": "trial: mine:train\n", "vae.yaml": DIGITS})
    for name, found in (("mine", " 7 "), ("vae", "completed")):
        done = sweep("launch", place / f"{name}.yaml", "--workers", 1)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        assert found in done.stdout, (name, done.stdout)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_nor_do_those_in_the_current_folder(folder: Path, store: str, command: Command, kind: str) -> None:
    put(folder, THEIRS[kind])
    put(folder, {"mine.py": MINE, "mine.yaml": "trial: mine:train\n", "vae.yaml": DIGITS})
    for name, found in (("mine", " 7 "), ("vae", "completed"), ("mine", " 7 ")):
        done = command("launch", f"{name}.yaml", "--workers", 1)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        assert found in done.stdout, (name, done.stdout)


@pytest.mark.slow
def test_both_run_in_one_process(folder: Path, store: str, sweep: Command) -> None:
    put(folder, THEIRS["a package"] | {"mine.py": MINE, "mine.yaml": "trial: mine:train\n", "vae.yaml": DIGITS})
    for name, found in (("mine", " 7 "), ("vae", "completed"), ("mine", " 7 ")):
        done = sweep("launch", f"{name}.yaml", "--executor", "inline")
        assert (done.returncode, done.stderr) == (0, "")
        assert found in done.stdout, (name, done.stdout)
    assert sweep("schema").stdout == (ROOT / "sweeps" / "sweep.schema.json").read_text()


@pytest.mark.slow
def test_a_trial_function_in_a_train_of_ones_own_is_meant_where_the_file_names_it(
    folder: Path, command: Command
) -> None:
    put(folder, {"models/__init__.py": "", "models/net.py": NET, "models/train.py": MINE})
    put(folder, {"named.yaml": "trial: models.train:train\n", "unnamed.yaml": DIGITS})
    assert "1 trial of models.train:train" in command("plan", "named.yaml").stdout
    assert command("plan", "named.yaml", "--set", "latent_dim=3").returncode == 2
    assert command("plan", "unnamed.yaml", "--set", "latent_dim=3").returncode == 0


@pytest.mark.slow
def test_a_folder_of_trained_models_is_no_package(folder: Path, store: str, command: Command) -> None:
    of_ours = MINE.replace("from models import net", "from models.config import TrainConfig")
    of_ours = of_ours.replace("net.WIDTH", "TrainConfig().epochs")
    put(folder, {"models/best.txt": "weights", "mine.py": of_ours, "mine.yaml": "trial: mine:train\n"})
    done = command("launch", "mine.yaml")
    assert (done.returncode, " 50 " in done.stdout) == (0, True), done.stderr + done.stdout


def test_modules_of_one_name_in_two_folders_do_not_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        put(tmp_path / name, {"settings_of_mine.py": f"NAME = '{name}'\n"})
    for name in ("a", "b", "a"):
        Modules((str(tmp_path / name),)).use()
        import settings_of_mine

        assert name == settings_of_mine.NAME
    Modules().use()
    assert not any(str(tmp_path) in entry for entry in sys.path)
    with pytest.raises(ImportError):
        import settings_of_mine


def test_the_default_trial_is_that_of_this_program_unless_the_file_names_another(tmp_path: Path) -> None:
    assert modules_of(None, [tmp_path]).is_default
    assert modules_of("models.train:train", [tmp_path]).is_default
    put(tmp_path, {"models/train.py": ""})
    assert not modules_of("models.train:train", [tmp_path]).is_default
    assert modules_of(None, [tmp_path]).is_default
    assert modules_of("models.train:train", [ROOT]).is_default


def test_a_package_of_ones_own_may_hold_the_train_that_the_file_names(tmp_path: Path) -> None:
    put(tmp_path, {"models/train/__init__.py": ""})
    assert not modules_of("models.train:train", [tmp_path]).is_default


def test_models_that_are_in_use_in_a_notebook_stay_in_use(tmp_path: Path) -> None:
    put(tmp_path, {"models/__init__.py": "", "models/net.py": NET})
    with Modules((str(tmp_path),)).active():
        from models import net

        with Modules(is_default=True).active():
            from models.config import TrainConfig

            assert TrainConfig().epochs
        assert sys.modules["models.net"] is net
        from models import net as again

        assert again is net


@pytest.mark.slow
def test_the_same_holds_of_an_installed_wheel(folder: Path, store: str) -> None:
    """Installed as pip unpacks a wheel: into a folder that stands on the path, with no clone in sight."""
    installed = folder / "installed"
    pip(sys.executable, "install", "--no-deps", "--target", installed, wheel(folder / "built"))
    put(
        folder,
        THEIRS["a folder without __init__"] | {"mine.py": MINE, "mine.yaml": "trial: mine:train\n", "vae.yaml": DIGITS},
    )
    for name, found in (("mine", " 7 "), ("vae", "completed")):
        done = subprocess.run(
            [sys.executable, "-m", "orchestrator", "launch", f"{name}.yaml", "--workers", "1"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(installed)},
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert found in done.stdout, done.stdout
