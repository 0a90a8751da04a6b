"""Whole launches on a real cluster, on Ray and on Slurm alike: steered, replayed, and trials that end machines."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest
from processes import all_gone
from reading import children, outcomes, steps
from test_launch import started
from test_memory import ALONE, EATER, limited_processes  # noqa: F401 - a fixture
from test_replay import SAME, runs

from orchestrator.executors.limits import MOST_NODES

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]
Command = Callable[..., subprocess.CompletedProcess[str]]
# Trials note that they run, and go on until there is a file `go`.
WAITING = """
import time
from pathlib import Path
from toys import Config

HERE = Path({folder!r})

def train(config: Config):
    (HERE / f"runs {{config.x}}").touch()
    epoch = 0
    while epoch == 0 or not (HERE / "go").exists():
        epoch += 1
        time.sleep(0.1)
        yield {{"epoch": epoch, "train_loss": 1 / epoch}}
"""
# Ends what its worker is owned by: an actor of Ray's, or a job.
FATAL = """
import os, psutil
from toys import Config

def train(config: Config):
    with open({pids!r}, "a") as file:
        print(os.getpid(), file=file)
    yield {{"epoch": 1, "train_loss": 1.0}}
    for process in psutil.Process().parents():
        if process.name().startswith("ray::") or "executors.slurm.job" in " ".join(process.cmdline()):
            process.kill()
    while True:
        pass
"""


@dataclass(frozen=True)
class Engine:
    """A real one, and what launches on it with."""

    name: str
    sets: tuple[str, ...]

    @property
    def options(self) -> list[str]:
        return ["--executor", self.name, *(word for each in self.sets for word in ("--set-executor", each))]


@pytest.fixture(params=["ray", "slurm"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return Engine(request.param, tuple(request.getfixturevalue(f"{request.param}_options")))


def until(is_so: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture
def held(engine: Engine, folder: Path, store: str) -> Iterator["subprocess.Popen[str]"]:
    """A launch of four trials, one at a time, that run until there is a file `go`."""
    (folder / "waiting.py").write_text(WAITING.format(folder=str(folder)))
    (folder / "toy.yaml").write_text("trial: waiting:train\nparameters: {x: {values: [1.0, 2.0, 3.0, 4.0]}}\n")
    process = started(folder, "toy.yaml", "--workers", "1", *engine.options)
    yield process
    process.kill()
    process.communicate()


def running(folder: Path) -> int:
    return len([*folder.glob("runs *")])


def test_a_launch_has_more_trials_at_once_where_somebody_asks_for_them_and_is_ended_by_hand(
    engine: Engine, held: "subprocess.Popen[str]", store: str, folder: Path, command: Command
) -> None:
    assert running(folder) == 1
    assert command("workers", "toy", 3).returncode == 0
    until(lambda: running(folder) == 3)
    assert command("stop", "toy", "x=1").returncode == 0
    until(lambda: outcomes(store, "toy").get("x=1") == "pruned")
    until(lambda: running(folder) == 4)  # in the place of that which has ended
    assert command("stop", "toy").returncode == 0
    held.communicate(timeout=100)
    assert held.returncode == 130
    (folder / "go").touch()
    again = command("launch", "toy.yaml", *engine.options)
    assert again.returncode == 0, again.stderr
    assert outcomes(store, "toy") == {"x=1": "pruned", "x=2": "completed", "x=3": "completed", "x=4": "completed"}


def test_a_launch_has_fewer_trials_at_once_where_somebody_asks_for_that_and_none_while_it_is_paused(
    engine: Engine, held: "subprocess.Popen[str]", store: str, folder: Path, command: Command
) -> None:
    assert command("workers", "toy", 2).returncode == 0
    until(lambda: running(folder) == 2)
    paused = command("workers", "toy", 0)
    assert paused.stdout == "toy is paused: 2 run, and go on to their end; `sweep workers toy N` goes on\n"
    (folder / "go").touch()
    until(lambda: [*outcomes(store, "toy").values()].count("completed") == 2)
    time.sleep(2)
    assert running(folder) == 2
    assert command("workers", "toy", 1).returncode == 0
    _, err = held.communicate(timeout=100)
    assert held.returncode == 0, err
    assert [*outcomes(store, "toy").values()] == ["completed"] * 4


def test_a_trial_runs_anew_there_while_its_launch_goes_on(
    engine: Engine, held: "subprocess.Popen[str]", store: str, folder: Path, command: Command
) -> None:
    assert command("stop", "toy", "x=1").returncode == 0
    until(lambda: outcomes(store, "toy").get("x=1") == "pruned")
    before = runs(store)["x=1"]
    (folder / "runs 1.0").unlink()
    asked = command("rerun", "toy", before)
    assert asked.stdout == "x=1 runs anew; what it was is kept, and counts no longer: pruned: stopped by hand\n"
    (folder / "go").touch()
    _, err = held.communicate(timeout=200)
    assert held.returncode == 0, err
    assert (folder / "runs 1.0").exists()
    (was,) = [run for run in children(store, "toy") if run.info.run_id == before]
    counting = {run.info.run_id: run for run in children(store, "toy") if "replaced_by" not in run.data.tags}
    assert [run.data.tags["outcome"] for run in counting.values()] == ["completed"] * 4
    assert was.data.tags["outcome"] == "pruned"
    assert was.data.tags["replaced_by"] in counting


def test_a_trial_goes_on_there_for_more_epochs_in_the_launch_that_is_asked(
    engine: Engine, store: str, folder: Path, command: Command
) -> None:
    go, trained = folder / "go", folder / "epochs.txt"
    code = Path(__file__).with_name("growing.py").read_text()
    waiting = f"while config.x == 2 and not Path({str(go)!r}).exists():\n            time.sleep(0.1)"
    code = code.replace("time.sleep(config.pause)", waiting).replace('Path("epochs.txt")', f"Path({str(trained)!r})")
    (folder / "growing.py").write_text(code)
    (folder / "toy.yaml").write_text(
        "trial: growing:train\nkeep_checkpoints: all\nparameters: {x: {values: [1, 2]}, epochs: 3}\n"
    )
    process = started(folder, "toy.yaml", "--workers", "2", *engine.options, epoch="x=1")
    until(lambda: outcomes(store, "toy").get("x=1") == "completed")
    asked = command("more", "toy", "x=1", "--epochs", 5)
    assert asked.stdout.startswith("x=1 is to have 5 epochs, on from epoch 3 of run "), asked.stderr
    go.touch()
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert sorted(trained.read_text().splitlines()) == ["1 1", "1 2", "1 3", "1 4", "1 5", "2 1", "2 2", "2 3"]
    counting = {run.info.run_name: run for run in children(store, "toy") if "replaced_by" not in run.data.tags}
    assert steps(store, counting["x=1"], "score") == [1, 2, 3, 4, 5]
    assert counting["x=1"].data.metrics["score"] == pytest.approx(1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5)


def test_a_trial_that_ran_on_a_cluster_is_replayed_here_to_the_bit(
    engine: Engine, store: str, write: Callable[[str], Path], command: Command
) -> None:
    write("trial: toys:train\nmetric: {name: score, goal: maximize}\nparameters: {mode: {values: [fine, nan]}}\n")
    done = command("launch", "toy.yaml", *engine.options)
    assert done.returncode == 0, done.stderr
    replayed = command("replay", runs(store)["mode=fine"])
    assert replayed.returncode == 0, replayed.stderr
    assert replayed.stdout.endswith(SAME)
    exploded = command("replay", runs(store)["mode=nan"])
    assert "loss explosion: train_loss became nan after 5 at epoch 3\nthe run ended in the same way" in exploded.stdout


def test_a_trial_that_ends_three_machines_without_a_new_epoch_fails_and_says_so(
    engine: Engine, store: str, folder: Path
) -> None:
    pids = folder / "pids"
    (folder / "fatal.py").write_text(FATAL.format(pids=str(pids)))
    (folder / "toy.yaml").write_text("trial: fatal:train\nparameters: {x: {values: [1.0]}}\nretries: 0\n")
    launch = [sys.executable, "-m", "orchestrator", "launch", "toy.yaml", "--workers", "1", *engine.options]
    done = subprocess.run(launch, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 1, (done.stdout, done.stderr)
    (run,) = children(store, "toy")
    said = f"{MOST_NODES} machines were lost under it without a new epoch, which may be its doing: "
    assert run.data.tags["outcome"] == "failed"
    assert run.data.tags["failure.reason"].startswith(said)
    assert said in done.stdout
    assert steps(store, run, "train_loss") == [1]
    began = [int(pid) for pid in pids.read_text().split()]
    assert len(began) == MOST_NODES
    assert all_gone(began)  # though what had started them was killed


def test_a_trial_that_the_kernel_kills_for_its_memory_alone_on_its_machine_is_infeasible(
    engine: Engine,
    store: str,
    folder: Path,
    limited_processes: Path,  # noqa: F811
) -> None:
    (folder / "eater.py").write_text(dedent(EATER))
    enter = f"echo 0 > {limited_processes}"
    blocks = {"slurm": f"setup: ['{enter}']", "ray": f"runtime_env: {{py_executable: {folder}/limited}}"}
    (folder / "limited").write_text(f'#!/bin/sh\n{enter}\nexec {sys.executable} "$@"\n')
    (folder / "limited").chmod(0o755)
    (folder / "toy.yaml").write_text(
        "trial: eater:train\nparameters: {megabytes: {values: [1000]}}\nretries: 0\n"
        f"executor: {{{engine.name}: {{{blocks[engine.name]}}}}}\n"
    )
    launch = [sys.executable, "-m", "orchestrator", "launch", "toy.yaml", "--workers", "1", *engine.options]
    done = subprocess.run(launch, capture_output=True, text=True, timeout=280, check=False, env=os.environ)
    assert done.returncode == 0, (done.stdout, done.stderr)
    (run,) = children(store, "toy")
    assert run.data.tags["outcome"] == "infeasible"
    said = f"{ALONE}its worker was killed by SIGKILL for its memory, as the system says"
    assert run.data.tags["infeasible.reason"].startswith(said)
