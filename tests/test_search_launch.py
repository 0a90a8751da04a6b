"""Searches as whole launches: in the store, over several launches, through kills."""

import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from reading import children

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]

TOY = """
trial: toys:train
method: {method}
metric: {{name: score, goal: maximize}}
run_cap: {cap}
parameters:
  x: {{min: 0.1, max: 10, distribution: log_uniform_values}}
  pause: {{value: {pause}}}
"""
VAE = """
method: tpe
metric: {name: val_ssim, goal: maximize}
run_cap: 14
parameters:
  {dataset: digits, architecture: fc, num_layers: 1, batch_size: 64, epochs: 1, var: 0.05, lr: {min: 1.0e-3, max: 100,
   distribution: log_uniform_values}}
"""


def proposed(store: str, name: str = "toy") -> list[Run]:
    """The runs of a search in the order of their proposals."""
    return sorted(children(store, name), key=lambda run: int(run.data.tags["proposal"].split(",")[0].split(":")[1]))


def test_a_search_runs_to_its_budget_and_a_larger_one_goes_on(store: str, write: Write, sweep: Sweep) -> None:
    path = write(TOY.format(method="tpe", cap=4, pause=0))
    planned = sweep("plan", path)
    assert "to be proposed by tpe: 4" in planned.stdout
    first = sweep("launch", path, "--workers", "1")
    assert first.returncode == 0, first.stderr
    assert len(children(store, "toy")) == 4
    assert "started" not in sweep("launch", path).stdout
    assert "to run: 0 of 4" in sweep("plan", path).stdout
    write(TOY.format(method="tpe", cap=6, pause=0))
    assert sweep("launch", path).stdout.count(": started") == 2
    runs = proposed(store)
    assert len(runs) == 6
    assert all(run.info.run_name.startswith("x=") and run.data.tags["outcome"] == "completed" for run in runs)
    for run in runs:
        assert run.data.metrics["best_score"] == pytest.approx(0.3 / float(run.data.params["x"]))


@pytest.mark.slow
def test_trials_that_explode_are_results_of_a_search(
    store: str, write: Write, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.conclusion.export", lambda *_: False)
    done = sweep("launch", write(VAE, "search.yaml"))
    assert done.returncode == 0, done.stderr
    runs = proposed(store, "search")
    exploded = [run for run in runs if run.data.tags["outcome"] == "loss explosion"]
    assert len(runs) == 14
    assert 0 < len(exploded) < 14
    for run in runs:
        assert (run.data.metrics["explosion_margin"] > 0) == (run in exploded)
    assert "14/14" in done.stdout


@pytest.mark.slow
def test_a_changed_constant_begins_a_new_search_and_leaves_the_old_one(store: str, write: Write, sweep: Sweep) -> None:
    path = write(TOY.format(method="qmc", cap=2, pause=0))
    sweep("launch", path)
    write(TOY.format(method="qmc", cap=2, pause=0.001))
    again = sweep("launch", path)
    assert "2 trials of this sweep in the store have other values" in again.stdout
    assert len(children(store, "toy")) == 4


@pytest.mark.slow
def test_a_search_that_is_killed_again_and_again_proposes_what_an_untouched_one_does(
    folder: Path, store: str, write: Write, sweep: Sweep
) -> None:
    path = write(TOY.format(method="tpe", cap=14, pause=0.03))
    untouched = folder / "untouched"
    (untouched / "mlruns").mkdir(parents=True)
    shutil.copy(folder / "mlruns" / "mlflow.db", untouched / "mlruns")
    calm = f"sqlite:///{untouched / 'mlruns' / 'mlflow.db'}"
    assert sweep("launch", path, "--workers", "1", "--tracking-uri", calm).returncode == 0

    rng = random.Random(0)
    kills = 0
    command = [sys.executable, "-m", "orchestrator", "launch", str(path), "--workers", "1"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    while True:
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as launch:
            assert launch.stdout is not None
            if kills == 3:
                launch.stdout.read()
                break
            next(line for line in launch.stdout if ": started" in line)
            time.sleep(rng.uniform(0.0, 0.8))
            launch.send_signal(signal.SIGKILL)
        kills += launch.returncode == -signal.SIGKILL
    assert launch.returncode == 0

    one, other = proposed(calm), proposed(store)
    assert [run.data.params for run in other] == [run.data.params for run in one]
    assert [run.data.tags["proposal"] for run in other] == [run.data.tags["proposal"] for run in one]
    assert [run.data.tags["outcome"] for run in other] == ["completed"] * 14
    for left, right in zip(one, other, strict=True):
        assert curve(calm, left) == curve(store, right)


def curve(store: str, run: Run) -> list[tuple[int, float]]:
    points = MlflowClient(tracking_uri=store).get_metric_history(run.info.run_id, "train_loss")
    return [(point.step, point.value) for point in points]


@pytest.mark.slow
def test_the_best_configuration_is_told_with_its_interval_and_how_to_run_it_again(
    store: str, write: Write, sweep: Sweep
) -> None:
    text = "trial: toys:train\nmethod: tpe\nrun_cap: 9\nmetric: {name: final_score, goal: minimize}\nseeds: [0, 1, 2]\n"
    path = write(text + "parameters: {x: {min: 0.5, max: 2}}")
    assert sweep("launch", path, "--workers", "1").returncode == 0
    best = min(proposed(store), key=lambda run: float(run.data.params["x"]))
    said = sweep("best", path)
    assert said.returncode == 0, said.stderr
    mean, half_width = float(best.data.params["x"]) + 1, 4.303 / math.sqrt(3)
    assert f"final_score {mean:.5g} ± {half_width:.2g} (95%, 3 seeds)" in said.stdout
    assert "not distinguishable from it with these seeds: x=" in said.stdout
    command = said.stdout.split("run it again: ")[1].split()
    assert command[-3:] == ["--name=toy-again", f"--set=x={best.data.params['x']}", "--set=seed=3"]
    again = sweep("launch", *command[command.index("launch") + 1 :])
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("started") == 1
    assert sweep("best", "toy").stdout == said.stdout.replace("toy-again", "toy-again-2")
    assert "--name=toy-again-again " in sweep("best", "toy-again").stdout


@pytest.mark.slow
def test_the_command_of_the_best_sets_also_what_only_the_others_had(store: str, write: Write, sweep: Sweep) -> None:
    path = write("trial: toys:train\nmetric: {name: score, goal: maximize}\nparameters: {mode: {values: [fine, nan]}}")
    sweep("launch", path)
    assert "--set=mode=fine" in sweep("best", path).stdout


@pytest.mark.slow
def test_there_is_no_best_of_nothing(store: str, write: Write, sweep: Sweep) -> None:
    path = write("trial: toys:train\nmetric: {name: score, goal: maximize}\nconfigs: [{mode: nan, epochs: 4}]")
    assert "there is no store yet" in sweep("best", path, "--tracking-uri", "sqlite:///elsewhere.db").stderr
    assert "the store has no sweep toy" in sweep("best", path).stderr
    sweep("launch", path, "--set", "mode=raise")
    none = sweep("best", path)
    assert (none.returncode, "no trial of toy that toy.yaml asks for has completed with a value" in none.stderr) == (
        2,
        True,
    )


def test_a_search_that_is_interrupted_before_its_first_trial_was_interrupted(
    store: str, folder: Path, write: Write, sweep: Sweep
) -> None:
    (folder / "mine.py").write_text(
        "import os, signal\nfrom toys import Config\n\ndef train(config: Config):\n    yield {'score': config.x}\n\n"
        "def prepare(config):\n    os.kill(os.getpid(), signal.SIGINT)\n\ntrain.prepare = prepare\n"
    )
    path = write(TOY.format(method="tpe", cap=4, pause=0).replace("toys:", "mine:"))
    ended = sweep("launch", path, "--executor", "inline")
    assert (ended.returncode, ended.stderr) == (130, "")


@pytest.mark.slow
def test_the_best_is_one_that_the_function_can_still_run(store: str, folder: Path, write: Write, sweep: Sweep) -> None:
    code = (
        "from dataclasses import dataclass\n\n@dataclass(frozen=True)\nclass Config:\n    x: float = 1.0\n"
        "    old: int = 0\n\ndef train(config: Config):\n    yield {'score': config.x}\n"
    )
    (folder / "first.py").write_text(code)
    (folder / "second.py").write_text(code.replace("old", "new"))
    text = "trial: first:train\nmetric: {name: score, goal: maximize}\nparameters: {x: {values: [1, 2]}}"
    sweep("launch", write(text), "--executor", "inline")
    path = write(text.replace("first", "second"))
    none = sweep("best", path)
    assert (none.returncode, "no trial of toy that toy.yaml asks for has completed" in none.stderr) == (2, True)
    sweep("launch", path, "--set", "x=0.5", "--executor", "inline")
    assert "best of 1 by score (maximize): the only configuration" in sweep("best", "toy").stdout
