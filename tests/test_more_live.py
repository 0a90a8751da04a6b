"""Trials that go on for more epochs in the launch that holds their sweep, as somebody has asked for meanwhile."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from reading import children, steps
from serving import served
from test_launch import Sweep, Write, started

from orchestrator.errors import StoreBusyError
from orchestrator.events import Finished
from orchestrator.launching import recorded
from orchestrator.requests import extension as extension_module
from orchestrator.requests.calls import More, Rerun
from orchestrator.requests.extension import Extension
from orchestrator.requests.steering import TRAIN_LAST, Steering
from orchestrator.spec import load
from orchestrator.system.interrupt import Interrupt
from orchestrator.trackers import Recorder, Store, Tracker, more, replacement
from orchestrator.trial import Outcome, Trial
from orchestrator.workspace import Workspace

GROWING = "trial: growing:train\nkeep_checkpoints: all\n"
THREE = GROWING + "parameters: {x: {values: [1, 2, 3]}, epochs: 3, pause: 0.1}\n"
ONLY_ONCE = """
from orchestrator import launching
from orchestrator.cli import main
from orchestrator.errors import StoreError

once, calls = launching.informed, []

def informed(*arguments):
    calls.append(arguments)
    if len(calls) > 1:
        raise StoreError("the network is gone")
    return once(*arguments)

launching.informed = informed
main()
"""
THEN = "they train in this launch, once all else of it has ended"


@pytest.fixture
def growing(folder: Path) -> Path:
    """A trial function whose trial of x=3 waits in its second epoch until there is a file `go`; returns its folder."""
    code = Path(__file__).with_name("growing.py").read_text()
    waiting = 'time.sleep(config.pause)\n        while config.x == 3 and epoch == 2 and not Path("go").exists():\n'
    (folder / "growing.py").write_text(
        code.replace("time.sleep(config.pause)\n", f"{waiting}            time.sleep(0.05)\n")
    )
    return folder


def until(so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 100
    while not so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def ended(store: str, name: str) -> set[str]:
    """The labels of the trials that have completed."""
    return {record.label for record in Store(store).records(name) if record.outcome is Outcome.COMPLETED}


def longer(store: str, name: str) -> dict[str, int]:
    """The epochs of the trials that have completed with more than their file's."""
    records = [one for one in Store(store).records(name) if one.outcome is Outcome.COMPLETED]
    return {one.label: one.params["epochs"] for one in records if one.params["epochs"] != 3}


def running(folder: Path, path: Path, store: str, *arguments: object) -> subprocess.Popen[str]:
    """A launch of which two trials have completed, and the third runs until there is a file `go`."""
    process = started(folder, path, "--workers", "2", *arguments)
    until(lambda: ended(store, path.stem) == {"x=1", "x=2"})
    return process


def trained(folder: Path) -> list[str]:
    return sorted((folder / "epochs.txt").read_text().splitlines())


def all_epochs(longest: int) -> list[str]:
    """Each epoch once, where x=1 has had three, and the others as many as this."""
    return sorted(f"{x} {epoch}" for x, last in ((1, 3), (2, longest), (3, 3)) for epoch in range(1, last + 1))


@pytest.mark.slow
def test_trials_go_on_in_the_launch_that_is_asked_as_if_they_were_to_have_so_many_epochs_from_the_start(
    store: str, growing: Path, write: Write, sweep: Sweep
) -> None:
    told = growing / "told.txt"
    command = json.dumps(["sh", "-c", f"cat >> {shlex.quote(str(told))}; echo >> {shlex.quote(str(told))}"])
    path = write(THREE + f"on_finish: {{run: {command}}}\n")
    process = running(growing, path, store)
    for arguments, line in {
        ("x=3",): "x=3 has not come to its end; only what has completed goes on to more epochs",
        ("x=7",): "toy has no trial x=7; it has ",
    }.items():
        refused = sweep("more", path, *arguments, "--epochs", "6")
        assert (refused.returncode, refused.stderr.startswith(f"sweep: {line}")) == (2, True)
    assert more.requests_of(Store(store), "toy") == {}
    (run,) = (run for run in children(store, "toy") if run.info.run_name == "x=2")
    asked = sweep("more", "toy", "--best", "1", "--epochs", "6")
    said = f"x=2 is to have 6 epochs, on from epoch 3 of run {run.info.run_id[:8]}"
    assert (asked.returncode, asked.stdout) == (0, f"{said}\n{THEN}\n"), asked.stderr
    assert sweep("workers", "toy", "1").returncode == 0
    (growing / "go").touch()
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    assert f"asked by hand: {said}" in out
    assert out.count("going on with what was asked for meanwhile") == 1
    assert [line.split()[:3] for line in out.splitlines() if "  completed  " in line] == [
        ["3", "3", "completed"],
        ["2", "6", "completed"],
        ["1", "3", "completed"],
    ]
    (summary,) = map(json.loads, told.read_text().splitlines())
    assert (summary["trials"], summary["outcomes"]["completed"], summary["best"]["trial"]) == (3, 3, "x=3")
    assert trained(growing) == all_epochs(6)
    longer = next(run for run in children(store, "toy") if run.data.params["epochs"] == "6")
    assert longer.data.tags["continues"] == run.info.run_id
    (Path("go")).touch()
    whole = write(THREE.replace("epochs: 3", "epochs: 6").replace("[1, 2, 3]", "[2]"), "whole.yaml")
    assert sweep("launch", whole, "--executor", "inline").returncode == 0
    (other,) = children(store, "whole")
    client = MlflowClient(tracking_uri=store)
    for name in ("score", "train_loss", "final"):
        curves = [client.get_metric_history(one.info.run_id, name) for one in (longer, other)]
        assert [(p.step, p.value) for p in curves[0]] == [(p.step, p.value) for p in curves[1]]


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_launch_that_is_killed_once_it_has_answered_loses_nothing_and_repeats_nothing(
    store: str, growing: Path, write: Write, sweep: Sweep, when: str
) -> None:
    path = write(THREE.replace("pause: 0.1", "pause: 0.4"))
    process = running(growing, path, store)
    assert sweep("more", "toy", "x=2", "--epochs", "7").returncode == 0
    if when == "meanwhile":
        (growing / "go").touch()
        until(lambda: "2 5" in trained(growing))
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    (growing / "go").touch()
    done = sweep("launch", path, "--workers", "2")
    assert done.returncode == 0, done.stderr
    counting = [run for run in children(store, "toy") if "replaced_by" not in run.data.tags]
    assert sorted((run.info.run_name, run.data.params["epochs"]) for run in counting) == [
        ("x=1", "3"),
        ("x=2", "7"),
        ("x=3", "3"),
    ]
    longer = next(run for run in counting if run.data.params["epochs"] == "7")
    assert steps(store, longer, "score") == [1, 2, 3, 4, 5, 6, 7]
    assert {*trained(growing)} == {*all_epochs(7)}
    assert [trained(growing).count(f"2 {epoch}") for epoch in (1, 2, 3)] == [1, 1, 1]
    assert len(children(store, "toy")) == 4
    assert sweep("launch", path).returncode == 0
    assert len(children(store, "toy")) == 4


@pytest.mark.slow
@pytest.mark.parametrize("why", ["stopped", "target"])
def test_what_a_launch_may_not_begin_any_more_is_for_the_next(
    store: str, growing: Path, write: Write, sweep: Sweep, why: str
) -> None:
    text = THREE if why == "stopped" else THREE + "metric: {name: score, goal: maximize, target: 5}\n"
    path = write(text)
    process = running(growing, path, store)
    assert sweep("more", "toy", "x=2", "--epochs", "5").returncode == 0
    if why == "stopped":
        assert sweep("stop", "toy").returncode == 0
    (growing / "go").touch()
    out, err = process.communicate(timeout=100)
    assert process.returncode == (130 if why == "stopped" else 0), err
    assert "the next launch goes on with what was asked for meanwhile" in out
    assert "2 4" not in trained(growing)
    write(THREE)
    assert sweep("launch", path, "--workers", "1").returncode == 0
    assert [line for line in trained(growing) if line.startswith("2 ")] == [f"2 {epoch}" for epoch in range(1, 6)]


@pytest.mark.slow
def test_a_trial_that_runs_anew_after_that_has_the_epochs_of_its_file(
    store: str, growing: Path, write: Write, sweep: Sweep
) -> None:
    path = write(THREE)
    process = running(growing, path, store)
    assert sweep("more", "toy", "x=2", "--epochs", "5").returncode == 0
    assert sweep("rerun", "toy", "x=2").returncode == 0
    (growing / "go").touch()
    _, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    assert trained(growing).count("2 3") == 2
    assert "2 4" not in trained(growing)
    assert more.requests_of(Store(store), "toy") == {}


@pytest.mark.slow
@pytest.mark.parametrize("is_killed", [False, True])
def test_a_longer_trial_runs_anew_in_the_launch_that_is_asked_with_the_epochs_of_its_file(
    store: str, growing: Path, write: Write, sweep: Sweep, is_killed: bool
) -> None:
    path = write(THREE)
    process = running(growing, path, store)
    assert sweep("more", "toy", "x=2", "--epochs", "5").returncode == 0
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    process = started(growing, path, "--workers", "2", epoch="epoch ")
    until(lambda: longer(store, path.stem) == {"x=2": 5})
    asked = sweep("rerun", "toy", "x=2")
    line = "x=2 runs anew with the 3 epochs of its file; what it was is kept, and counts no longer: completed"
    assert (asked.returncode, asked.stdout) == (0, f"{line}\nthose that had more epochs {TRAIN_LAST}\n"), asked.stderr
    twice = sweep("rerun", "toy", "x=2")
    assert (twice.returncode, twice.stderr) == (2, "sweep: x=2 has yet to begin in this launch\n")
    if is_killed:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        process = started(growing, path, "--workers", "2", epoch="epoch ")
    (growing / "go").touch()
    _, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    assert trained(growing).count("2 3") == 2
    assert [record.params["epochs"] for record in Store(store).records("toy")] == [3, 3, 3]
    assert more.requests_of(Store(store), "toy") == {}
    assert sorted(run.info.run_name for run in children(store, "toy")) == ["x=1", "x=2", "x=2", "x=2", "x=3"]


@pytest.mark.slow
def test_where_trials_cannot_go_on_in_the_launch_what_had_ended_is_concluded_and_the_next_one_goes_on(
    store: str, growing: Path, write: Write, sweep: Sweep
) -> None:
    path = write(THREE)
    process = subprocess.Popen(
        [sys.executable, "-c", ONLY_ONCE, "launch", str(path), "--workers", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=growing,
    )
    until(lambda: ended(store, path.stem) == {"x=1", "x=2"})
    assert sweep("more", "toy", "x=2", "--epochs", "5").returncode == 0
    (growing / "go").touch()
    out, err = process.communicate(timeout=100)
    assert (process.returncode, err.startswith("sweep: the network is gone; nothing is lost")) == (1, True), err
    (parent,) = MlflowClient(store).search_runs(
        [MlflowClient(store).get_experiment_by_name("toy").experiment_id], "tags.sweep.role = 'parent'"
    )
    assert parent.info.status == "FAILED"
    assert parent.data.tags["mlflow.note.content"].startswith("| x | outcome |")  # no heading: it is not "so far"
    assert "going on with what was asked for meanwhile" in out
    assert sweep("launch", path, "--workers", "2").returncode == 0
    assert [line for line in trained(growing) if line.startswith("2 ")] == [f"2 {epoch}" for epoch in range(1, 6)]


@pytest.mark.slow
def test_a_launch_aside_is_not_asked_for_more_epochs(store: str, growing: Path, write: Write, sweep: Sweep) -> None:
    path = write(THREE)
    (growing / "go").touch()
    assert sweep("launch", path, "--executor", "inline").returncode == 0
    (growing / "go").unlink()
    process = started(growing, path, "--workers", "2", "--set", "schedule=cosine")
    refused = sweep("more", "toy", "x=2", "--epochs", "5")
    assert (refused.returncode, "; ask for more epochs once it has ended" in refused.stderr) == (2, True)
    (growing / "go").touch()
    process.communicate(timeout=100)
    assert more.requests_of(Store(store), "toy") == {}


@pytest.fixture
def server(tmp_path: Path, empty_store: Path) -> Iterator[str]:
    (tmp_path / "served.db").write_bytes(empty_store.read_bytes())
    with served(f"sqlite:///{tmp_path / 'served.db'}", tmp_path / "served") as url:
        yield url


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_launch_on_another_machine_is_asked_through_the_server(
    server: str, growing: Path, write: Write, sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    path = write(THREE)
    process = running(growing, path, server)
    there = tmp_path / "there"
    there.mkdir()
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TMPDIR", str(there))
        elsewhere.setattr("tempfile.tempdir", None)
        asked = sweep("more", "toy", "x=2", "--epochs", "5")
    assert (asked.returncode, asked.stdout.splitlines()[-1]) == (0, THEN), asked.stderr
    (growing / "go").touch()
    _, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    assert trained(growing) == all_epochs(5)
    assert sweep("more", "toy", "x=1", "--epochs", "4").returncode == 0  # which holds the lease, and gives it back
    assert sweep("launch", path, "--executor", "inline").returncode == 0
    assert "1 4" in trained(growing)


class Idle:
    """An executor of which nothing is asked."""


@pytest.fixture
def steering(interrupt: Interrupt) -> Steering:
    made = Steering("toy", interrupt, lambda _: None)
    trial = Trial("toys:train", 1, {"x": 1, "seed": 0}, "x=1")
    made.begin([trial], {})
    made.start(trial)
    made.take(trial, Finished(Outcome.COMPLETED))
    return made


def test_a_launch_that_prepares_or_is_about_to_end_takes_no_request_for_more_epochs(
    steering: Steering, interrupt: Interrupt
) -> None:
    said = ("no trial of toy can begin now: its launch prepares, or is about to end",)
    assert steering.answer(More(5)).lines == said
    steering.extensions.record = lambda extension, done: done("")
    with steering.over(Idle()):
        assert (steering.answer(More(5)).status, steering.closes()) == (0, True)
        assert steering.answer(More(6)).lines == said
    assert [steering.extensions.take() for _ in range(2)] == [True, False]
    with steering.over(Idle()):
        interrupt.request()
        assert steering.answer(More(5)).lines == said


def test_a_launch_does_not_end_before_the_store_has_what_it_was_asked_and_says_late_what_that_is(
    steering: Steering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extension_module, "SECONDS_TO_EXTEND", 0.05)
    waiting: list[tuple[Extension, Callable[[str], None]]] = []
    lines: list[str] = []
    steering.log = lines.append
    steering.extensions.record = lambda *asked: waiting.append(asked)
    with steering.over(Idle()):
        late = "as soon as the store answers, the launch says which trials are to have 5 epochs"
        assert (steering.answer(More(5)).lines, steering.closes(), steering.is_waiting()) == ((late,), False, True)
        (extension, done), *_ = waiting
        extension.lines = ("x=1 is to have 5 epochs",)
        done("")
        assert lines[-1] == "asked by hand: x=1 is to have 5 epochs"
        assert (steering.closes(), steering.is_waiting(), steering.extensions.take()) == (True, False, True)


def test_what_cannot_be_is_an_answer_with_a_status_and_nothing_goes_on(steering: Steering) -> None:
    steering.extensions.record = lambda extension, done: done("x=1 has had 5 epochs\nx=2 runs")
    with steering.over(Idle()):
        answer = steering.answer(More(5))
    assert (answer.lines, answer.status) == (("x=1 has had 5 epochs", "x=2 runs"), 2)
    assert not steering.extensions.take()


def test_of_longer_trials_those_run_anew_that_were_not_asked_to_yet_and_what_is_refused_stays_as_it_was(
    steering: Steering,
) -> None:
    steering.epochs = 3
    trials = [Trial("toys:train", 1, {"x": x, "epochs": 5}, f"x={x}") for x in (2, 3)]
    asked: list[Rerun] = []
    steering.extensions.record = lambda extension, done: (asked.append(extension.call), done(""))[-1]
    with steering.over(Idle()):
        for trial in trials:
            steering.start(trial)
            steering.take(trial, Finished(Outcome.FAILED))
            assert steering.answer(Rerun(failed=True)).status == 0
        assert [call.trials for call in asked] == [(trial.trial_key,) for trial in trials]
        assert steering.answer(Rerun(("x=2",))).lines == ("x=2 has yet to begin in this launch",)
        steering.start(trials[0])
        steering.take(trials[0], Finished(Outcome.FAILED))
        steering.extensions.record = lambda extension, done: done("the store is full")
        for _ in range(2):
            refused = steering.answer(Rerun(("x=2",)))
            assert (refused.lines, refused.status) == (("the store is full",), 2)


def test_a_rerun_of_longer_trials_goes_on_where_the_store_did_not_answer(
    store: str, write: Write, sweep: Sweep, growing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (growing / "go").touch()
    path = write(THREE.replace("pause: 0.1", "pause: 0.0"))
    for arguments in (("launch", path, "--executor", "inline"), ("more", path, "--epochs", "4")):
        assert sweep(*arguments).returncode == 0
    assert sweep("launch", path, "--executor", "inline").returncode == 0
    spec = load(path)
    with Workspace(store, "toy") as workspace:
        tracker = Tracker(store, spec)
        tracker.open(3)
        extension = Extension(Rerun(tuple(one.trial_key for one in tracker.records("toy"))))
        again, calls = replacement.again, []

        def once_away(*arguments: object) -> str:
            calls.append(arguments)
            if len(calls) == 2:
                raise StoreBusyError("away")
            return again(*arguments)

        monkeypatch.setattr(replacement, "again", once_away)
        recorder = Recorder(tracker, workspace, lambda _: None)
        done: list[str] = []
        recorder.have_done(lambda: recorded(extension, tracker, workspace), done.append)
        recorder.close()
        tracker.close("FINISHED")
    assert (done, len(extension.lines), len(calls)) == ([""], 3, 5)
    assert [(one.params["epochs"], one.outcome) for one in Store(store).records("toy")] == [
        (3, Outcome.INTERRUPTED)
    ] * 3
