"""The scripts of examples/programs, as a user would sweep them, in environments that have nothing of ours."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from processes import all_gone
from reading import children, outcomes, steps
from test_clients import environment

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples" / "programs"
LIGHT = ("wandb", "hydra-core", "click", "mlflow-skinny", "scikit-learn", "tensorboardX")
HEAVY = ROOT / "build" / "integrations" / "bin"

Sweep = Callable[..., subprocess.CompletedProcess[str]]
Write = Callable[..., Path]


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with nothing in it; returns its folder of programs."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder / "bin"


@pytest.fixture(autouse=True)
def scripts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The examples in the current folder; at the end none of their processes may be left."""
    shutil.copytree(EXAMPLES, folder, dirs_exist_ok=True)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    yield folder
    assert left(folder) == []


def left(folder: Path) -> list[list[str]]:
    found = psutil.process_iter(["cmdline", "environ"])
    workdir = f"SWEEP_WORKDIR={folder}"
    return [
        one.info["cmdline"]
        for one in found
        if workdir in f"SWEEP_WORKDIR={(one.info['environ'] or {}).get('SWEEP_WORKDIR')}"
    ]


def first_on_path(bin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{bin_folder}{os.pathsep}{os.environ['PATH']}")


def by_name(store: str, name: str) -> dict[str, Run]:
    return {str(run.info.run_name): run for run in children(store, name)}


def test_scripts_are_swept_as_they_are(store: str, bare: Path, sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    first_on_path(bare, monkeypatch)
    ended = sweep("launch", "argparse_wandb.yaml", "print_loop.yaml", "train_sh.yaml")
    assert ended.returncode == 0, ended.stdout + ended.stderr

    runs = by_name(store, "argparse_wandb")
    assert {name: run.data.tags["outcome"] for name, run in runs.items()} == {
        "lr=0.01": "completed",
        "lr=0.1": "completed",
        "lr=1e+200": "loss explosion",
    }
    for metric in ("train/loss", "val/accuracy"):
        assert steps(store, runs["lr=0.1"], metric) == [*range(1, 9)]
    assert runs["lr=0.1"].data.params["weight-decay"] == "0.001"
    assert runs["lr=0.1"].data.metrics["val/accuracy"] > 0.85
    assert "metrics of argparse_wandb.py: from wandb.log" in ended.stdout

    runs = by_name(store, "print_loop")
    assert {run.data.tags["outcome"] for run in runs.values()} == {"completed", "loss explosion"}
    assert runs["lr=50"].data.tags["outcome"] == "loss explosion"
    assert steps(store, runs["lr=0.5"], "slope") == [*range(1, 13)]
    assert "metrics of print_loop.py: from the lines that it prints" in ended.stdout

    for run in by_name(store, "train_sh").values():
        assert run.data.tags["outcome"] == "completed"
        assert steps(store, run, "loss") == [*range(1, 11)]


HELD = """
command: [bash, -c, 'python argparse_wandb.py "$@" | tee -a $0.txt', held, "${args}"]
metric: {name: val/accuracy, goal: maximize}
parameters: {lr: 3.0, weight-decay: 1.0, epochs: 300, pause: 0.01}
"""
FOLLOWED = """
command: [bash, -c, 'python print_loop.py "$@" | tee -a $0.txt', followed, "${args}"]
metric: {name: loss, goal: minimize}
parameters: {lr: 3.0, epochs: 300, pause: 0.1}
"""
PRUNED = """
command: [bash, -c, 'python argparse_wandb.py "$@" | tee -a $0.txt', pruned, "${args}"]
metric: {name: val/accuracy, goal: maximize}
early_terminate: {type: median, n_startup_trials: 1}
parameters: {lr: {values: [0.1, 1.0e-9]}, epochs: 30}
"""
TEXTS = {"held": HELD, "followed": FOLLOWED, "pruned": PRUNED}


@pytest.mark.slow
def test_what_explodes_and_what_falls_behind_is_ended_at_once(
    store: str, folder: Path, bare: Path, sweep: Sweep, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_on_path(bare, monkeypatch)
    files = [write(text, f"{name}.yaml") for name, text in TEXTS.items()]
    ended = sweep("launch", *files, "--workers", "1", "--set", "seed=1")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    for name, more in (("held", 1), ("followed", 10)):
        (exploded,) = by_name(store, name).values()
        assert exploded.data.tags["outcome"] == "loss explosion"
        assert 3 < epochs_in(folder / f"{name}.txt") <= int(exploded.data.tags["explosion.epoch"]) + more
    good, bad = (by_name(store, "pruned")[f"lr={lr}"] for lr in ("0.1", "1e-09"))
    assert (good.data.tags["outcome"], bad.data.tags["outcome"]) == ("completed", "pruned")
    assert "median" in bad.data.tags["pruned.reason"]
    assert epochs_in(folder / "pruned.txt") <= 30 + int(bad.data.tags["epochs_run"]) + 1


def epochs_in(printed: Path) -> int:
    return len(re.findall(r"^epoch \d+", printed.read_text(), re.MULTILINE))


KILLED = """
program: {program}
metric: {{name: {metric}}}
retries: 3
parameters: {{lr: {{values: [0.1, 0.2]}}, epochs: 14, pause: 0.08, seed: 3}}
"""
SAVES = """
import argparse, os, pathlib, time
import {library} as library

parser = argparse.ArgumentParser()
for name in ("lr", "epochs", "pause", "seed"):
    parser.add_argument(f"--{{name}}", type=float)
args = parser.parse_args()
saved = pathlib.Path(os.environ["SWEEP_WORKDIR"], "saved")
{begin}
for epoch in range(int(saved.read_text()) + 1 if saved.exists() else 1, int(args.epochs) + 1):
    {log}
    saved.with_suffix(".new").write_text(str(epoch))
    saved.with_suffix(".new").replace(saved)
    print(f"epoch {{epoch}} is done")
    time.sleep(args.pause)
"""
WITH_WANDB = {
    "library": "wandb",
    "begin": "library.init()",
    "log": "library.log({'epoch': epoch, 'loss': 1 / epoch})",
}
WITH_MLFLOW = {
    "library": "mlflow",
    "begin": "library.start_run()",
    "log": "library.log_metric('loss', 1 / epoch, step=epoch)",
}
WITH_TENSORBOARDX = {
    "library": "tensorboardX",
    "begin": "writer = library.SummaryWriter()",
    "log": "writer.add_scalar('loss', 1 / epoch, epoch); time.sleep(0.1); writer.flush()",  # a thread writes
}


class Launch:
    """A launch of a sweep file in the current folder, and the processes that belong to it."""

    def __init__(self, file: str) -> None:
        command = [sys.executable, "-m", "orchestrator", "launch", file, "--workers", "1"]
        variables = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.output = Path("launched.txt")
        with self.output.open("w") as output:
            self.process = subprocess.Popen(command, env=variables, stdout=output, stderr=subprocess.STDOUT)

    def program(self) -> psutil.Process:
        """The program that runs, once it does so."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for one in psutil.Process(self.process.pid).children(recursive=True):
                with suppress(psutil.Error):
                    if {"argparse_wandb.py", "print_loop.py", "saves.py"} & {*one.cmdline()}:
                        return one
            time.sleep(0.02)
        raise AssertionError("no program has begun")

    def wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline
            assert self.process.poll() is None, self.output.read_text()
            time.sleep(0.02)


def lines_of_first_trial(folder: Path) -> int:
    return max((log.read_text().count("epoch ") for log in folder.glob("mlruns/work/*/*/log.txt")), default=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "metric", "script"),
    [
        ("print_loop.py", "loss", None),
        pytest.param("argparse_wandb.py", "val/accuracy", None, marks=pytest.mark.long),
        pytest.param("saves.py", "loss", WITH_WANDB, marks=pytest.mark.long),
        ("saves.py", "loss", WITH_MLFLOW),
        pytest.param("saves.py", "loss", WITH_TENSORBOARDX, marks=pytest.mark.long),
    ],
)
def test_whatever_is_killed_nothing_is_lost_and_nothing_doubled(
    store: str,
    folder: Path,
    bare: Path,
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
    program: str,
    metric: str,
    script: dict[str, str] | None,
) -> None:
    first_on_path(bare if script in (None, WITH_WANDB) else environment(*LIGHT).parent, monkeypatch)
    if script is not None:
        write(SAVES.format(**script), program)
    write(KILLED.format(program=program, metric=metric), "killed.yaml")
    launch = Launch("killed.yaml")
    for victim, lines in (("program", 2), ("guard", 4), ("worker", 6), ("launch", 9)):
        launch.wait(lambda lines=lines: lines_of_first_trial(folder) >= lines)  # type: ignore[misc]
        running = launch.program()
        guard = running.ppid()
        worker = psutil.Process(guard).ppid()
        pid = {"program": running.pid, "guard": guard, "worker": worker, "launch": launch.process.pid}[victim]
        os.kill(pid, signal.SIGKILL)
        assert all_gone([running.pid], within=10)
    launch.process.wait(10)
    assert all_gone([worker])
    deadline = time.monotonic() + 10
    while left(folder):
        assert time.monotonic() < deadline, left(folder)

    last = Launch("killed.yaml")
    assert last.process.wait(60) == 0, last.output.read_text()
    assert outcomes(store, "killed") == {"lr=0.1": "completed", "lr=0.2": "completed"}
    for run in children(store, "killed"):
        assert steps(store, run, metric) == [*range(1, 15)]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("name", "metric", "epochs", "way"),
    [
        ("argparse_wandb", "train/loss", 8, "wandb.log"),
        ("hydra_app", "accuracy", 6, "wandb.log"),
        ("click_mlflow", "val_accuracy", 6, "mlflow"),
        ("autolog", "test_accuracy", 1, "mlflow"),
        ("summary_writer", "Accuracy/val", 6, "TensorBoard's event files"),
    ],
)
def test_scripts_with_libraries_of_their_own_are_swept_as_they_are(
    store: str, sweep: Sweep, monkeypatch: pytest.MonkeyPatch, name: str, metric: str, epochs: int, way: str
) -> None:
    first_on_path(environment(*LIGHT).parent, monkeypatch)
    check(store, sweep, name, metric, epochs, way)


@pytest.mark.integrations
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("name", "metric", "epochs", "way"),
    [
        ("lightning_cli", "val_acc", 4, "TensorBoard's event files"),
        ("hf_trainer", "eval_accuracy", 3, "mlflow"),
        ("ddp", "loss", 5, "wandb.log"),
    ],
)
def test_scripts_with_frameworks_are_swept_as_they_are(
    store: str, sweep: Sweep, monkeypatch: pytest.MonkeyPatch, name: str, metric: str, epochs: int, way: str
) -> None:
    assert HEAVY.exists(), "make integrations"
    first_on_path(HEAVY, monkeypatch)
    check(store, sweep, name, metric, epochs, way)


def check(store: str, sweep: Sweep, name: str, metric: str, epochs: int, way: str) -> None:
    ended = sweep("launch", f"{name}.yaml")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"metrics of {name}.py: from {way}" in ended.stdout
    for run in children(store, name):
        explodes = float(run.data.params.get("lr", run.data.params.get("model.lr", 0))) > 1e9
        assert run.data.tags["outcome"] == ("loss explosion" if explodes else "completed")
        if not explodes:
            assert steps(store, run, metric) == [*range(1, epochs + 1)]
            assert run.data.params.get("trainer.max_epochs", str(epochs)) == str(epochs)
            assert run.data.metrics.get("rank", 0.0) == 0.0, "those of the first process count"


TELLS = """
program: tells.sh
command: [bash, "${program}", "${envvar:TOKEN}"]
retries: 1
parameters: {lr: 1}
"""


@pytest.mark.slow
def test_what_a_program_prints_of_a_secret_before_it_is_killed_is_hidden(
    store: str, sweep: Sweep, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "s3cr3t-t0ken")
    write('echo "my token is $1"; kill -SEGV $$', "tells.sh")
    assert sweep("launch", write(TELLS, "tells.yaml")).returncode == 1
    (run,) = children(store, "tells")
    log = Path(MlflowClient(tracking_uri=store).download_artifacts(run.info.run_id, "log.txt")).read_text()
    assert log.count("my token is ***") == 2
    assert "s3cr3t" not in log + str(run.to_dictionary())
