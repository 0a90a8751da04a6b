"""Trials that have completed, and go on for more epochs because somebody has asked for it."""

import os
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
from reading import artifacts, children, steps
from same_numbers import numbers
from test_launch import Sweep, Write
from test_train import drained

from models.config import TrainConfig
from models.train import train
from orchestrator.errors import InputError
from orchestrator.events import Finished, Progress, Started
from orchestrator.spec import load
from orchestrator.trackers import Store, Tracker, more
from orchestrator.trackers.checkpoints import take_up
from orchestrator.trial import Outcome
from orchestrator.trials.grid import expand
from orchestrator.trials.longer import CHECKPOINT
from orchestrator.worker import journal
from orchestrator.workspace import Workspace

GROWING = "trial: growing:train\nkeep_checkpoints: all\n"
THREE = GROWING + "parameters: {x: {values: [1, 2, 3]}, epochs: 3}"
Run_ = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def growing(request: pytest.FixtureRequest) -> None:
    if "folder" in request.fixturenames:
        folder: Path = request.getfixturevalue("folder")
        shutil.copy(Path(__file__).with_name("growing.py"), folder)


@pytest.fixture
def launch(sweep: Sweep) -> Run_:
    """Launch a file in this process, to a good end."""

    def run(path: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
        done = sweep("launch", path, "--executor", "inline", *arguments)
        assert done.returncode == 0, done.stderr
        return done

    return run


@pytest.fixture
def client(store: str) -> MlflowClient:
    return MlflowClient(tracking_uri=store)


def runs(store: str, label: str, name: str = "toy") -> list[Run]:
    """The runs of a trial, the first one first."""
    found = [run for run in children(store, name) if run.info.run_name == label]
    return sorted(found, key=lambda run: run.info.start_time)


def trained() -> list[str]:
    """The epochs that trials have trained since the last call, each with its x."""
    lines = Path("epochs.txt").read_text().splitlines() if Path("epochs.txt").exists() else []
    Path("epochs.txt").unlink(missing_ok=True)
    return lines


def test_a_finished_trial_goes_on_from_its_checkpoint_in_a_new_run_that_counts_in_its_place(
    store: str, write: Write, sweep: Sweep, launch: Run_
) -> None:
    path = write(THREE)
    launch(path)
    trained()
    (first,) = runs(store, "x=2")
    asked = sweep("more", "toy", "x=2", "--epochs", "6")
    assert (asked.returncode, asked.stderr) == (0, "")
    assert asked.stdout.startswith(f"x=2 is to have 6 epochs, on from epoch 3 of run {first.info.run_id[:8]}\n")
    planned = sweep("plan", path).stdout
    assert f"to run to 6 epochs, on from epoch 3 of run {first.info.run_id[:8]}" in planned
    assert "to run: 1 of 3" in planned
    assert "x=3" in sweep("best", "toy").stdout  # what it was counts until it goes on

    done = launch(path)
    assert trained() == ["2 4", "2 5", "2 6"]
    assert [line.split()[:3] for line in done.stdout.splitlines() if "  completed  " in line] == [
        ["3", "3", "completed"],
        ["2", "6", "completed"],
        ["1", "3", "completed"],
    ]
    before, now = runs(store, "x=2")
    assert before.data.tags["replaced_by"] == now.info.run_id
    assert now.data.tags["replaces"] == now.data.tags["continues"] == before.info.run_id
    assert (now.data.params["epochs"], now.data.tags["outcome"]) == ("6", "completed")
    assert steps(store, now, "score") == [1, 2, 3, 4, 5, 6]
    assert len(Store(store).records("toy")) == 3
    assert "done" in sweep("plan", path).stdout
    assert "to run: 0 of 3" in sweep("plan", path).stdout
    assert " 3 " in sweep("status", path).stdout
    launch(path)
    assert trained() == []


@pytest.mark.slow
def test_the_numbers_are_those_of_a_trial_that_was_to_have_so_many_epochs_from_the_start(
    store: str, write: Write, sweep: Sweep, launch: Run_
) -> None:
    path = write(THREE)
    launch(path)
    sweep("more", "toy", "--epochs", "5")
    launch(path)
    launch(path)
    sweep("more", "toy", "--epochs", "8")
    launch(path)
    launch(write(THREE.replace("epochs: 3", "epochs: 8"), "whole.yaml"))
    whole = {run.data.tags["trial_key"]: run for run in children(store, "whole")}
    client, compared = MlflowClient(tracking_uri=store), 0
    for run in children(store, "toy"):
        if "replaced_by" in run.data.tags:
            continue
        other = whole[run.data.tags["trial_key"]]
        assert run.data.metrics.keys() == other.data.metrics.keys()
        for name in run.data.metrics:
            if not name.startswith("system/"):
                points, others = (client.get_metric_history(one.info.run_id, name) for one in (run, other))
                assert [(p.step, p.value) for p in points] == [(p.step, p.value) for p in others]
                compared += 1
    assert compared > 12


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (THREE.replace("keep_checkpoints: all", "keep_checkpoints: none"), "its checkpoint was not kept"),
        (
            THREE.replace("epochs", "schedule: cosine, epochs"),
            "growing:train does not declare that it is `extendable` with these parameters",
        ),
        (
            "trial: toys:train\nmetric: {name: score, goal: maximize}\nparameters: {x: {values: [1, 2, 3]}, epochs: 3}",
            "toys:train does not declare that it is `extendable`",
        ),
    ],
)
def test_where_a_trial_cannot_go_on_it_trains_from_the_start_and_the_plan_says_why(
    store: str, write: Write, sweep: Sweep, launch: Run_, text: str, why: str
) -> None:
    path = write(text)
    launch(path)
    asked = sweep("more", "toy", "x=2", "--epochs", "5")
    assert asked.stdout.startswith(f"x=2 is to have 5 epochs, from the start: {why}\n"), asked.stderr
    assert f"to run to 5 epochs, from the start: {why}" in sweep("plan", path).stdout
    done = launch(path)
    assert f"x=2 trains from the start: {why}" in done.stdout
    before, now = runs(store, "x=2")
    assert steps(store, now, "score") == [1, 2, 3, 4, 5]
    assert (now.data.tags["replaces"], "continues" in now.data.tags) == (before.info.run_id, False)


def test_with_other_code_than_that_of_its_checkpoint_a_trial_trains_from_the_start(
    write: Write, sweep: Sweep, launch: Run_, folder: Path
) -> None:
    path = write(THREE)
    launch(path)
    with (folder / "growing.py").open("a") as file:
        file.write("\nMORE = 1\n")
    sweep("more", "toy", "x=2", "--epochs", "5")
    assert "to run to 5 epochs, from the start: growing:train has changed since" in sweep("plan", path).stdout


@pytest.mark.parametrize("changed", ["the code", "the run"])
def test_what_a_launch_that_was_killed_has_put_into_a_folder_serves_no_other_code_or_run(
    store: str, client: MlflowClient, write: Write, sweep: Sweep, launch: Run_, folder: Path, changed: str
) -> None:
    path = write(THREE)
    launch(path)
    trained()
    sweep("more", "toy", "x=2", "--epochs", "5")
    (record,) = (one for one in Store(store).records("toy") if one.label == "x=2")
    spec = load(path)
    trial = spec.function.trial({**record.params, "epochs": 5}, "")
    assert take_up(client, record, Workspace(store, "toy").of(trial))
    if changed == "the code":
        with (folder / "growing.py").open("a") as file:
            file.write("\nMORE = 1\n")
    else:
        (Workspace(store, "toy").of(trial) / "origin.txt").write_text("another")
    done = launch(path)
    was_kept = "x=2 goes on from epoch 3" in done.stdout
    assert was_kept == (changed == "the run")
    assert trained() == [f"2 {epoch}" for epoch in ((4, 5) if was_kept else (1, 2, 3, 4, 5))]


def test_a_checkpoint_that_somebody_has_removed_is_said_and_the_trial_trains_from_the_start(
    store: str, write: Write, sweep: Sweep, launch: Run_, folder: Path
) -> None:
    path = write(THREE)
    launch(path)
    (run,) = runs(store, "x=2")
    shutil.rmtree(next((folder / "mlruns" / "artifacts").glob(f"toy/{run.info.run_id}/artifacts/checkpoint")))
    sweep("more", "toy", "x=2", "--epochs", "5")
    assert "x=2 trains from the start: its checkpoint is gone" in launch(path).stdout
    assert steps(store, runs(store, "x=2")[-1], "score") == [1, 2, 3, 4, 5]


def test_the_best_trials_alone_have_more_epochs_where_that_is_asked_for(
    write: Write, sweep: Sweep, launch: Run_
) -> None:
    path = write(THREE)
    launch(path)
    trained()
    asked = sweep("more", "toy", "--epochs", "5", "--best", "2")
    assert [line.split()[0] for line in asked.stdout.splitlines()[:2]] == ["x=3", "x=2"]
    launch(path)
    assert trained() == ["2 4", "2 5", "3 4", "3 5"]


def test_what_cannot_have_more_epochs_is_said_in_a_line(store: str, write: Write, sweep: Sweep, launch: Run_) -> None:
    path = write(THREE)
    launch(path)
    cases = {
        ("--epochs", "3"): "x=1 has had 3 epochs; --epochs is how many it is to have in all",
        ("x=2", "--epochs", "2"): "x=2 has had 3 epochs; --epochs is how many it is to have in all",
        ("x=2", "--epochs", "101"): "x=2 cannot have 101 epochs: epochs: Input should be less than or equal to 100",
        ("x=7", "--epochs", "5"): "toy has no trial x=7; it has 1 (x=1), 2 (x=2), 3 (x=3)",
        ("x=2", "--best", "1", "--epochs", "5"): "more takes TRIALs or --best, not both",
    }
    for arguments, line in cases.items():
        done = sweep("more", "toy", *arguments)
        assert (done.returncode, done.stderr) == (2, f"sweep: {line}\n")
    with Workspace(store, "toy"):
        held = sweep("more", "toy", "--epochs", "5")
    assert (held.returncode, held.stderr.count("\n")) == (2, 1)
    assert held.stderr == "sweep: the launch of toy takes no requests: it is about to end, or of an older version\n"
    assert more.requests_of(Store(store), "toy") == {}
    varied = write(GROWING + "parameters: {epochs: {values: [2, 3]}}", "varied.yaml")
    launch(varied)
    done = sweep("more", "varied", "--epochs", "5")
    assert "has no number of epochs that is the same for all trials" in done.stderr


def test_where_a_trial_of_so_many_epochs_is_there_none_goes_on_to_them_and_it_stays_as_it_is(
    store: str, write: Write, sweep: Sweep, launch: Run_
) -> None:
    path = write(THREE)
    launch(path)
    launch(path, "--set", "epochs=6")
    trained()
    first, whole = runs(store, "x=2")
    label, run_id = f"x=2 ({first.data.tags['trial_key'][:8]})", whole.info.run_id[:8]
    is_there = f"{label} cannot have 6 epochs: run {run_id} is that trial; launch with --set epochs=6"
    refused = sweep("more", path, first.info.run_id[:12], "--epochs", "6")
    assert (refused.returncode, refused.stderr) == (2, f"sweep: {is_there}\n")
    assert sweep("more", path, "--epochs", "6").returncode == 2
    more.ask(Store(store), "toy", 6, [first.data.tags["trial_key"]])  # before it was there
    assert "to run: 0 of 3" in sweep("plan", path).stdout
    launch(path)
    assert trained() == []
    for was, now in zip((first, whole), runs(store, "x=2"), strict=True):
        assert (now.data.tags, now.info.end_time) == (was.data.tags, was.info.end_time)
    sweep("more", path, first.info.run_id[:12], "--epochs", "7")
    launch(path)
    assert trained() == ["2 4", "2 5", "2 6", "2 7"]


def test_trials_that_the_file_does_not_ask_for_are_not_asked_for_more_epochs(
    store: str, write: Write, sweep: Sweep, launch: Run_, folder: Path
) -> None:
    path = write(THREE)
    launch(path)
    write(THREE.replace("[1, 2, 3]", "[1, 2]"))
    asked = sweep("more", path, "--epochs", "5", "--best", "1").stdout.splitlines()
    assert asked[0].startswith("x=2 is to have 5 epochs, ")
    assert asked[1] == "1 completed trial stays as it is: the file does not ask for it"
    other = "x=3 is of another function or version, or has other values than the file's, so it cannot go on"
    assert sweep("more", path, "x=3", "--epochs", "5").stderr == f"sweep: {other}\n"
    (folder / "other.py").write_text((folder / "growing.py").read_text())
    write(THREE.replace("growing", "other"))
    none = "no trial of toy has completed that its file asks for; 3 completed trials stay as they are"
    assert sweep("more", path, "--epochs", "5").stderr == f"sweep: {none}: the file does not ask for them\n"
    launch(path)
    trained()
    of_growing = [record for record in Store(store).records("toy") if record.tags["trial"] == "growing:train"]
    more.ask(Store(store), "toy", 6, [record.trial_key for record in of_growing])
    assert "to run: 0 of 3" in sweep("plan", path).stdout
    asked = sweep("more", path, "--epochs", "5").stdout.splitlines()
    assert [line.split()[0] for line in asked[:4]] == ["x=1", "x=2", "x=3", "3"]
    launch(path)
    assert trained() == [f"{x} {epoch}" for x in (1, 2, 3) for epoch in (4, 5)]
    replaced = {run.data.tags["trial"] for run in children(store, "toy") if "replaced_by" in run.data.tags}
    assert replaced == {"other:train"}


def test_of_two_requests_the_later_one_counts_and_the_file_may_ask_for_as_many_later(
    store: str, write: Write, sweep: Sweep, launch: Run_
) -> None:
    path = write(THREE)
    launch(path)
    trained()
    sweep("more", "toy", "x=2", "--epochs", "9")
    sweep("more", "toy", "x=2", "--epochs", "5")
    launch(path)
    assert trained() == ["2 4", "2 5"]
    write(THREE.replace("epochs: 3", "epochs: 5"))
    assert "to run: 2 of 3" in sweep("plan", path).stdout
    launch(path)
    assert trained() == [f"{x} {epoch}" for x in (1, 3) for epoch in (1, 2, 3, 4, 5)]
    write(THREE)
    launch(path)
    assert trained() == []


def test_rerun_has_a_longer_trial_run_anew_with_the_epochs_of_its_file(
    store: str, write: Write, sweep: Sweep, launch: Run_
) -> None:
    path = write(THREE)
    launch(path)
    sweep("more", "toy", "x=2", "--epochs", "5")
    launch(path)
    trained()
    again = sweep("rerun", "toy", "x=2")
    assert (again.returncode, again.stderr) == (0, "")
    assert "to run: 1 of 3" in sweep("plan", path).stdout
    launch(path)
    assert trained() == ["2 1", "2 2", "2 3"]
    shorter, longer, now = runs(store, "x=2")
    assert shorter.data.tags["replaced_by"] == longer.info.run_id
    assert longer.data.tags["replaced_by"] == now.info.run_id
    assert now.data.tags["trial_key"] == shorter.data.tags["trial_key"]
    assert [record.params["epochs"] for record in Store(store).records("toy")] == [3, 3, 3]


def test_rerun_takes_back_what_no_launch_has_begun(write: Write, sweep: Sweep, launch: Run_) -> None:
    path = write(THREE)
    launch(path)
    trained()
    sweep("more", "toy", "x=2", "--epochs", "5")
    sweep("rerun", "toy", "x=2")
    launch(path)
    assert trained() == ["2 1", "2 2", "2 3"]


def test_a_launch_that_was_killed_as_it_made_the_new_run_is_put_in_order_by_the_next(
    store: str, client: MlflowClient, write: Write, sweep: Sweep, launch: Run_
) -> None:
    path = write(THREE)
    launch(path)
    sweep("more", "toy", "x=2", "--epochs", "5")
    launch(path)
    before, now = runs(store, "x=2")
    client.delete_tag(before.info.run_id, "replaced_by")  # as before it was set
    assert [record.params["epochs"] for record in Store(store).records("toy")] == [3, 3, 5]
    launch(path)
    assert runs(store, "x=2")[0].data.tags["replaced_by"] == now.info.run_id


def test_a_tag_that_somebody_has_changed_asks_for_nothing(
    store: str, client: MlflowClient, write: Write, sweep: Sweep, launch: Run_
) -> None:
    path = write(THREE)
    launch(path)
    sweep("more", "toy", "--epochs", "5")
    experiment = client.get_experiment_by_name("toy")
    assert experiment is not None
    parent = Store(store).parent(experiment)
    assert parent is not None
    client.set_tag(parent.info.run_id, f"{more.REQUESTED}1", "__import__('os')")
    assert "to run: 0 of 3" in sweep("plan", path).stdout


def test_checkpoints_are_kept_of_the_best_and_no_others(store: str, write: Write, sweep: Sweep, launch: Run_) -> None:
    text = GROWING.replace("all", "best 2") + "parameters: {x: {values: [1, 3, 2, 4, 0.5]}, epochs: 2}"
    path = write(text)
    unknown = "checkpoints are kept of the best 2 trials; what one takes on disk is not known until one is kept"
    assert unknown in sweep("plan", path).stdout
    launch(path)
    kept = [run for run in children(store, "toy") if CHECKPOINT in run.data.tags]
    assert [run.info.run_name for run in kept] == ["x=3", "x=4"]
    assert [r.info.run_name for r in children(store, "toy") if "checkpoint" in artifacts(store, r)] == ["x=3", "x=4"]
    assert artifacts(store, kept[0], "checkpoint") == {"checkpoint/journal.jsonl", "checkpoint/state.json"}
    assert "checkpoints are kept of the best 2 trials; 2 by now, of " in sweep("plan", path).stdout
    sweep("more", "toy", "x=4", "--epochs", "4")
    launch(path)
    kept = [run for run in children(store, "toy") if "checkpoint" in artifacts(store, run)]
    assert [(run.info.run_name, run.data.params["epochs"]) for run in kept] == [("x=3", "2"), ("x=4", "4")]
    write(text.replace("best 2", "all"))
    assert ", so that 5 take about " in sweep("plan", path).stdout


def kept(store: str) -> list[tuple[str, str]]:
    """The runs that have checkpoints, by label and epochs."""
    found = [run for run in children(store, "toy") if "checkpoint" in artifacts(store, run)]
    assert [CHECKPOINT in run.data.tags for run in children(store, "toy")].count(True) == len(found)
    return sorted((run.info.run_name or "", run.data.params["epochs"]) for run in found)


def test_the_checkpoint_of_a_shorter_trial_goes_where_all_are_kept(
    write: Write, sweep: Sweep, launch: Run_, store: str
) -> None:
    path = write(THREE)
    launch(path)
    sweep("more", "toy", "x=2", "--epochs", "5")
    launch(path)
    assert kept(store) == [("x=1", "3"), ("x=2", "5"), ("x=3", "3")]


def test_the_checkpoint_of_a_shorter_trial_goes_where_the_longer_one_is_not_among_the_best(
    write: Write, sweep: Sweep, launch: Run_, store: str
) -> None:
    text = GROWING.replace("all", "best 2") + "metric: {name: final, goal: minimize}\n"
    text += "parameters: {x: {values: [1, 1.1]}, epochs: 3}"
    path = write(text)
    launch(path)
    write(text.replace("best 2", "best 1"))
    sweep("more", "toy", "x=1", "--epochs", "9")
    launch(path)
    assert kept(store) == [("x=1.1", "3")]


@pytest.fixture
def broken_off(write: Write, sweep: Sweep, launch: Run_, store: str, folder: Path) -> Path:
    """The file of a sweep whose trial x=2 is to have 6 epochs, and fails at the fifth where there is `broken`."""
    file = folder / "growing.py"
    line = "time.sleep(config.pause)"
    file.write_text(file.read_text().replace(line, f'{line}\n        assert epoch < 5 or not Path("broken").exists()'))
    path = write(THREE)
    launch(path)
    sweep("more", "toy", "x=2", "--epochs", "6")
    (folder / "broken").touch()
    assert sweep("launch", path, "--executor", "inline").returncode == 1
    return path


def test_the_checkpoint_of_a_shorter_trial_goes_where_another_launch_brings_the_longer_one_to_its_end(
    broken_off: Path, launch: Run_, store: str, folder: Path
) -> None:
    assert ("x=2", "3") in kept(store)
    (folder / "broken").unlink()
    launch(broken_off)
    assert kept(store) == [("x=1", "3"), ("x=2", "6"), ("x=3", "3")]


def test_a_longer_trial_that_was_interrupted_on_another_machine_goes_on_from_the_checkpoint_that_is_kept(
    broken_off: Path, launch: Run_, store: str, folder: Path
) -> None:
    (folder / "broken").unlink()
    trained()
    shutil.rmtree(folder / "mlruns" / "work" / "toy")
    assert "x=2 goes on from epoch 3" in launch(broken_off).stdout
    assert trained() == ["2 4", "2 5", "2 6"]
    now = runs(store, "x=2")[-1]
    assert (steps(store, now, "score"), now.data.tags["outcome"]) == ([1, 2, 3, 4, 5, 6], "completed")


def test_a_trial_that_runs_anew_does_not_compete_with_what_it_was(
    write: Write, launch: Run_, store: str, folder: Path
) -> None:
    path = write(GROWING.replace("all", "best 1") + "parameters: {x: {values: [1, 2]}, epochs: 3}")
    launch(path)
    first = runs(store, "x=2")[0]
    file = folder / "growing.py"
    file.write_text(file.read_text().replace("config.x / epoch", "config.x / epoch / 10"))
    launch(path, "--rerun")
    assert kept(store) == [("x=2", "3")]
    assert "checkpoint" not in artifacts(store, first)


def test_a_trial_that_a_running_launch_has_run_anew_does_not_compete_with_what_it_was(
    write: Write, launch: Run_, store: str, tmp_path: Path
) -> None:
    path = write(GROWING.replace("all", "best 1") + "parameters: {x: {values: [1, 2]}, epochs: 3}")
    launch(path)
    spec = load(path)
    trial = next(one for one in expand(spec).trials if one.label == "x=2")
    tracker = Tracker(store, spec)
    tracker.open(2)
    tracker.renew(trial)
    (tmp_path / "state.json").write_text("{}")
    (tmp_path / journal.JOURNAL_FILE).write_text("")
    events = [Started(1, 1), Progress(1, {"score": 0.5}, at=1.0), Finished(Outcome.COMPLETED, at=2.0)]
    tracker.write(trial, events, tmp_path)
    tracker.close("FINISHED")
    before, now = runs(store, "x=2")
    assert ["checkpoint" in artifacts(store, run) for run in (before, now)] == [False, True]


def test_trials_of_another_function_are_not_among_the_best_of_this_one(
    write: Write, sweep: Sweep, launch: Run_, store: str, folder: Path
) -> None:
    text = GROWING.replace("all", "best 1") + "parameters: {x: {values: [2, 1]}, epochs: 3}"
    path = write(text)
    launch(path)
    (folder / "other.py").write_text((folder / "growing.py").read_text())
    write(text.replace("growing", "other").replace("[2, 1]", "[1, 0.5]"))
    assert "; 1 by now, of " in (planned := sweep("plan", path).stdout)
    assert ", so that 2 take about " in planned
    launch(path)
    assert kept(store) == [("x=1", "3"), ("x=2", "3")]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (GROWING.replace("all", "best"), "keep_checkpoints: "),
        (
            "trial: toys:train\nkeep_checkpoints: all\nparameters: {x: 1}",
            "keep_checkpoints: toys:train declares no checkpoints",
        ),
        ("program: train.py\nkeep_checkpoints: all\nparameters: {x: 1}", "a program declares no checkpoints"),
        (
            GROWING.replace("all", "best 2")
            + "metrics: [{name: score, goal: maximize}, {name: final, goal: minimize}]",
            "several metrics have no best trials; use all or none",
        ),
    ],
)
def test_checkpoints_that_cannot_be_kept_are_a_mistake_in_the_file(write: Write, text: str, problem: str) -> None:
    write("", "train.py")
    with pytest.raises(InputError) as raised:
        load(write(text))
    assert problem in str(raised.value)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["tpe", "random"])
def test_a_search_goes_on_with_the_value_of_the_longer_trial_and_repeats_nothing(
    store: str, write: Write, sweep: Sweep, launch: Run_, method: str
) -> None:
    text = f"{GROWING}method: {method}\nrun_cap: 4\nmetric: {{name: score, goal: maximize}}\n"
    text += "parameters: {x: {min: 1.0, max: 2.0}, epochs: 3}"
    path = write(text)
    launch(path)
    keys = {record.trial_key for record in Store(store).records("toy")}
    trained()
    label = Store(store).records("toy")[1].label
    assert sweep("more", "toy", label, "--epochs", "5").returncode == 0
    assert "to run: 1 of 4" in sweep("plan", path).stdout
    launch(path)
    assert [line.split()[1] for line in trained()] == ["4", "5"]
    write(text.replace("run_cap: 4", "run_cap: 6"))
    launch(path)
    records = Store(store).records("toy")
    assert (len(records), len(keys & {record.trial_key for record in records})) == (6, 3)
    assert len(trained()) == 6
    assert "to run: 0 of 6" in sweep("plan", path).stdout


def test_nothing_ends_a_trial_early_that_somebody_has_asked_more_epochs_for(
    store: str, write: Write, sweep: Sweep, launch: Run_
) -> None:
    median = "early_terminate: {type: median, n_startup_trials: 1, n_warmup_steps: 4}\n"
    path = write(THREE.replace("[1, 2, 3]", "[3, 2, 1]") + f"\n{median}")
    launch(path)
    sweep("more", "toy", "--epochs", "9")
    launch(path)
    assert {(record.params["epochs"], record.outcome) for record in Store(store).records("toy")} == {(9, "completed")}


@pytest.mark.slow
def test_a_vae_goes_on_from_a_checkpoint_of_fewer_epochs_with_the_same_numbers_to_the_bit(tmp_path: Path) -> None:
    small = {"dataset": "digits", "architecture": "fc", "num_layers": 1, "batch_size": 64}
    drained(train(TrainConfig(**small, epochs=1), tmp_path / "more"))
    further, end = drained(train(TrainConfig(**small, epochs=2), tmp_path / "more"))
    whole, whole_end = drained(train(TrainConfig(**small, epochs=2), tmp_path / "whole"))
    for metrics in (*further, *whole):
        metrics.pop("images_per_second")
    assert (further, end) == (whole[1:], whole_end)
    with pytest.warns(UserWarning, match="another configuration"):  # it has had more than these
        again, _ = drained(train(TrainConfig(**small, epochs=1), tmp_path / "more"))
    assert [metrics["epoch"] for metrics in again] == [1]


VAE = """
name: toy
keep_checkpoints: all
resources: {cpus: 1}
parameters: {dataset: digits, batch_size: 16, latent_dim: 8, epochs: 2}
configs:
  - {architecture: fc, num_layers: 2, var: 0.5, lr: 2e-3}
  - {architecture: conv, num_layers: 2, var: 0.1, lr: 2e-3}
"""


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_vae_with_more_epochs_ends_as_one_from_the_start_also_where_it_is_killed_in_between(
    folder: Path, store: str, write: Write, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.conclusion.export", lambda *_: False)
    path = write(VAE)
    assert sweep("launch", path, "--workers", "1").returncode == 0
    assert sweep("more", "toy", "--epochs", "4").returncode == 0
    _launch_and_kill(path, folder)
    assert sweep("launch", path, "--workers", "1").returncode == 0
    longer = {
        f"{run.info.run_name}": {
            name: [(point.step, point.value) for point in _history(store, run, name)]
            for name in sorted(run.data.metrics)
            if not name.startswith(("images_per_second", "system/"))
        }
        for run in children(store, "toy")
        if "replaced_by" not in run.data.tags
    }
    assert {run.data.tags.get("continues", "") != "" for run in children(store, "toy")} == {True, False}
    other = folder / "whole"
    other.mkdir()
    (other / "toy.yaml").write_text(VAE.replace("epochs: 2", "epochs: 4"))
    uri = f"sqlite:///{other / 'mlflow.db'}"
    assert sweep("launch", other / "toy.yaml", "--workers", "1", "--tracking-uri", uri).returncode == 0
    assert longer == numbers(uri)


def _history(store: str, run: Run, name: str) -> list:
    return MlflowClient(tracking_uri=store).get_metric_history(run.info.run_id, name)


def _launch_and_kill(path: Path, folder: Path) -> None:
    """Kill a launch with all of its processes once it has reported a further epoch."""
    command = [sys.executable, "-m", "orchestrator", "launch", str(path), "--workers", "1"]
    launched = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while launched.poll() is None and _last_epoch(folder) < 3:
        time.sleep(0.01)
    assert launched.poll() is None
    os.killpg(launched.pid, signal.SIGKILL)
    launched.wait()


def _last_epoch(folder: Path) -> int:
    """Of the trial in flight, as it has reported."""
    work = (folder / "mlruns" / "work" / "toy").glob("*/journal.jsonl")
    events = [entry.event for file in work for entry in journal.read(file.parent)]
    return max((event.epoch for event in events if isinstance(event, Progress)), default=0)
