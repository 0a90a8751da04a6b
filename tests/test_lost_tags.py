"""Tags that somebody deletes in MLflow: they are put back, and no trial is run twice over it without a word."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from reading import children, outcomes

from orchestrator.events import Finished, Infeasibility, Progress, Started
from orchestrator.spec import load
from orchestrator.trackers import Tracker
from orchestrator.trial import Outcome, Trial

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]
TOY = "trial: toys:train\nmetric: {name: score, goal: maximize}\n"
GRID = TOY + "parameters: {x: {values: [1, 2, 3]}}\n"
TRIAL = Trial("toys:train", 1, {"x": 1.0}, "x=1")
ENDS = {
    Outcome.COMPLETED: Finished(Outcome.COMPLETED, {"last": 7.0}),
    Outcome.EXPLODED: Finished(Outcome.EXPLODED, reason="the loss is NaN"),
    Outcome.INFEASIBLE: Finished(Outcome.INFEASIBLE, reason="too large", infeasible=Infeasibility("memory")),
    Outcome.PRUNED: Finished(Outcome.PRUNED, reason="below the median"),
    Outcome.FAILED: Finished(Outcome.FAILED, reason="KeyError"),
    Outcome.INTERRUPTED: Finished(Outcome.INTERRUPTED),
}


@pytest.fixture
def client(store: str) -> MlflowClient:
    return MlflowClient(tracking_uri=store)


def run_of(client: MlflowClient, label: str) -> Run:
    (run,) = (run for run in client.search_runs(["1"]) if run.info.run_name == label)
    return run


def lose(client: MlflowClient, label: str, *tags: str) -> str:
    """Delete tags of a run; returns its id."""
    run_id = str(run_of(client, label).info.run_id)
    for tag in tags:
        client.delete_tag(run_id, tag)
    return run_id


@pytest.mark.slow
def test_no_trial_runs_again_for_the_loss_of_a_tag(
    client: MlflowClient, store: str, write: Write, sweep: Sweep
) -> None:
    path = write(GRID)
    sweep("launch", path, "--workers", 1)
    before = {str(run.info.run_id): run.data.tags for run in children(store, "toy")}
    first = lose(client, "x=1", "trial_key")
    second = lose(client, "x=2", "outcome")
    lose(client, "x=3", "mlflow.parentRunId", "trial_key", "config_key", "trial", "sweep")
    lose(client, "x=2", "params")
    parent = lose(client, "toy", "sweep.role")
    again = sweep("launch", path, "--workers", 1)
    assert (again.returncode, again.stdout.count("started")) == (0, 0), again.stderr
    assert (
        f"the run {first} (x=1) lacked its tag trial_key, which was deleted in MLflow; it is put back" in again.stdout
    )
    assert f"the run {second} (x=2) lacked its tag outcome" in again.stdout
    assert {str(run.info.run_id): run.data.tags for run in children(store, "toy")} == before
    assert client.get_run(parent).data.tags["sweep.role"] == "parent"
    assert "put back" not in sweep("launch", path, "--workers", 1).stdout


@pytest.mark.slow
def test_a_trial_that_runs_again_since_nobody_knows_its_run_any_more_is_said(
    client: MlflowClient, store: str, write: Write, sweep: Sweep
) -> None:
    path = write(GRID)
    sweep("launch", path, "--workers", 1)
    run_id = lose(client, "x=1", "trial_key", "params", "config_key")
    again = sweep("launch", path, "--workers", 1)
    assert (again.returncode, again.stdout.count("started")) == (0, 1)
    assert f"the run {run_id} (x=1) is of a trial that nobody knows any more" in again.stdout
    client.set_tag(run_id, "trial_key", run_of(client, "x=2").data.tags["trial_key"])  # a mistake
    client.delete_run(run_id)
    assert sweep("launch", path, "--workers", 1).stdout.count("started") == 0
    assert outcomes(store, "toy") == dict.fromkeys(("x=1", "x=2", "x=3"), "completed")


@pytest.mark.parametrize("outcome", ENDS, ids=str)
def test_how_a_trial_has_ended_is_known_from_what_else_its_run_has(
    client: MlflowClient, store: str, write: Write, tmp_path: Path, outcome: Outcome
) -> None:
    spec = load(write(TOY))
    tracker = Tracker(store, spec)
    tracker.open(1)
    tracker.write(TRIAL, [Started(1, 1), Progress(1, {"score": 0.5}, 1.0), ENDS[outcome]], tmp_path)
    tracker.close("FINISHED")
    lose(client, "x=1", "outcome")
    again = Tracker(store, spec)
    (record,) = again.open(1).values()
    assert record.end is (outcome if outcome.is_result else None)
    assert len(again.mended) == outcome.is_result


@pytest.mark.parametrize("value", ["a b", 1, True, None, [1, [2.0, "b"]], "it's", {"a": {"b": [0.1]}}, 1e-300, "[1"])
def test_parameters_of_any_kind_are_read_from_mlflows_own(
    client: MlflowClient, store: str, write: Write, tmp_path: Path, value: object
) -> None:
    tracker = Tracker(store, load(write(TOY)))
    tracker.open(1)
    trial = Trial("toys:train", 1, {"x": value, "seed": 3}, "x=1")
    tracker.write(trial, [Finished(Outcome.COMPLETED)], tmp_path)
    tracker.close("FINISHED")
    lose(client, "x=1", "params", "trial_key")
    (record,) = Tracker(store, tracker.spec).open(1).values()
    assert (record.trial_key, record.params) == (trial.trial_key, trial.params)


def test_a_run_of_somebodys_own_in_the_experiment_is_left_alone(client: MlflowClient, store: str, write: Write) -> None:
    tracker = Tracker(store, load(write(TOY)))
    tracker.open(1)
    tags = {"mlflow.parentRunId": tracker.parent_id, "mine": "yes"}
    own = client.create_run(tracker.experiment_id, tags=tags)
    again = Tracker(store, tracker.spec)
    assert (again.open(1), again.mended) == ({}, [])
    assert client.get_run(own.info.run_id).data.tags == own.data.tags


def test_a_trial_of_another_version_gets_its_own_key_back(
    client: MlflowClient, store: str, write: Write, tmp_path: Path
) -> None:
    tracker = Tracker(store, load(write(TOY)))
    tracker.open(1)
    other = Trial("toys:train", 3, {"x": 1.0}, "x=1")
    tracker.write(other, [Finished(Outcome.COMPLETED)], tmp_path)
    tracker.close("FINISHED")
    lose(client, "x=1", "trial_key")
    assert Tracker(store, tracker.spec).open(1).keys() == {other.trial_key}
    lose(
        client, "x=1", "trial_key", "function.version"
    )  # so the key of its configuration fits no version that is known
    again = Tracker(store, tracker.spec)
    assert again.open(1).keys() == set()  # the key of its configuration is of no version that is known
    assert "(x=1) is of a trial that nobody knows any more" in again.mended[0]
