"""Torture would notice: each claim about a sweep that was killed is tested on a store in which it is broken."""

import os
import shutil
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import comparison
import longer
import processes
import pytest
import torture
from comparison import PARENT, Clause
from longer import Asked
from mlflow import MlflowClient
from requested import Requested

Tamper = Callable[[MlflowClient, str, Path], object]  # with the run of a trial and the folder of its sweep


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """The folder of a sweep with a trial that has completed and one that has exploded."""
    return swept(tmp_path_factory.mktemp("ended"), empty_store, {"a": 2, "b": 2})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """The same with four epochs, but for the one that explodes."""
    return swept(tmp_path_factory.mktemp("whole"), empty_store, {"a-longer": 4, "b-longer": 2})


@pytest.fixture
def gone_on(ended: Path, tmp_path: Path) -> Path:
    """A copy of the first, in which the trial that has completed has gone on to four epochs."""
    folder = Path(shutil.copytree(ended, tmp_path / "gone-on"))
    before, client = the_run(folder, "a"), client_of(folder)
    links = {"replaces": before, "continues": before, longer.ASKED_KEY: "a", "asked.epochs": "2"}
    now = trained(folder, client.get_run(before).data.tags[PARENT], "a-longer", range(3, 5), links)
    client.set_tag(before, "replaced_by", now)
    return folder


@pytest.fixture
def killed(ended: Path, tmp_path: Path) -> Path:
    """A copy of that folder."""
    return Path(shutil.copytree(ended, tmp_path / "killed"))


def client_of(folder: Path) -> MlflowClient:
    return MlflowClient(tracking_uri=f"sqlite:///{comparison.store(folder)}")


def swept(folder: Path, empty_store: Path, trials: dict[str, int]) -> Path:
    """A sweep of trials of so many epochs; those that begin with b explode."""
    (folder / "mlruns" / "work" / "toy").mkdir(parents=True)
    shutil.copy(empty_store, comparison.store(folder))
    client = client_of(folder)
    experiment = client.create_experiment("toy", (folder / "mlruns" / "artifacts").as_uri())
    parent = client.create_run(experiment, run_name="toy").info.run_id
    assert comparison.keep_history(folder)
    for key, epochs in trials.items():
        trained(folder, parent, key, range(1, epochs + 1))
    client.set_terminated(parent)
    return folder


def trained(folder: Path, parent: str, key: str, epochs: range, tags: dict[str, str] | None = None) -> str:
    """Make the run of a trial that trains these epochs, and has the curve of those before them, too; its id."""
    client, name = client_of(folder), key[0]
    experiment = client.get_run(parent).info.experiment_id
    tags = {**(tags or {}), PARENT: parent, "trial_key": key}
    run = client.create_run(experiment, tags=tags, run_name=name).info.run_id
    client.log_param(run, "x", name)
    client.log_param(run, "epochs", 4 if "longer" in key else 2)
    note(folder, key, 0)
    for step in range(1, epochs.stop):
        client.log_metric(run, "val_loss", 0.1 / step, timestamp=step, step=step)
        client.log_metric(run, "images_per_second", time.time(), step=step)
    for step in epochs:
        client.log_text(run, f"{name} at {step}", f"images/picture+step+{step}.txt")
        note(folder, key, step)
    client.log_text(run, f"picture of {key}", "picture.txt")
    outcome, status = ("completed", "FINISHED") if name == "a" else ("loss explosion", "FAILED")
    client.set_tag(run, "outcome", outcome)
    client.set_terminated(run, status)
    return run


def the_run(folder: Path, key: str) -> str:
    """The id of a trial's run."""
    (run,) = comparison.read(folder, "toy").of(key)
    return run.info.run_id


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


def asked(*times: str, **promised: int) -> Asked:
    """What somebody has asked for, in two calls."""
    return Asked(Counter(times), promised=promised, calls=2)


def broken_by(ended: Path, whole: Path, folder: Path, what: Asked) -> set[Clause]:
    """The clauses that do not hold of a sweep of which somebody has asked for more epochs."""
    report = torture.Report("toy", comparison.read(ended, "toy"), 0.0, comparison.read(whole, "toy"))
    sweep = torture.Sweep(folder, requested=Requested(folder, "toy", has_epochs=True, more=what))
    report.take(sweep, comparison.read(folder, "toy"))
    return {violation.clause for violation in report.violations}


@pytest.mark.slow
@pytest.mark.parametrize("what", [asked("a"), asked("a", a=1), Asked(unknown=1)])
def test_a_trial_that_somebody_has_asked_more_epochs_for_is_that_of_as_many(
    ended: Path, whole: Path, gone_on: Path, what: Asked
) -> None:
    assert broken_by(ended, whole, gone_on, what) == set()


@pytest.mark.slow
def test_more_epochs_that_nobody_was_promised_or_that_were_taken_back_may_be_missing(
    ended: Path, whole: Path, killed: Path
) -> None:
    assert broken_by(ended, whole, killed, asked("a")) == set()
    for key in ("a", "a-longer"):
        what = asked("a", a=1)
        what.take_back(key)
        assert broken_by(ended, whole, killed, what) == set()


@pytest.mark.slow
def test_more_epochs_that_were_promised_are_missed(ended: Path, whole: Path, killed: Path) -> None:
    what = asked("a")
    what.take_back("a")
    what.calls += 2
    what.promise(["a"])
    assert broken_by(ended, whole, killed, what) == {Clause.ASKED}


@pytest.mark.slow
@pytest.mark.parametrize("what", [Asked(), asked("b"), asked("b", b=1)])
def test_a_trial_that_is_longer_though_nobody_has_asked_is_found(
    ended: Path, whole: Path, gone_on: Path, what: Asked
) -> None:
    assert Clause.ASKED in broken_by(ended, whole, gone_on, what)


def without_continues(client: MlflowClient, run: str, before: str, folder: Path) -> None:
    client.delete_tag(run, "continues")


def without_replaces(client: MlflowClient, run: str, before: str, folder: Path) -> None:
    client.delete_tag(run, "replaces")


def without_its_key(client: MlflowClient, run: str, before: str, folder: Path) -> None:
    client.delete_tag(run, longer.ASKED_KEY)


def of_another_trial(client: MlflowClient, run: str, before: str, folder: Path) -> None:
    client.set_tag(run, longer.ASKED_KEY, "b")


def both_count(client: MlflowClient, run: str, before: str, folder: Path) -> None:
    client.delete_tag(before, "replaced_by")


def replaced_by_nothing(client: MlflowClient, run: str, before: str, folder: Path) -> None:
    client.set_tag(before, "replaced_by", "nothing")


def other_number_of_an_early_epoch(client: MlflowClient, run: str, before: str, folder: Path) -> None:
    changed_number(client, run, folder)


def other_number_of_the_shorter(client: MlflowClient, run: str, before: str, folder: Path) -> None:
    changed_number(client, before, folder)


def doubled_early_step(client: MlflowClient, run: str, before: str, folder: Path) -> None:
    doubled_step(client, run, folder)


def missing_early_step(client: MlflowClient, run: str, before: str, folder: Path) -> None:
    missing_step(client, run, folder)


def lost_pictures_of_the_shorter(client: MlflowClient, run: str, before: str, folder: Path) -> None:
    lost_artifacts(client, before, folder)


def trained_from_the_start(client: MlflowClient, run: str, before: str, folder: Path) -> None:
    notes = folder / "notes.txt"
    notes.write_text(notes.read_text().replace("a-longer 3 ", "a-longer 1 "))


def shorter_left_running(client: MlflowClient, run: str, before: str, folder: Path) -> None:
    client.update_run(before, status="RUNNING")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tamper", "clauses"),
    [
        (without_continues, {Clause.ASKED, Clause.ARTIFACTS}),
        (without_replaces, {Clause.ASKED}),
        (without_its_key, {Clause.ASKED, Clause.ONE_RUN}),
        (of_another_trial, {Clause.ASKED, Clause.ONE_RUN}),
        (both_count, {Clause.ASKED, Clause.ONE_RUN}),
        (replaced_by_nothing, {Clause.ASKED}),
        (other_number_of_an_early_epoch, {Clause.NUMBERS}),
        (other_number_of_the_shorter, {Clause.ASKED}),
        (doubled_early_step, {Clause.STEPS}),
        (missing_early_step, {Clause.STEPS, Clause.NUMBERS}),
        (lost_pictures_of_the_shorter, {Clause.ARTIFACTS}),
        (trained_from_the_start, {Clause.ONCE}),
        (shorter_left_running, {Clause.NONE_RUNNING}),
    ],
)
def test_what_is_wrong_with_a_longer_trial_is_found(
    ended: Path, whole: Path, gone_on: Path, tamper: Callable[..., object], clauses: set[Clause]
) -> None:
    tamper(client_of(gone_on), the_run(gone_on, "a-longer"), the_run(gone_on, "a"), gone_on)
    assert clauses <= broken_by(ended, whole, gone_on, asked("a", a=1))


@pytest.mark.slow
def test_a_request_for_more_epochs_waits_until_the_trial_has_gone_on_or_it_is_taken_back(
    killed: Path, gone_on: Path
) -> None:
    both, none = '{"epochs": 4, "trials": ["a", "b"]}', '{"epochs": 0, "trials": ["a"]}'
    requests = {"sweep.more.10": both, "sweep.more.9": none}
    shorter, now = (Requested(folder, "toy").runs() for folder in (killed, gone_on))
    assert longer.waiting(requests, shorter) == {"a"}  # b has not completed
    assert longer.waiting(requests, now) == set()
    assert longer.waiting({**requests, "sweep.more.11": none}, shorter) == set()


@pytest.mark.slow
def test_an_answer_promises_more_epochs_to_the_trials_that_it_names(gone_on: Path) -> None:
    runs = Requested(gone_on, "toy").runs()
    answer = (
        "a is to have 12 epochs, on from epoch 2 of run 1\nb has not completed\ntrain them with: sweep launch toy.yaml"
    )
    assert longer.told_of(answer, runs) == {"a"}
    assert longer.told_of("a b is to have 12 epochs", runs) == set()
