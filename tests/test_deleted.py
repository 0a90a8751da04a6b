"""What somebody deletes in MLflow: it is not trained again, it does not count, and nothing else stops over it."""

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType
from reading import children, outcomes, steps

from orchestrator.errors import InputError, StoreError
from orchestrator.events import Finished, Progress, Restarted, Started
from orchestrator.spec import load
from orchestrator.trackers import Tracker
from orchestrator.trial import Outcome, Trial

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]
TOY = "trial: toys:train\nmetric: {name: score, goal: maximize}\n"
GRID = TOY + "parameters: {x: {values: [1, 2, 3]}, pause: 0.15, epochs: 6}\n"
TRIAL = Trial("toys:train", 1, {"x": 1.0}, "x=1")


@pytest.fixture
def client(store: str) -> MlflowClient:
    return MlflowClient(tracking_uri=store)


def found(client: MlflowClient, where: str, stage: int = ViewType.ACTIVE_ONLY) -> list[Run]:
    experiment = client.get_experiment_by_name("toy")
    return [] if experiment is None else [*client.search_runs([experiment.experiment_id], where, stage)]


def trials(client: MlflowClient, label: str = "", stage: int = ViewType.ACTIVE_ONLY) -> list[Run]:
    runs = found(client, "tags.trial_key LIKE '%'", stage)
    return [run for run in runs if str(run.info.run_name).startswith(label)]


def parent_id(client: MlflowClient) -> str:
    (run,) = found(client, "tags.`sweep.role` = 'parent'", ViewType.ALL)
    return str(run.info.run_id)


@contextmanager
def meanwhile(client: MlflowClient, ready: Callable[[], bool], act: Callable[[], object]) -> Iterator[None]:
    """Do something in a thread of its own once a launch has come so far."""

    def wait() -> None:
        deadline = time.monotonic() + 60
        while not ready() and time.monotonic() < deadline:
            time.sleep(0.02)
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    yield
    thread.join()


def has_epoch(client: MlflowClient, label: str) -> Callable[[], bool]:
    return lambda: any("train_loss" in run.data.metrics for run in trials(client, label))


def delete(client: MlflowClient, *labels: str) -> None:
    for run in [run for label in labels for run in trials(client, label)]:
        client.delete_run(run.info.run_id)


@pytest.mark.slow
def test_a_trial_that_is_deleted_while_it_runs_is_not_counted_and_the_sweep_goes_on(
    client: MlflowClient, store: str, write: Write, sweep: Sweep
) -> None:
    path = write(GRID.replace("pause: 0.15", "pause: 0.4"))
    with meanwhile(client, has_epoch(client, "x=1"), lambda: delete(client, "x=1")):
        done = sweep("launch", path, "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert "x=1: its run " in done.stdout
    assert "1 trial is in MLflow's trash, and not counted: x=1; restore it with `MLFLOW_TRACKING_URI=" in done.stdout
    assert outcomes(store, "toy") == {"x=2": "completed", "x=3": "completed"}
    assert client.get_run(parent_id(client)).info.status == "FINISHED"
    plan = sweep("plan", path).stdout
    assert "in MLflow's trash: not to run" in plan
    assert "to run: 0 of 3" in plan
    again = sweep("launch", path, "--workers", 1)
    assert (again.returncode, again.stdout.count("started")) == (0, 0)
    assert "x=1; restore it with" in again.stdout
    (deleted,) = trials(client, "x=1", ViewType.DELETED_ONLY)
    client.restore_run(deleted.info.run_id)
    restored = sweep("launch", path, "--workers", 1)
    assert (restored.returncode, restored.stdout.count("started")) == (0, 0)  # its journal had the rest
    assert outcomes(store, "toy") == dict.fromkeys(("x=1", "x=2", "x=3"), "completed")
    (run,) = trials(client, "x=1")
    assert steps(store, run, "train_loss") == [1, 2, 3, 4, 5, 6]


@pytest.mark.slow
def test_a_sweep_whose_own_run_is_deleted_is_trained_once(
    client: MlflowClient, store: str, write: Write, sweep: Sweep
) -> None:
    path = write(GRID)
    with meanwhile(client, has_epoch(client, "x=2"), lambda: client.delete_run(parent_id(client))):
        done = sweep("launch", path, "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert "the run of the sweep toy was deleted in MLflow, and lacks the table; restore it with" in done.stdout
    refused = sweep("launch", path, "--workers", 1)
    assert refused.returncode == 2
    assert f"mlflow runs restore --run-id {parent_id(client)}`, or launch with --rerun" in refused.stderr
    assert "a launch would be refused: the run of the sweep toy is in MLflow's trash" in sweep("plan", path).stdout
    assert "best of 3 by score (maximize): x=1" in sweep("best", "toy").stdout
    assert "score 0.6: x=1" in " ".join(sweep("status", "toy").stdout.split())
    delete(client, "x=3")
    again = sweep("launch", path, "--workers", 1, "--rerun")
    assert (again.returncode, again.stdout.count("started")) == (0, 1)
    assert outcomes(store, "toy") == dict.fromkeys(("x=1", "x=2", "x=3"), "completed")


@pytest.mark.slow
def test_a_sweep_whose_own_run_is_gone_for_good_keeps_its_trials(
    client: MlflowClient, store: str, write: Write, sweep: Sweep
) -> None:
    path = write(GRID.replace("pause: 0.15", "pause: 0"))
    sweep("launch", path, "--workers", 1)
    client._tracking_client.store._hard_delete_run(parent_id(client))  # as `mlflow gc` does
    again = sweep("launch", path, "--workers", 1)
    assert (again.returncode, again.stdout.count("started")) == (0, 0)
    assert len(children(store, "toy")) == 3  # all of them under the new one


@pytest.mark.slow
def test_an_experiment_that_is_deleted_while_it_runs_says_how_to_get_it_back(
    client: MlflowClient, store: str, write: Write, sweep: Sweep
) -> None:
    path = write(GRID)

    def act() -> None:
        client.delete_experiment(client.get_experiment_by_name("toy").experiment_id)

    with meanwhile(client, has_epoch(client, "x=2"), act):
        done = sweep("launch", path, "--workers", 1)
    assert done.returncode == 1
    assert "the experiment toy is in MLflow's trash; restore it with" in done.stderr
    assert "launch again to resume" in done.stderr
    client.restore_experiment(client.get_experiment_by_name("toy").experiment_id)
    again = sweep("launch", path, "--workers", 1)
    assert again.returncode == 0
    assert outcomes(store, "toy") == dict.fromkeys(("x=1", "x=2", "x=3"), "completed")
    assert [steps(store, run, "train_loss") for run in children(store, "toy")] == [[1, 2, 3, 4, 5, 6]] * 3


def test_an_experiment_that_is_deleted_after_the_last_trial_is_the_stores_refusal(
    client: MlflowClient, store: str, write: Write
) -> None:
    tracker = Tracker(store, load(write(GRID)))
    tracker.open(3)
    client.delete_experiment(tracker.experiment_id)
    with pytest.raises(StoreError, match="the experiment toy is in MLflow's trash"):
        tracker.settle()


@pytest.mark.slow
def test_a_sweep_all_of_whose_trials_are_in_the_trash_says_so(
    client: MlflowClient, store: str, write: Write, sweep: Sweep
) -> None:
    path = write(GRID.replace("pause: 0.15", "pause: 0"))
    sweep("launch", path, "--workers", 1)
    delete(client, "x=")
    refused = sweep("launch", path, "--workers", 1)
    assert refused.returncode == 2
    assert "3 trials are in MLflow's trash, and not counted: x=1, x=2, x=3; restore the first with" in refused.stderr
    again = sweep("launch", path, "--rerun", "--workers", 1)
    assert (again.returncode, again.stdout.count("started")) == (0, 3)
    before = {run.info.run_id for run in children(store, "toy")}
    for run in trials(client, stage=ViewType.DELETED_ONLY):  # what was replaced comes back beside what replaced it
        client.restore_run(run.info.run_id)
    assert sweep("launch", path, "--workers", 1).stdout.count("started") == 0
    runs = children(store, "toy")
    assert {run.info.run_id for run in runs if "replaced_by" not in run.data.tags} == before
    assert len(runs) == 6


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "method: tpe\nrun_cap: 5\nparameters: {x: {min: 0.1, max: 9.0}}\n",
        "parameters: {x: {values: [1, 1.01]}}\nseeds: [0, 1]\nreplicates: {max: 3, until: separated}\n",
    ],
    ids=["tpe", "replicates"],
)
def test_no_method_proposes_again_what_was_deleted(
    client: MlflowClient, store: str, write: Write, sweep: Sweep, text: str
) -> None:
    path = write(TOY + text)
    assert sweep("launch", path, "--workers", 1).returncode == 0
    first = trials(client)
    chosen = sorted(first, key=lambda run: int(run.data.tags["end_number"]))[1]
    client.delete_run(chosen.info.run_id)
    again = sweep("launch", path, "--workers", 1)
    assert again.returncode == 0, again.stderr
    assert "1 trial is in MLflow's trash, and not counted" in again.stdout
    keys = [run.data.tags["trial_key"] for run in trials(client)]
    assert chosen.data.tags["trial_key"] not in keys
    assert len(keys) == len({*keys})
    assert again.stdout.count("started") == len(keys) - len(first) + 1


@pytest.fixture
def tracker(store: str, write: Write) -> Tracker:
    tracker = Tracker(store, load(write(TOY)))
    tracker.open(1)
    return tracker


def test_a_run_that_a_launch_takes_back_itself_is_no_deleted_trial(tracker: Tracker, tmp_path: Path) -> None:
    tracker.write(TRIAL, [Started(1, 3), Progress(1, {"score": 0.5}, 1.0)], tmp_path)
    tracker.write(TRIAL, [Restarted(1, 2.0), Progress(1, {"score": 0.25}, 3.0)], tmp_path)
    (run,) = children(tracker.uri, "toy")
    assert "taken_back" not in run.data.tags
    assert len(tracker.deleted("toy")) == 1
    tracker.client._tracking_client.store._hard_delete_run(run.info.run_id)  # as a kill before it was made
    assert tracker.trash("toy") == {}


def test_of_two_runs_with_a_result_the_first_counts_and_the_other_says_so(tracker: Tracker, tmp_path: Path) -> None:
    for _ in range(2):
        tracker.write(TRIAL, [Progress(1, {"score": 0.5}, 1.0), Finished(Outcome.COMPLETED)], tmp_path)
    assert len(tracker.records("toy")) == 1
    kept = tracker.settle()[TRIAL.trial_key]
    (other,) = (run for run in children(tracker.uri, "toy") if run.info.run_id != kept.run_id)
    assert other.data.tags["replaced_by"] == kept.run_id
    assert other.info.start_time >= kept.began * 1000


def test_what_a_late_server_has_made_beside_a_trial_is_gone_when_the_sweep_closes(
    tracker: Tracker, tmp_path: Path
) -> None:
    tracker.client.create_run(tracker.experiment_id, tags=tracker._identity(TRIAL))
    tracker.write(TRIAL, [Progress(1, {"score": 0.5}, 1.0), Finished(Outcome.COMPLETED)], tmp_path)
    assert [record.outcome for record in tracker.settle().values()] == [Outcome.COMPLETED]
    (run,) = children(tracker.uri, "toy")
    assert run.info.status == "FINISHED"
    assert tracker.trash("toy") == {}


def test_a_parent_in_the_trash_is_said_and_restored_when_asked(tracker: Tracker, write: Write) -> None:
    tracker.client.delete_run(tracker.parent_id)
    tracker.close("FINISHED")
    assert "restore it with `MLFLOW_TRACKING_URI=" in tracker.remark
    again = Tracker(tracker.uri, tracker.spec)
    with pytest.raises(InputError, match=f"--run-id {tracker.parent_id}`"):
        again.open(1)
    again.open(1, restore=True)
    assert again.parent_id == tracker.parent_id


def test_a_second_parent_that_a_late_server_has_made_is_taken_back(
    client: MlflowClient, store: str, write: Write
) -> None:
    tracker = Tracker(store, load(write(TOY)))
    tracker.open(1)
    own = client.get_run(tracker.parent_id)
    tags = {name: own.data.tags[name] for name in ("mlflow.runName", "sweep", "sweep.role")}
    late, ended = (client.create_run(tracker.experiment_id, own.info.start_time, tags).info.run_id for _ in range(2))
    client.set_terminated(ended, "KILLED")  # is somebody's
    tracker.close("FINISHED")
    of_parents = found(client, "tags.`sweep.role` = 'parent'")
    assert {run.info.run_id: run.info.status for run in of_parents} == {own.info.run_id: "FINISHED", ended: "KILLED"}
    assert client.get_run(late).info.lifecycle_stage == "deleted"
    for run_id in (ended, own.info.run_id):
        client.delete_run(run_id)
    experiment = client.get_experiment(tracker.experiment_id)
    assert tracker.parent(experiment).info.run_id != late  # type: ignore[union-attr] # which nobody is to restore
