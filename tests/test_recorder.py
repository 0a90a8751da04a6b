"""MLflow that fails: training goes on, records wait, and nothing is written twice."""

import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import processes
import pytest
from mlflow import Image, MlflowClient
from reading import artifacts, children, outcomes, steps

from orchestrator.errors import StoreBusyError, StoreError
from orchestrator.events import Finished, Progress, Started
from orchestrator.spec import load
from orchestrator.trackers import Recorder, Tracker
from orchestrator.trial import Outcome, Trial

Write = Callable[..., Path]
TOY = "trial: toys:train\nmetric: {name: score, goal: maximize}\n"
TRIAL = Trial("toys:train", 1, {"x": 1.0}, "x=1")


@pytest.fixture
def tracker(store: str, write: Write) -> Tracker:
    tracker = Tracker(store, load(write(TOY)))
    tracker.open(1)
    return tracker


def test_a_write_that_fails_for_a_while_is_made_in_its_turn(tracker: Tracker, tmp_path: Path) -> None:
    said: list[str] = []
    recorder = Recorder(tracker, said.append)
    failures = iter([StoreBusyError("locked"), StoreBusyError("locked")])
    order: list[int] = []

    def unsure() -> None:
        # the write comes through, but its answer is lost
        tracker.record(TRIAL, Progress(1, {"train_loss": 2.0, "score": 0.5}, 1.0), tmp_path)
        order.append(1)
        if error := next(failures, None):
            raise error

    recorder.put(TRIAL, lambda: tracker.start(TRIAL))
    recorder.put(TRIAL, lambda: tracker.record(TRIAL, Started(1, 1), tmp_path))
    recorder.put(TRIAL, unsure)
    recorder.put(TRIAL, lambda: order.append(2))
    recorder.put(TRIAL, lambda: tracker.record(TRIAL, Finished(Outcome.COMPLETED), tmp_path))
    recorder.close()
    (run,) = children(tracker.uri, "toy")
    assert order == [1, 1, 1, 2]
    assert steps(tracker.uri, run, "train_loss") == [1]
    assert run.data.metrics["best_score"] == 0.5
    assert said == ["locked - training goes on, what is to be written waits", "MLflow answers again"]


def test_a_run_whose_making_was_not_answered_is_made_once(tracker: Tracker, tmp_path: Path) -> None:
    failures = iter([StoreBusyError("no answer")])

    def unsure() -> None:
        tracker.start(TRIAL)
        if error := next(failures, None):
            tracker._runs.clear()  # as if the answer with the run's id had been lost
            raise error

    recorder = Recorder(tracker, lambda _: None)
    recorder.put(TRIAL, unsure)
    recorder.put(TRIAL, lambda: tracker.record(TRIAL, Finished(Outcome.COMPLETED), tmp_path))
    recorder.close()
    assert outcomes(tracker.uri, "toy") == {"x=1": "completed"}
    assert len(children(tracker.uri, "toy")) == 1


def test_a_store_that_stays_away_ends_the_launch_with_its_reason(tracker: Tracker) -> None:
    def fail() -> None:
        raise StoreBusyError("MLflow: nobody there")

    recorder = Recorder(tracker, lambda _: None, patience=0.5)
    recorder.put(TRIAL, fail)
    with pytest.raises(StoreError, match="nobody there"):
        recorder.close()


def test_what_the_store_refuses_for_good_is_not_tried_again(tracker: Tracker) -> None:
    tried: list[int] = []

    def refused() -> None:
        tried.append(1)
        raise StoreError("MLflow: the disk is full")

    recorder = Recorder(tracker, lambda _: None)
    recorder.put(TRIAL, refused)
    recorder.put(TRIAL, lambda: tried.append(2))
    with pytest.raises(StoreError, match="full"):
        recorder.close()
    assert tried == [1]
    with pytest.raises(StoreError, match="full"):
        recorder.put(TRIAL, lambda: None)


def test_nothing_is_waited_for_when_all_is_to_end_at_once(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.trackers.recorder.LAST_SECONDS", 0.2)
    answers = threading.Event()
    recorder = Recorder(tracker, lambda _: None)
    recorder.put(TRIAL, answers.wait)
    recorder.put(TRIAL, lambda: tracker.start(TRIAL))
    with pytest.raises(KeyboardInterrupt):
        recorder.close(lambda: True)
    answers.set()
    tracker.close("KILLED")  # does not wait for what does not answer, either
    assert children(tracker.uri, "toy") == []


SWEEP = TOY + "parameters: {x: {values: [1, 2]}, epochs: 12, pause: 0.5}"


def launched(path: Path, uri: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "orchestrator", "launch", str(path), "--tracking-uri", uri]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.slow
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


PORT = 5717


class Server:
    """A real MLflow server on a store of its own, that can be killed and started again."""

    def __init__(self, folder: Path, database: str) -> None:
        self.command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", database]
        self.command += ["--artifacts-destination", str(folder / "remote"), "--port", str(PORT), "--workers", "1"]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        client = MlflowClient(f"http://127.0.0.1:{PORT}")
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
    uri = f"http://127.0.0.1:{PORT}"
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
    assert any("training goes on" in line for line in said)
    assert any("MLflow answers again" in line for line in said)
    for run in children(uri, "toy"):
        assert run.data.tags["outcome"] == "completed"
        assert steps(uri, run, "train_loss") == list(range(1, 13))
        assert artifacts(uri, run) == {"note.txt"}


@pytest.mark.parametrize("cut_off_after", [1, 2])
def test_a_picture_whose_logging_was_cut_off_stands_once(tracker: Tracker, tmp_path: Path, cut_off_after: int) -> None:
    picture = tmp_path / "artifacts" / "curve.png"
    picture.parent.mkdir()
    Image(np.zeros((8, 8))).save(str(picture))
    tracker.start(TRIAL)
    tracker.record(TRIAL, Progress(1, {"score": 0.5}, 1.0), tmp_path)
    (run,) = children(tracker.uri, "toy")
    tracker.client.log_image(run.info.run_id, Image(str(picture)), key="curve", step=1)
    logged = sorted((tmp_path / "mlruns" / "artifacts" / "toy" / run.info.run_id / "artifacts" / "images").iterdir())
    for file in logged[cut_off_after:]:
        file.unlink()
    tracker.record(TRIAL, Finished(Outcome.COMPLETED), tmp_path)
    images = artifacts(tracker.uri, run, "images")
    assert sorted(name.rpartition(".")[2] for name in images) == ["png", "webp"]
