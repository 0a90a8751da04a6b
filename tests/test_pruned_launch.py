"""Early termination as whole launches: in the store, in tables, over several launches, through kills."""

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
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from reading import children, outcomes, steps

from orchestrator.divergence import DivergenceRule
from orchestrator.trackers import Store
from orchestrator.trial import Trial
from orchestrator.worker import runner

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]

MEDIAN = """
trial: toys:train
metric: {name: score, goal: maximize}
early_terminate: {type: median, n_startup_trials: 2}
parameters: {x: {values: [1.0, 2.0, 5.0, 0.5]}, epochs: 4}
"""
BY_SEEDS = """
trial: toys:train
metric: {name: final_score}
early_terminate: {type: wilcoxon}
seeds: [0, 1, 2, 3, 4, 5]
parameters: {x: {values: [1, 2]}}
"""


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["process", "inline"])
def test_what_falls_behind_ends_as_pruned_and_is_never_run_again(
    store: str, folder: Path, write: Write, sweep: Sweep, executor: str
) -> None:
    path = write(MEDIAN)
    assert "trials may be pruned, by median on score" in sweep("plan", path).stdout
    workers = ["--workers", "1"] if executor == "process" else []
    done = sweep("launch", path, "--executor", executor, *workers)
    assert done.returncode == 0, done.stderr
    reason = "median: score 0.02 by epoch 1 is below 0.075, the median of 2 trials"
    assert f"x=5: pruned: {reason} [3/4]" in done.stdout
    assert f"\nx=5: {reason}\n" in done.stdout
    assert outcomes(store, "toy") == {"x=0.5": "completed", "x=1": "completed", "x=2": "completed", "x=5": "pruned"}
    run = next(run for run in children(store, "toy") if run.info.run_name == "x=5")
    assert run.info.status == "KILLED"
    assert run.data.tags["pruned.reason"] == reason
    assert run.data.tags["epochs_run"] == "1"
    assert "failure.reason" not in run.data.tags
    assert run.data.metrics["exploded"] == 0
    assert "final_score" not in run.data.metrics
    assert steps(store, run, "score") == [1]
    assert [path for path in (folder / "mlruns" / "work" / "toy").iterdir() if path.is_dir()] == []
    assert "started" not in sweep("launch", path).stdout
    assert "done: pruned" in sweep("plan", path).stdout
    assert "best of 3 by score (maximize): x=0.5" in sweep("best", path).stdout


@pytest.mark.slow
def test_the_verdict_on_an_epoch_that_a_killed_launch_left_ends_the_trial_there(
    store: str, folder: Path, write: Write, sweep: Sweep
) -> None:
    path = write(MEDIAN.replace(", 5.0, 0.5", ""))
    sweep("launch", path, "--executor", "inline")
    cut = Trial("toys:train", 1, {"x": 5.0, "mode": "fine", "epochs": 4, "seed": 0, "pause": 0.0}, "")
    workdir = folder / "mlruns" / "work" / "toy" / cut.trial_key
    workdir.mkdir(parents=True)
    running = runner.run(runner.Task(cut.function, cut.params, workdir, DivergenceRule()))
    next(running), next(running)
    running.close()
    (workdir / "artifacts" / "note.txt").write_text("from before")
    done = sweep("launch", write(MEDIAN), "--executor", "inline")
    assert done.returncode == 0, done.stderr
    run = next(run for run in children(store, "toy") if run.info.run_name == "x=5")
    assert run.data.tags["pruned.reason"] == "median: score 0.02 by epoch 1 is below 0.075, the median of 2 trials"
    assert steps(store, run, "score") == [1]
    place = Path(run.info.artifact_uri.removeprefix("file://"))
    assert (place / "note.txt").read_text() == "from before"  # nothing has been run


@pytest.mark.slow
def test_a_configuration_that_is_worse_on_the_same_seeds_gets_no_more_of_them(
    store: str, write: Write, sweep: Sweep
) -> None:
    path = write(BY_SEEDS)
    done = sweep("launch", path, "--executor", "inline")
    assert done.returncode == 0, done.stderr
    found = outcomes(store, "toy")
    assert {label for label, outcome in found.items() if outcome == "pruned"} == {"x=2 seed=4", "x=2 seed=5"}
    assert list(found.values()).count("completed") == 10
    for run in children(store, "toy"):
        if run.data.tags["outcome"] == "pruned":
            values = "mean final_score 3.5 over 4 seeds is above the 2.5 of the best configuration on the same seeds"
            assert run.data.tags["pruned.reason"] == f"wilcoxon: {values} (p < 0.1)"
            assert run.info.status == "KILLED"
            assert run.data.metrics == {"exploded": 0.0}
            assert run.data.params["x"] == "2.0"
    best = sweep("best", path).stdout
    assert "best of 2 by final_score (minimize): x=1" in best
    assert "pruned" not in best
    write(BY_SEEDS.replace("0, 1, 2, 3, 4, 5", "0, 1, 2, 3, 4, 5, 6"))
    assert sweep("launch", path, "--executor", "inline").stdout.count(": started") == 1  # x=1 seed=6


def test_a_metric_that_is_not_told_by_epoch_is_a_mistake(store: str, write: Write, sweep: Sweep) -> None:
    path = write(MEDIAN.replace("type: median", "metric: {name: final_score}, type: median"))
    done = sweep("launch", path, "--executor", "inline")
    assert done.returncode == 2
    assert "toy.yaml:4: early_terminate.metric.name: x=1 has reported no final_score by epoch" in done.stderr


@pytest.mark.slow
def test_what_was_pruned_beside_others_is_not_taken_over_by_another_sweep(
    store: str, write: Write, sweep: Sweep
) -> None:
    sweep("launch", write(MEDIAN), "--executor", "inline")
    other = write(MEDIAN.replace("early_terminate: {type: median, n_startup_trials: 2}", "reuse: true"), "other.yaml")
    assert sweep("plan", other).stdout.count("done in toy") == 3
    assert sweep("launch", other, "--executor", "inline").stdout.count(": started") == 1
    assert set(outcomes(store, "other").values()) == {"completed"}


@pytest.mark.slow
@pytest.mark.parametrize("is_database", [True, False])
def test_curves_are_what_trials_told_by_epoch(
    store: str, write: Write, sweep: Sweep, monkeypatch: pytest.MonkeyPatch, is_database: bool
) -> None:
    for name in ("train", "renamed"):  # the second returns another score than it told
        sweep("launch", write(f"trial: toys:{name}\nparameters: {{x: 1}}", f"{name}.yaml"), "--executor", "inline")
    if not is_database:
        monkeypatch.setattr(SqlAlchemyStore, "get_metric_history_bulk", None)
    (one,), (other,) = children(store, "train"), children(store, "renamed")
    ids = [one.info.run_id, other.info.run_id]
    records = [record for name in ("train", "renamed") for record in Store(store).records(name)]
    scores = Store(store).curves("score", records)
    assert scores == {ids[0]: {epoch: pytest.approx(epoch / 10) for epoch in (1, 2, 3)}, ids[1]: {1: 0.3}}
    assert Store(store).curves("final_score", records) == {ids[0]: {}, ids[1]: {}}


KILLED = {
    "successive_halving": """
method: tpe
run_cap: 14
early_terminate: {type: successive_halving, min_resource: 2, reduction_factor: 2}
parameters: {x: {min: 0.1, max: 10, distribution: log_uniform_values}, epochs: 8, pause: 0.03}
""",
    "median": """
early_terminate: {type: median, n_startup_trials: 2}
parameters: {x: {values: [1, 2, 3, 0.9, 1.7, 2.5, 0.8, 4, 1.6, 0.7, 6, 1.5]}, epochs: 8, pause: 0.03}
""",
    "wilcoxon": """
early_terminate: {type: wilcoxon}
seeds: [0, 1, 2, 3, 4]
parameters: {x: {values: [2, 1, 3]}, pause: 0.05}
""",
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name == "successive_halving" else pytest.mark.long)
        for name in KILLED
    ],
)
def test_a_sweep_that_is_killed_again_and_again_prunes_what_an_untouched_one_does(
    folder: Path, store: str, write: Write, sweep: Sweep, name: str
) -> None:
    path = write("trial: toys:train\nmetric: {name: score, goal: maximize}\n" + KILLED[name])
    untouched = folder / "untouched"
    (untouched / "mlruns").mkdir(parents=True)
    shutil.copy(folder / "mlruns" / "mlflow.db", untouched / "mlruns")
    calm = f"sqlite:///{untouched / 'mlruns' / 'mlflow.db'}"
    assert sweep("launch", path, "--workers", "1", "--tracking-uri", calm).returncode == 0

    rng, kills = random.Random(name), 0
    command = [sys.executable, "-m", "orchestrator", "launch", str(path), "--workers", "1"]
    while kills < 3:
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as launch:
            assert launch.stdout is not None
            if next((line for line in launch.stdout if ": started" in line), None) is None:
                break
            time.sleep(rng.uniform(0.0, 0.6))
            launch.send_signal(signal.SIGKILL)
        kills += 1
    assert kills > 1
    assert sweep("launch", path, "--workers", "1").returncode == 0
    assert ends(store) == ends(calm)
    assert "pruned" in outcomes(store, "toy").values()


def ends(store: str) -> list[object]:
    """How each trial ended, and all that it told by epoch."""
    return [(run.data.params, told(run), curve(store, run)) for run in children(store, "toy")]


def told(run: Run) -> dict[str, str]:
    return {name: run.data.tags.get(name, "") for name in ("outcome", "pruned.reason", "epochs_run", "proposal")}


def curve(store: str, run: Run) -> list[tuple[int, float]]:
    points = MlflowClient(tracking_uri=store).get_metric_history(run.info.run_id, "score")
    return [(point.step, point.value) for point in points]
