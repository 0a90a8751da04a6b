"""MLflow that fails: training goes on, records wait, and nothing is written twice."""

import os
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import processes
import pytest
from mlflow import Image, MlflowClient
from mlflow import environment_variables as of_mlflow
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from reading import artifacts, children, outcomes, steps

from orchestrator.comparison.running_table import RunningTable
from orchestrator.errors import StoreBusyError, StoreError
from orchestrator.events import Event, Finished, Progress, Restarted, Sampled, Started, Tagged
from orchestrator.spec import load
from orchestrator.trackers import Recorder, Tracker, retry, reuse
from orchestrator.trackers.recorder import NO_MORE
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.record import Record
from orchestrator.workspace import Workspace

Write = Callable[..., Path]
TOY = "trial: toys:train\nmetric: {name: score, goal: maximize}\n"
TRIAL = Trial("toys:train", 1, {"x": 1.0}, "x=1")


@pytest.fixture
def tracker(store: str, write: Write) -> Tracker:
    tracker = Tracker(store, load(write(TOY)))
    tracker.open(1)
    return tracker


@pytest.fixture
def workspace(tracker: Tracker) -> Workspace:
    return Workspace(tracker.uri, "toy")


Fail = Callable[..., None]


@pytest.fixture
def fail(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> Fail:
    """Have writes fail with these errors, one after the other, before they are made or after."""
    write = tracker.write

    def fail(*errors: Exception, made: bool = True) -> None:
        left = iter(errors)

        def unsure(*arguments: object) -> None:
            if made:
                write(*arguments)  # type: ignore[arg-type]
            if error := next(left, None):
                raise error
            if not made:
                write(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(tracker, "write", unsure)

    return fail


EVENTS = [Started(1, 1), Progress(1, {"train_loss": 2.0, "score": 0.5}, 1.0), Finished(Outcome.COMPLETED)]


@pytest.mark.slow
def test_a_write_that_fails_for_a_while_is_made_once(tracker: Tracker, workspace: Workspace, fail: Fail) -> None:
    said: list[str] = []
    fail(StoreBusyError("locked"), StoreBusyError("locked"))
    recorder = Recorder(tracker, workspace, said.append)
    for event in EVENTS:
        recorder.take(TRIAL, event)
    recorder.close()
    (run,) = children(tracker.uri, "toy")
    assert run.data.tags["outcome"] == "completed"
    assert run.info.status == "FINISHED"
    assert steps(tracker.uri, run, "train_loss") == [1]
    assert steps(tracker.uri, run, "best_score") == [0]
    assert run.data.metrics["best_score"] == 0.5
    assert said == ["locked; training continues, and what trials report is written later", "MLflow answers again"]


def test_what_waits_for_the_store_is_written_in_its_turn(tracker: Tracker, workspace: Workspace, fail: Fail) -> None:
    other = Trial("toys:train", 1, {"x": 2.0}, "x=2")
    fail(StoreBusyError("locked"), made=False)
    recorder = Recorder(tracker, workspace, lambda _: None)
    for trial in (TRIAL, other):
        for event in EVENTS:
            recorder.take(trial, event)
    recorder.close()
    first, second = children(tracker.uri, "toy")
    assert (first.info.run_name, second.info.run_name) == ("x=1", "x=2")
    assert first.info.start_time <= second.info.start_time
    assert outcomes(tracker.uri, "toy") == {"x=1": "completed", "x=2": "completed"}


def test_a_run_whose_making_was_not_answered_is_made_once(
    tracker: Tracker, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, failures = tracker.client.create_run, iter([MlflowException("no answer")])

    def unsure(*arguments: object, **named: object) -> object:
        made = create(*arguments, **named)  # type: ignore[arg-type]
        if error := next(failures, None):
            raise error
        return made

    monkeypatch.setattr(tracker.client, "create_run", unsure)
    recorder = Recorder(tracker, workspace, lambda _: None)
    recorder.take(TRIAL, Finished(Outcome.COMPLETED))
    recorder.close()
    assert outcomes(tracker.uri, "toy") == {"x=1": "completed"}
    assert len(children(tracker.uri, "toy")) == 1


def test_what_a_trial_tells_within_a_second_is_written_in_one_go(tracker: Tracker, workspace: Workspace) -> None:
    calls: list[int] = []
    write = tracker.write
    tracker.write = lambda trial, events, workdir: (calls.append(len(events)), write(trial, events, workdir))  # type: ignore[method-assign]
    recorder = Recorder(tracker, workspace, lambda _: None)
    epochs = [Progress(epoch, {f"m{i}": 1.0 for i in range(40)}, 1.0) for epoch in range(1, 51)]
    for event in [EVENTS[0], *epochs, EVENTS[-1]]:
        recorder.take(TRIAL, event)
    recorder.close()
    assert calls == [52]
    (run,) = children(tracker.uri, "toy")
    assert steps(tracker.uri, run, "m39") == list(range(1, 51))  # 2,000 points, of which MLflow takes 1,000 at a time


@pytest.mark.slow
def test_a_store_that_stays_away_ends_the_launch_with_its_reason(
    tracker: Tracker, workspace: Workspace, fail: Fail
) -> None:
    fail(*[StoreBusyError("MLflow: nobody there")] * 100)
    recorder = Recorder(tracker, workspace, lambda _: None, patience=0.5)
    recorder.take(TRIAL, EVENTS[0])
    with pytest.raises(StoreError, match="nobody there"):
        recorder.close()


def test_what_the_store_refuses_for_good_is_not_tried_again(tracker: Tracker, workspace: Workspace, fail: Fail) -> None:
    fail(StoreError("MLflow: the disk is full"), made=False)
    recorder = Recorder(tracker, workspace, lambda _: None)
    recorder.take(TRIAL, EVENTS[0])
    with pytest.raises(StoreError, match="full"):
        recorder.close()
    assert children(tracker.uri, "toy") == []
    with pytest.raises(StoreError, match="full"):
        recorder.take(TRIAL, EVENTS[0])


def test_who_waits_for_an_errand_is_told_where_what_came_before_it_is_refused(
    tracker: Tracker, workspace: Workspace, fail: Fail
) -> None:
    fail(StoreError("MLflow: the disk is full"), made=False)
    recorder = Recorder(tracker, workspace, lambda _: None)
    told: list[str] = []
    recorder.take(TRIAL, EVENTS[0])
    recorder.have_done(lambda: told.append("done"), told.append)
    with pytest.raises(StoreError):
        recorder.close()
    assert told == [NO_MORE]


def test_trials_wait_for_a_store_that_is_far_behind(
    tracker: Tracker, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.trackers.recorder.MOST_WAITING", 1)
    answers = threading.Event()
    write = tracker.write
    tracker.write = lambda *told: (answers.wait(), write(*told))  # type: ignore[method-assign]
    recorder = Recorder(tracker, workspace, lambda _: None)
    assert recorder.has_room
    recorder.take(TRIAL, EVENTS[-1])
    assert not recorder.has_room
    answers.set()
    recorder.close()
    assert recorder.has_room


@pytest.mark.slow
def test_waiting_for_room_ends_with_patience_and_with_an_interrupt(
    tracker: Tracker, workspace: Workspace, fail: Fail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.trackers.recorder.MOST_WAITING", 1)
    fail(*[StoreBusyError("nobody there")] * 1000, made=False)
    recorder = Recorder(tracker, workspace, lambda _: None, patience=1.0)
    recorder.take(TRIAL, EVENTS[-1])
    recorder.wait_for_room(lambda: True)
    assert not recorder.has_room
    recorder.wait_for_room(lambda: False)
    assert isinstance(recorder.error, StoreBusyError)


def test_a_launch_that_waits_for_the_store_alone_says_for_how_many_trials(
    tracker: Tracker, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.trackers.recorder.SECONDS_BETWEEN_LINES", 0.0)
    said, may_write = list[str](), threading.Event()
    monkeypatch.setattr(tracker, "write", lambda *_: may_write.wait())

    def log(line: str) -> None:
        said.append(line)
        may_write.set()

    recorder = Recorder(tracker, workspace, log)
    for trial in (TRIAL, Trial("toys:train", 1, {"x": 2.0}, "x=2")):
        recorder.take(trial, EVENTS[0])
    recorder.close()
    assert said[0] == "writing to the store: what 2 trials have reported is not there yet"


def test_nothing_is_waited_for_when_all_is_to_end_at_once(
    tracker: Tracker, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.trackers.recorder.LAST_SECONDS", 0.2)
    answers = threading.Event()
    write = tracker.write
    tracker.write = lambda *told: (answers.wait(), write(*told))  # type: ignore[method-assign]
    said: list[str] = []
    recorder = Recorder(tracker, workspace, said.append)
    recorder.take(TRIAL, EVENTS[0])
    with pytest.raises(KeyboardInterrupt):
        recorder.close(lambda: True)
    assert said == ["the store does not answer: what a trial has reported is not written; the next launch writes it"]
    answers.set()
    tracker.close("KILLED")  # does not wait for what does not answer, either
    assert children(tracker.uri, "toy") == []


SWEEP = TOY + "parameters: {x: {values: [1, 2]}, epochs: 12, pause: 0.5}"


def launched(path: Path, uri: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "orchestrator", "launch", str(path), "--tracking-uri", uri]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.long
def test_a_database_that_is_locked_for_half_a_minute_costs_nothing(store: str, folder: Path, write: Write) -> None:
    launch = launched(write(SWEEP), store)
    assert launch.stdout is not None
    for line in launch.stdout:
        if "epoch 1/" in line:
            break
    with sqlite3.connect(folder / "mlruns" / "mlflow.db") as other:
        other.execute("BEGIN EXCLUSIVE")
        time.sleep(30)
        other.rollback()
    out, _ = launch.communicate(timeout=200)
    assert launch.returncode == 0, out
    assert set(outcomes(store, "toy").values()) == {"completed"}
    for run in children(store, "toy"):
        assert steps(store, run, "train_loss") == list(range(1, 13))


class Server:
    """A real MLflow server on a store of its own, that can be killed and started again."""

    def __init__(self, folder: Path, database: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = str(free.getsockname()[1])
        self.uri = f"http://127.0.0.1:{port}"
        self.command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", database]
        self.command += ["--artifacts-destination", str(folder / "remote"), "--port", port, "--workers", "1"]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        client = MlflowClient(self.uri)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                client.search_experiments(max_results=1)
            except Exception:
                time.sleep(0.3)
            else:
                return
        raise AssertionError("the server does not start")

    def kill(self) -> None:
        workers = processes.children(self.process.pid)
        os.killpg(self.process.pid, 9)
        self.process.wait()
        assert processes.all_gone(workers)


@pytest.fixture
def server(folder: Path, store: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    server = Server(folder, store)
    yield server
    server.kill()


@pytest.mark.slow
def test_a_server_that_is_killed_and_restarted_costs_nothing(server: Server, write: Write) -> None:
    uri = server.uri
    launch = launched(write(SWEEP), uri)
    assert launch.stdout is not None
    said: list[str] = []
    for line in launch.stdout:
        said.append(line)
        if "epoch 1/" in line:
            break
    reader = threading.Thread(target=lambda: said.extend(launch.stdout or ()))
    reader.start()
    server.kill()
    time.sleep(8)
    server.start()
    launch.wait(timeout=200)
    reader.join()
    launch.stdout.close()
    assert launch.returncode == 0, said
    assert any("training continues" in line for line in said)
    assert any("MLflow answers again" in line for line in said)
    for run in children(uri, "toy"):
        assert run.data.tags["outcome"] == "completed"
        assert steps(uri, run, "train_loss") == list(range(1, 13))
        assert artifacts(uri, run) == {"log.txt", "note.txt"}


@pytest.mark.slow
def test_a_second_interrupt_ends_a_launch_whose_store_is_away_and_loses_nothing(server: Server, write: Write) -> None:
    uri = server.uri
    path = write(SWEEP.replace("pause: 0.5", "pause: 0.2"))
    launch = launched(path, uri)
    assert launch.stdout is not None
    for line in launch.stdout:
        if "epoch 1/" in line:
            break
    os.killpg(server.process.pid, signal.SIGSTOP)
    try:
        launch.send_signal(signal.SIGINT)
        time.sleep(1)
        launch.send_signal(signal.SIGINT)
        said, _ = launch.communicate(timeout=30)
    finally:
        os.killpg(server.process.pid, signal.SIGCONT)
    assert launch.returncode == 130
    assert "the store does not answer: what " in said
    again = launched(path, uri)
    said, _ = again.communicate(timeout=100)
    assert again.returncode == 0, said
    assert [steps(uri, run, "train_loss") for run in children(uri, "toy")] == [list(range(1, 13))] * 2


@pytest.mark.slow
@pytest.mark.parametrize("cut_off_after", [1, 2])
def test_a_picture_whose_logging_was_cut_off_stands_once(tracker: Tracker, tmp_path: Path, cut_off_after: int) -> None:
    picture = tmp_path / "artifacts" / "curve.png"
    picture.parent.mkdir()
    Image(np.zeros((8, 8))).save(str(picture))
    tracker.write(TRIAL, [Progress(1, {"score": 0.5}, 1.0)], tmp_path)
    (run,) = children(tracker.uri, "toy")
    tracker.client.log_image(run.info.run_id, Image(str(picture)), key="curve", step=1)
    logged = sorted((tmp_path / "mlruns" / "artifacts" / "toy" / run.info.run_id / "artifacts" / "images").iterdir())
    for file in logged[cut_off_after:]:
        file.unlink()
    tracker.close("KILLED")
    again = Tracker(tracker.uri, tracker.spec)
    again.open(1)
    again.write(TRIAL, [Finished(Outcome.COMPLETED)], tmp_path)
    assert logged_images(tracker.uri, run) == {("curve", 1): 2}


def test_a_run_that_takes_the_place_of_another_has_the_tags_of_that(tracker: Tracker, tmp_path: Path) -> None:
    tracker.write(TRIAL, [Started(1, 3), Tagged({"noted": "first"}), Progress(1, {"score": 0.5}, 1.0)], tmp_path)
    tracker.write(TRIAL, [Tagged({"noted": "then"}), Restarted(1, 2.0), Progress(1, {"score": 0.25}, 3.0)], tmp_path)
    (run,) = children(tracker.uri, "toy")
    assert (run.data.tags["threads"], run.data.tags["noted"], run.data.metrics["score"]) == ("3", "then", 0.25)
    assert "restarted" in run.data.tags


def logged_images(store: str, run: Run) -> Counter[tuple[str, int]]:
    """How many files of each image the run has, by name and step: it should be two."""
    paths = artifacts(store, run, "images")
    return Counter((name, int(step)) for name, _, step, *_ in (p.removeprefix("images/").split("+") for p in paths))


def leave(workdir: Path, name: str, epoch: int) -> None:
    """What a trial function leaves as a picture of an epoch."""
    path = workdir / "images" / name / f"{epoch}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image(np.zeros((8, 8))).save(str(path))


def png_that_claims(width: int, height: int) -> bytes:
    """The beginning of a picture of so many pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def test_pictures_by_epoch_stand_as_soon_as_their_epoch_and_once(tracker: Tracker, tmp_path: Path) -> None:
    leave(tmp_path, "samples", 1)
    tracker.write(TRIAL, [Started(1, 1), Progress(1, {"score": 0.5}, 1.0)], tmp_path)
    (run,) = children(tracker.uri, "toy")
    assert logged_images(tracker.uri, run) == {("samples", 1): 2}
    leave(tmp_path, "samples", 2)
    leave(tmp_path, "a/b", 2)  # of no such name
    (tmp_path / "images" / "samples" / "latest.png").write_text("of no epoch")
    (tmp_path / "images" / "samples" / "3.png").write_text("no picture")
    (tmp_path / "images" / "samples" / "5.png").write_bytes(png_that_claims(50_000, 50_000))
    tracker.write(TRIAL, [Progress(2, {"score": 0.5}, 1.0)], tmp_path)
    tracker.recover(TRIAL)  # as after a write whose answer was lost
    tracker.write(TRIAL, [Progress(2, {"score": 0.5}, 1.0), Progress(3, {"score": 0.5}, 1.0)], tmp_path)
    tracker.close("KILLED")
    again = Tracker(tracker.uri, tracker.spec)
    again.open(1)
    leave(tmp_path, "samples", 4)
    artifact = tmp_path / "artifacts" / "samples.png"
    artifact.parent.mkdir()
    Image(np.zeros((8, 8))).save(str(artifact))
    again.write(TRIAL, [Progress(4, {"score": 0.5}, 1.0), Finished(Outcome.COMPLETED)], tmp_path)
    assert logged_images(tracker.uri, run) == {("samples", 1): 2, ("samples", 2): 2, ("samples", 4): 2}
    assert artifacts(tracker.uri, run) == {"images", "samples.png"}


def test_a_sample_of_the_machine_stands_once_and_after_the_last_one(tracker: Tracker, tmp_path: Path) -> None:
    name = "system/cpu_utilization_percentage"
    first, second, third = (Sampled({name: 90.0 + i}, 100.0 + 5 * i) for i in range(3))
    tracker.write(TRIAL, [Started(1, 1), first], tmp_path)
    tracker.recover(TRIAL)
    tracker.write(TRIAL, [first, Progress(1, {"score": 0.5}, 1.0)], tmp_path)
    tracker.close("KILLED")
    again = Tracker(tracker.uri, tracker.spec)
    again.open(1)
    again.write(TRIAL, [second], tmp_path)
    again.write(TRIAL, [third, Progress(2, {"score": 0.7}, 1.0), Finished(Outcome.COMPLETED)], tmp_path)
    (run,) = children(tracker.uri, "toy")
    points = tracker.client.get_metric_history(run.info.run_id, name)
    assert [(point.step, point.value) for point in points] == [(0, 90.0), (1, 91.0), (2, 92.0)]
    assert run.data.tags["epochs_run"] == "2"
    assert run.data.metrics["best_epoch"] == 2


def test_replicates_share_the_tag_config_and_have_a_seed_each(tracker: Tracker, tmp_path: Path) -> None:
    for seed in (0, 1):
        trial = Trial("toys:train", 1, {"x": 1.0, "seed": seed, "mode": "fine"}, f"x=1 seed={seed} mode=fine")
        tracker.write(trial, [Finished(Outcome.COMPLETED)], tmp_path)
    alone = Trial("toys:train", 1, {"x": 2.0, "seed": 2}, "seed=2")
    tracker.write(alone, [Finished(Outcome.COMPLETED)], tmp_path)
    told = [(run.data.tags["config"], run.data.tags["seed"]) for run in children(tracker.uri, "toy")]
    assert told == [("toy", "2"), ("x=1 mode=fine", "0"), ("x=1 mode=fine", "1")]


def description(tracker: Tracker) -> str:
    return str(tracker.client.get_run(tracker.parent_id).data.tags.get("mlflow.note.content"))


def ended(x: float, score: float | None, **how: object) -> tuple[Trial, list[Event]]:
    """A trial, and all that it tells."""
    epoch = [] if score is None else [Progress(1, {"score": score}, 1.0)]
    end = Finished(**({"outcome": Outcome.COMPLETED} | how))  # type: ignore[arg-type]
    return Trial("toys:train", 1, {"x": x, "epochs": 1}, f"x={x:g}"), [Started(1, 1), *epoch, end]


def test_the_description_so_far_has_the_best_trials(
    tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.comparison.running_table.MOST_ROWS", 3)
    tracker.tally.asked = 9
    tracker.describe_so_far()
    assert description(tracker).startswith("Running: 0 of 9 trials ended.")
    trials = [ended(1.0, 0.5), ended(2.0, None, outcome=Outcome.FAILED, reason="it broke"), ended(3.0, 0.9)]
    for trial, events in [*trials, ended(4.0, 0.7), ended(5.0, 0.1)]:
        tracker.write(trial, events, tmp_path)
    tracker.describe_so_far()
    heading, table, left_out = description(tracker).split("\n\n")
    assert heading == "Running: 5 of 9 trials ended (4 completed, 1 failed)."
    lines = table.splitlines()
    assert lines[0] == "| x | outcome | score | epochs | time | remark |"
    assert [line.split(" | ")[2] for line in lines[2:5]] == ["0.9000", "0.7000", "0.5000"]
    assert (lines[5:], left_out) == ([], "and 2 more\n")


def test_a_table_of_the_best_says_how_many_it_leaves_out(tracker: Tracker) -> None:
    tally = RunningTable(tracker.spec, asked=200)
    for i in range(200):
        outcome = Outcome.EXPLODED if i % 2 else Outcome.COMPLETED
        trial, _ = ended(float(i), 1.0)
        tally.take(trial, Record("r", trial.trial_key, trial.label, outcome, "", trial.params, {"score": i / 1000}, {}))
    table = tally.table()
    assert [row.trial.params["x"] for row in table.rows[:3]] == [198.0, 196.0, 194.0]
    assert table.markdown(8000).endswith("\nand 150 more\n")
    assert tally.heading() == "Running: 200 of 200 trials ended (100 completed, 100 loss explosion).\n\n"


@pytest.mark.parametrize(("seconds_between", "times"), [(0.0, 3), (30.0, 1)])
def test_the_description_is_renewed_while_trials_end_but_not_often(
    tracker: Tracker, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, seconds_between: float, times: int
) -> None:
    monkeypatch.setattr("orchestrator.trackers.recorder.SECONDS_BETWEEN_WRITES", 0.0)
    monkeypatch.setattr("orchestrator.trackers.recorder.SECONDS_BETWEEN_DESCRIPTIONS", seconds_between)
    described: list[int] = []
    monkeypatch.setattr(tracker, "describe_so_far", lambda: described.append(tracker.tally.ended.total()))
    recorder = Recorder(tracker, workspace, lambda _: None)
    for x in (1.0, 2.0, 3.0):
        trial, events = ended(x, 0.5)
        recorder.take(trial, events[-1])
        while recorder._written < x:
            time.sleep(0.01)
    recorder.close()
    assert described == [1, 2, 3][:times]


@pytest.mark.parametrize("error", [StoreBusyError("locked"), StoreError("refused")], ids=str)
def test_a_description_that_cannot_be_written_now_comes_later(
    tracker: Tracker, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, error: StoreError
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(tracker, "describe_so_far", fail)
    recorder = Recorder(tracker, workspace, lambda _: None)
    recorder.take(*(lambda trial, events: (trial, events[-1]))(*ended(1.0, 0.5)))
    recorder.close()
    assert outcomes(tracker.uri, "toy") == {"x=1": "completed"}


def test_what_mlflow_was_killed_over_is_taken_away(tracker: Tracker, tmp_path: Path) -> None:
    tracker.write(TRIAL, [Progress(1, {"score": 0.5}, 1.0)], tmp_path)
    (run,) = children(tracker.uri, "toy")
    tracker.close("KILLED")
    place = tmp_path / "mlruns" / "artifacts" / "toy" / run.info.run_id / "artifacts"
    for folder in (place, place / "images"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".artifact.uploading.abc").write_text("half of it")
    again = Tracker(tracker.uri, tracker.spec)
    again.open(1)
    again.write(TRIAL, [Finished(Outcome.COMPLETED)], tmp_path)
    assert [path for path in place.rglob("*") if path.is_file()] == []


def test_of_two_runs_that_a_late_server_made_one_stays(tracker: Tracker, tmp_path: Path) -> None:
    tracker.write(TRIAL, [Progress(1, {"score": 0.5}, 1.0)], tmp_path)
    tracker.client.create_run(tracker.experiment_id, tags=tracker._identity(TRIAL))
    assert len(children(tracker.uri, "toy")) == 2
    again = Tracker(tracker.uri, tracker.spec)
    again.open(1)
    (run,) = children(tracker.uri, "toy")
    assert run.info.status == "KILLED"


@pytest.mark.slow
def test_a_copy_of_another_sweeps_trial_is_made_once_though_the_store_stops_answering(
    tracker: Tracker, tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = [Trial("toys:train", 1, {"x": x}, f"x={x}") for x in (1.0, 2.0, 3.0)]
    for trial in trials:
        tracker.write(trial, [Started(1, 1), Finished(Outcome.COMPLETED)], tmp_path)
    second = Tracker(tracker.uri, load(write(TOY + "reuse: true", "second.yaml")))
    second.open(3)
    copy, calls = reuse.copy, iter(range(9))

    def fail_once(*arguments: object) -> str:
        if next(calls) == 1:
            raise MlflowException("busy")
        return copy(*arguments)

    monkeypatch.setattr(reuse, "copy", fail_once)
    assert retry(lambda: second.reuse(trials)).keys() == {trial.trial_key for trial in trials}
    own = children(tracker.uri, "second")
    assert {record.run_id for record in second.reuse(trials).values()} == {run.info.run_id for run in own}
    assert len(own) == 3


@pytest.mark.slow
def test_a_trial_that_began_again_has_one_run_also_where_its_making_was_not_answered(
    tracker: Tracker, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, failures = tracker.client.create_run, iter([None, MlflowException("no answer")])

    def unsure(*arguments: object, **named: object) -> Run:
        run = create(*arguments, **named)
        if error := next(failures, None):
            raise error
        return run

    monkeypatch.setattr(tracker.client, "create_run", unsure)
    recorder = Recorder(tracker, workspace, lambda _: None)
    recorder.take(TRIAL, Started(1, 3))
    recorder.take(TRIAL, Progress(1, {"score": 0.5}, 1.0))
    recorder.take(TRIAL, Progress(2, {"score": 0.75}, 1.0))
    deadline = time.monotonic() + 30
    while not children(tracker.uri, "toy") and time.monotonic() < deadline:
        time.sleep(0.05)
    for event in (Restarted(2, 2.0), Progress(1, {"score": 0.25}, 3.0), Finished(Outcome.COMPLETED)):
        recorder.take(TRIAL, event)
    recorder.close()
    (run,) = children(tracker.uri, "toy")
    assert steps(tracker.uri, run, "score") == [1]
    assert run.data.metrics["score"] == 0.25
    assert (run.data.tags["outcome"], run.data.tags["threads"]) == ("completed", "3")


def test_how_our_client_waits_for_mlflow_is_nothing_to_what_inherits_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    retries, seconds = of_mlflow.MLFLOW_HTTP_REQUEST_MAX_RETRIES, of_mlflow.MLFLOW_HTTP_REQUEST_TIMEOUT
    assert (retries.get(), seconds.get()) == (0, 30)
    assert not {retries.name, seconds.name} & os.environ.keys()
    monkeypatch.setenv(retries.name, "2")
    assert (retries.get(), seconds.get()) == (2, 30)
