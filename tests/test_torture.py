"""Torture would notice: each claim about a sweep that was killed is tested on a store in which it is broken."""

import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import comparison
import processes
import pytest
import torture
from comparison import PARENT, Clause
from mlflow import MlflowClient

Tamper = Callable[[MlflowClient, str, Path], object]  # with the run of a trial and the folder of its sweep


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """The folder of a sweep with a trial that has completed and one that has exploded."""
    folder = tmp_path_factory.mktemp("ended")
    (folder / "mlruns" / "work" / "toy").mkdir(parents=True)
    shutil.copy(empty_store, comparison.store(folder))
    client = client_of(folder)
    experiment = client.create_experiment("toy", (folder / "mlruns" / "artifacts").as_uri())
    parent = client.create_run(experiment, run_name="toy").info.run_id
    assert comparison.keep_history(folder)
    for key, outcome, status in (("a", "completed", "FINISHED"), ("b", "loss explosion", "FAILED")):
        run = client.create_run(experiment, tags={PARENT: parent, "trial_key": key}, run_name=key).info.run_id
        for step in (1, 2):
            client.log_metric(run, "val_loss", 0.1 / step, timestamp=step, step=step)
            client.log_metric(run, "images_per_second", time.time(), step=step)
            note(folder, key, step - 1)
        client.log_text(run, f"picture of {key}", "picture.txt")
        client.set_tag(run, "outcome", outcome)
        client.set_terminated(run, status)
    client.set_terminated(parent)
    return folder


@pytest.fixture
def killed(ended: Path, tmp_path: Path) -> Path:
    """A copy of that folder."""
    return Path(shutil.copytree(ended, tmp_path / "killed"))


def client_of(folder: Path) -> MlflowClient:
    return MlflowClient(tracking_uri=f"sqlite:///{comparison.store(folder)}")


def note(folder: Path, key: str, step: int) -> None:
    with (folder / "notes.txt").open("a") as notes:
        print(key, step, time.time(), file=notes)


def change(folder: Path, sql: str, *values: str) -> None:
    with closing(sqlite3.connect(comparison.store(folder))) as database, database:
        database.execute(sql, values)


def broken(untouched: Path, killed: Path) -> set[Clause]:
    return {v.clause for v in comparison.violations(*(comparison.read(f, "toy") for f in (untouched, killed)))}


def doubled_step(client: MlflowClient, run: str, folder: Path) -> None:
    client.log_metric(run, "val_loss", 0.1, timestamp=7, step=1)


def missing_step(client: MlflowClient, run: str, folder: Path) -> None:
    change(folder, "DELETE FROM metrics WHERE run_uuid = ? AND key = 'val_loss' AND step = 1", run)


def changed_number(client: MlflowClient, run: str, folder: Path) -> None:
    change(folder, "UPDATE metrics SET value = value * (1 + 2e-16) WHERE run_uuid = ? AND step = 1", run)


def changed_final_number(client: MlflowClient, run: str, folder: Path) -> None:
    change(folder, "UPDATE latest_metrics SET value = value * (1 + 2e-16) WHERE run_uuid = ?", run)


def left_running(client: MlflowClient, run: str, folder: Path) -> None:
    client.update_run(run, status="RUNNING")


def finished_twice(client: MlflowClient, run: str, folder: Path) -> None:
    client.update_run(run, status="RUNNING")
    client.set_terminated(run)


def trained_again(client: MlflowClient, run: str, folder: Path) -> None:
    time.sleep(0.01)
    note(folder, client.get_run(run).data.tags["trial_key"], 0)


def second_run(client: MlflowClient, run: str, folder: Path) -> None:
    there = client.get_run(run)
    tags = {name: value for name, value in there.data.tags.items() if not name.startswith("mlflow.")}
    tags[PARENT] = there.data.tags[PARENT]
    client.set_terminated(client.create_run(there.info.experiment_id, tags=tags).info.run_id, there.info.status)


def second_run_in_the_trash(client: MlflowClient, run: str, folder: Path) -> None:
    second_run(client, run, folder)
    client.delete_run(run)  # as if it had never been


def second_parent(client: MlflowClient, run: str, folder: Path) -> None:
    client.set_terminated(client.create_run(client.get_run(run).info.experiment_id).info.run_id)


def parent_failed(client: MlflowClient, run: str, folder: Path) -> None:
    client.set_terminated(client.get_run(run).data.tags[PARENT], "FAILED")


def work_left(client: MlflowClient, run: str, folder: Path) -> None:
    (folder / "mlruns" / "work" / "toy" / "a").mkdir()


def lost_artifacts(client: MlflowClient, run: str, folder: Path) -> None:
    change(folder, "UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", (folder / "lost").as_uri(), run)


def missing_run(client: MlflowClient, run: str, folder: Path) -> None:
    client.set_tag(run, "trial_key", "another")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tamper", "clauses"),
    [
        (doubled_step, {Clause.STEPS}),
        (missing_step, {Clause.STEPS, Clause.NUMBERS}),
        (changed_number, {Clause.NUMBERS}),
        (changed_final_number, {Clause.NUMBERS}),
        (left_running, {Clause.NONE_RUNNING, Clause.ONE_RUN, Clause.ONCE}),
        (finished_twice, {Clause.ONCE}),
        (trained_again, {Clause.ONCE}),
        (second_run, {Clause.ONE_RUN, Clause.STEPS}),
        (second_run_in_the_trash, {Clause.ONE_RUN}),
        (missing_run, {Clause.ONE_RUN}),
        (lost_artifacts, {Clause.ARTIFACTS}),
        (second_parent, {Clause.PARENT}),
        (parent_failed, {Clause.PARENT}),
        (work_left, {Clause.WORK}),
    ],
)
def test_a_broken_claim_is_found(ended: Path, killed: Path, tamper: Tamper, clauses: set[Clause]) -> None:
    client = client_of(killed)
    experiment = client.get_experiment_by_name("toy")
    assert experiment is not None
    for run in client.search_runs([experiment.experiment_id]):
        if run.data.tags.get("trial_key") == "a":
            tamper(client, run.info.run_id, killed)
    assert clauses <= broken(ended, killed)


def test_what_is_the_same_breaks_no_claim(ended: Path, killed: Path) -> None:
    assert broken(ended, killed) == set()


@pytest.mark.slow
def test_a_run_that_somebody_has_deleted_is_to_stay_alone(killed: Path) -> None:
    left = comparison.read(killed, "toy")
    (run,) = left.of("a")
    client = client_of(killed)
    client.delete_run(run.info.run_id)
    deleted = {"a": run.info.run_id}
    left = comparison.read(killed, "toy")
    assert comparison.replaced(left, deleted) == []
    assert left.without(deleted).keys == ["b"]
    second_run(client, run.info.run_id, killed)
    assert [clause for clause, _ in comparison.replaced(comparison.read(killed, "toy"), deleted)] == [Clause.ONE_RUN]


@pytest.mark.slow
def test_a_run_that_began_anew_before_somebody_deleted_it_is_to_stay_too(killed: Path) -> None:
    client = client_of(killed)
    (run,) = comparison.read(killed, "toy").of("a")
    experiment, tags = run.info.experiment_id, {PARENT: run.data.tags[PARENT], "trial_key": "a"}
    replaced = client.create_run(experiment, tags={**tags, comparison.TAKEN_BACK: "true"}).info.run_id
    client.delete_run(replaced)
    client.set_tag(run.info.run_id, comparison.RESTARTED, "the program began again")
    client.delete_run(run.info.run_id)
    assert comparison.replaced(comparison.read(killed, "toy"), {"a": run.info.run_id}) == []


def test_a_process_that_outlives_its_launch_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left_alone = "setsid sh -c ': > started; kill -STOP $$' & until [ -e started ]; do sleep 0.01; done"
    monkeypatch.setattr(torture, "LAUNCH", ["sh", "-c", left_alone])
    monkeypatch.setattr(torture, "SECONDS_FOR_ORPHANS", 0.2)
    launch = torture.Launch(tmp_path)
    assert launch.process.wait() == 0
    (orphan,) = launch.orphans()
    os.kill(orphan, signal.SIGKILL)
    assert processes.all_gone([orphan])


def test_a_sweep_whose_launches_end_by_themselves_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torture, "LAUNCH", ["sh", "-c", "echo no room >&2; exit 1"])
    sweep = torture.Sweep(tmp_path)
    assert sweep.run() is None
    assert {violation for _, violation in sweep.violations} == {(Clause.LAUNCHES, "one ended with status 1: no room")}


def test_the_training_that_a_kill_undid_is_that_since_the_last_step_that_stayed() -> None:
    steps = [(0, 10.0), (1, 11.0), (2, 12.0), (3, 13.0), (0, 20.0), (0, 30.0), (2, 31.0), (3, 32.0)]
    notes = [comparison.Note("a", step, at) for step, at in steps]
    assert torture.seconds_lost(notes, [13.5, 20.25, 40.0]) == [2.5, 0.25, 0.0]
