"""A store in a PostgreSQL server that is written to without an MLflow server between."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from reading import children, outcomes, steps

from orchestrator import launch

pytestmark = pytest.mark.slow
Sweep = Callable[..., subprocess.CompletedProcess[str]]
GRID = """
trial: toys:train
metric: {name: score, goal: maximize}
parameters: {x: {values: [1, 2, 3]}, pause: 0.1, epochs: 6}
"""


def curves(store: str) -> dict[str, list[int]]:
    return {str(run.info.run_name): steps(store, run, "score") for run in children(store, "toy")}


def test_a_sweep_ends_there_as_in_sqlite_and_reads_the_same(
    postgresql: Callable[[], str], store: str, folder: Path, sweep: Sweep
) -> None:
    (folder / "toy.yaml").write_text(GRID)
    there = postgresql()
    for uri in (store, there):
        launch(folder / "toy.yaml", tracking_uri=uri, workers=2, quiet=True)
    assert curves(there) == curves(store)
    assert outcomes(there, "toy") == outcomes(store, "toy")
    for command in (["status", "toy.yaml"], ["best", "toy.yaml"], ["plan", "toy.yaml"]):
        here, other = (sweep(*command, "--tracking-uri", uri) for uri in (store, there))
        assert other.returncode == here.returncode == 0
        assert len(other.stdout.splitlines()) == len(here.stdout.splitlines()) > 1


def test_a_launch_that_is_killed_there_goes_on_and_a_deleted_trial_is_not_run_again(
    postgresql: Callable[[], str], folder: Path, sweep: Sweep
) -> None:
    (folder / "toy.yaml").write_text(GRID)
    there = postgresql()
    arguments = ["launch", "toy.yaml", "--workers", "1", "--tracking-uri", there]
    killed = subprocess.Popen(
        [sys.executable, "-m", "orchestrator", *arguments], start_new_session=True, stdout=subprocess.DEVNULL
    )
    client = MlflowClient(tracking_uri=there)
    deadline = time.monotonic() + 90
    ended: list[str] = []
    while not ended and time.monotonic() < deadline:
        time.sleep(0.1)
        experiment = client.get_experiment_by_name("toy")
        found = client.search_runs([experiment.experiment_id], "tags.outcome = 'completed'") if experiment else []
        ended = [run.info.run_id for run in found]
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    client.delete_run(ended[0])
    again = sweep(*arguments)
    assert again.returncode == 0, again.stderr
    assert "1 trial is in MLflow's trash, and not counted" in again.stdout + again.stderr
    assert outcomes(there, "toy") == {"x=2": "completed", "x=3": "completed"}
    assert all(found == [*range(1, 7)] for found in curves(there).values())
    assert {run.info.status for run in children(there, "toy")} == {"FINISHED"}
    client.restore_run(ended[0])
    assert sweep(*arguments).returncode == 0
    assert len(children(there, "toy")) == 3
