"""Who sweeps a function of their own needs no torch, and is told where it is needed after all."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from installing import environment, outside, wheel

from orchestrator import trackers
from orchestrator.functions import Modules
from orchestrator.system import torch_builds
from orchestrator.worker import runner

Command = Callable[..., subprocess.CompletedProcess[str]]
Write = Callable[..., Path]
OF_THE_VAE = ("torch", "torchvision", "skimage")
NEEDS_TORCH = "the default trial needs torch: pip install 'vae-sweeps[vae]'"
DIGITS = "parameters: {dataset: digits, epochs: 1, batch_size: 512, num_layers: 1, latent_dim: 2}\n"
METRIC = "trial: toys:train\nmetric: {name: final_score, goal: maximize}\n"
SEARCH = "run_cap: 5\nparameters: {x: {min: 1.0, max: 9.0}}\n"
METHODS = {
    "grid": "parameters: {x: {values: [1, 2, 3, 4, 5]}}\n",
    **{name: f"method: {name}\n{SEARCH}" for name in ("random", "tpe", "cmaes")},
}


@pytest.fixture
def no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "models"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)


@pytest.mark.usefixtures("no_torch")
def test_the_default_trial_says_what_to_install(capfd: pytest.CaptureFixture[str]) -> None:
    with Modules(is_default=True).active():
        assert runner.prepare("models.train:train", [{"dataset": "digits"}]) == NEEDS_TORCH + torch_builds.option()
    assert capfd.readouterr().err == ""


@pytest.mark.usefixtures("no_torch")
def test_a_function_of_ones_own_that_lacks_a_library_is_not_taken_for_it(folder: Path) -> None:
    (folder / "models").mkdir()
    (folder / "models" / "train.py").write_text("import torch\n\ndef train(config): ...\n")
    with Modules((str(folder),)).active():
        problem = runner.prepare("models.train:train", [{}])
    assert problem is not None
    assert problem.startswith("models.train:train cannot be used: ModuleNotFoundError: ")


@pytest.mark.usefixtures("no_torch")
def test_a_method_that_needs_it_says_so_before_anything_starts(folder: Path, write: Write, sweep: Command) -> None:
    path = write(f"{METRIC}method: gp\n{SEARCH}")
    refused = sweep("launch", path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == f"sweep: {path}:3: method: gp needs torch: pip install torch\n"
    assert not (folder / "mlruns").exists()


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with this package alone, made once for all processes that run tests."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "alone"
    with FileLock(f"{shared}.lock"):
        if not (shared / "env" / "bin" / "sweep").exists():
            shared.mkdir()
            environment(shared / "env", wheel(shared))
    return shared / "env" / "bin"


@pytest.fixture
def alone(folder: Path, programs: Path) -> Command:
    """Run the command of that environment in the current folder."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [programs / "sweep", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=outside())

    return run


@pytest.mark.long
def test_an_install_without_extras_brings_no_framework(programs: Path, alone: Command) -> None:
    code = f"import importlib.util as u; print([n for n in {OF_THE_VAE} if u.find_spec(n)])"
    found = subprocess.run([programs / "python", "-c", code], capture_output=True, text=True, env=outside(), check=True)
    assert found.stdout == "[]\n"
    assert "torch not installed" in alone("--version").stdout.splitlines()


@pytest.mark.long
def test_there_the_default_trial_is_planned_and_its_launch_says_what_to_install(alone: Command) -> None:
    assert alone("init", "mine.yaml", "--from", "quickstart").returncode == 0
    planned = alone("plan", "mine.yaml")
    assert (planned.returncode, "to run: 5 of 5" in planned.stdout) == (0, True), planned.stderr
    for executor in ("process", "inline"):
        refused = alone("launch", "mine.yaml", "--quiet", "--executor", executor)
        assert (refused.returncode, refused.stderr) == (2, f"sweep: {NEEDS_TORCH}\n")
    assert alone("status").returncode == 0


@pytest.mark.long
def test_there_a_function_of_ones_own_is_swept_and_read(
    store: str, write: Write, alone: Command, programs: Path
) -> None:
    launched = alone("launch", *(write(METRIC + text, f"{name}.yaml") for name, text in METHODS.items()), "--quiet")
    assert launched.returncode == 0, launched.stderr
    assert launched.stdout.count(" completed ") == 5 * len(METHODS)
    known = alone("status").stdout
    assert all(f" {name} " in known for name in METHODS)
    assert alone("best", "grid").stdout.startswith("best of 5 by final_score (maximize): x=5\n")
    reported = alone("report", *METHODS)
    assert (reported.returncode, "report.html" in reported.stdout) == (0, True), reported.stderr
    code = f"import orchestrator as o; print(*(len(o.load_sweep(name).trials) for name in {[*METHODS]}))"
    python = [programs / "python", "-c", code]
    read = subprocess.run(python, capture_output=True, text=True, env=outside(), check=True)
    assert read.stdout.split() == ["5"] * len(METHODS)


@pytest.mark.long
def test_there_the_vaes_trials_of_another_place_are_read_and_what_runs_them_says_what_to_install(
    store: str, write: Write, sweep: Command, alone: Command
) -> None:
    path = write(DIGITS, "vae.yaml")
    assert sweep("launch", path, "--executor", "inline").returncode == 0
    (record,) = trackers.Store(store).records("vae")
    for call in ("launch", "plan", "status", "best", "report"):
        done = alone(call, path)
        assert (done.returncode, done.stderr) == (0, ""), call
    replayed = alone("replay", record.run_id)
    assert (replayed.returncode, replayed.stderr) == (2, f"sweep: {NEEDS_TORCH}\n")
