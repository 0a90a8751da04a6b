"""What a launch tells of itself beside its lock, for `sweep status`: while it runs, and not a moment longer."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.documents.status import BestTrialPart
from orchestrator.events import Finished, Progress, Started
from orchestrator.progress import published
from orchestrator.progress.live import LiveProgress
from orchestrator.progress.status import Status
from orchestrator.spec import SweepSpec, load
from orchestrator.trackers import Tracker
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.grid import expand
from orchestrator.trials.record import Record
from orchestrator.workspace import Workspace

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]
TOY = "trial: toys:train\nmetric: {name: score, goal: maximize}\nparameters: {x: {values: [1, 2]}, epochs: 9"
ASKED = """
import sys
from orchestrator.cli import main
sys.argv = ["sweep", "status", *sys.argv[1:], "--json"]
try:
    main()
finally:
    print(" mlflow was imported" if "mlflow" in sys.modules else " without mlflow", end="", file=sys.stderr)
"""


@pytest.fixture
def uri(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(published, "SECONDS_BETWEEN_WRITES", 0.01)
    return f"sqlite:///{folder / 'mlruns' / 'mlflow.db'}"


@contextmanager
def launched(uri: str, spec: SweepSpec, *, is_aside: bool = False) -> Iterator[tuple[Workspace, LiveProgress]]:
    """A launch that holds its sweep; what it tells is awaited once the trials have begun."""
    progress = LiveProgress("toy", spec.objectives[0])
    with Workspace(uri, "toy") as workspace, published.published(workspace, spec, progress, lambda: is_aside):
        yield workspace, progress


def told(uri: str, spec: SweepSpec | None, is_it: Callable[[Status], bool]) -> Status:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if (status := published.status(uri, "toy", spec)) and is_it(status):
            return status
    raise AssertionError("it was not told")


def untold(workspace: Workspace, uri: str, spec: SweepSpec) -> bool:
    time.sleep(0.1)  # for ten writes
    return not workspace.status_file.exists() and published.status(uri, "toy", spec) is None


def test_a_launch_tells_all_that_its_own_view_shows(uri: str, write: Write) -> None:
    spec = load(write(TOY + "}"))
    first, second = expand(spec).trials
    with launched(uri, spec) as (workspace, progress):
        assert untold(workspace, uri, spec)
        progress.begin(2, [first, second], {})
        for trial in (first, second):
            progress.start(trial)
            progress.take(trial, Started(1, 1))
            progress.take(trial, Progress(1, {"train_loss": 4.0, "score": float("inf")}, time.time(), 1.0))
        progress.take(first, Finished(Outcome.COMPLETED, {"score": 0.5}))
        for asked in (None, spec):
            status = told(uri, asked, lambda status: status.results == 1)
            (running,) = status.running
            assert (running.label, running.epoch, running.epochs, running.value) == ("x=2", 1, 9, 4.0)
            assert (status.asked, status.outcomes, status.best) == (2, {Outcome.COMPLETED: 1}, progress.status().best)
    assert published.status(uri, "toy") is None


def test_what_a_killed_launch_has_told_counts_no_longer(uri: str, write: Write) -> None:
    spec = load(write(TOY + "}"))
    with launched(uri, spec) as (workspace, progress):
        holder = workspace.meeting / "launch.json"
        killed = json.dumps({**workspace.holder, "pid": 1})  # another process than this one, which takes its place
        holder.write_text(killed)
        progress.begin(2, expand(spec).trials, {})
        told(uri, spec, lambda status: status.asked == 2)
        left = workspace.status_file.read_bytes()
    with Workspace(uri, "toy") as workspace:  # the next one has not begun yet
        workspace.status_file.write_bytes(left)
        assert published.status(uri, "toy") is None
        holder.write_text(killed)
        assert published.status(uri, "toy") is not None
        os.utime(workspace.status_file, (time.time() - 60,) * 2)  # it stands still
        assert published.status(uri, "toy") is None
        workspace.status_file.write_bytes(left[: len(left) // 2])
        assert published.status(uri, "toy") is None
        workspace.status_file.write_bytes(left)
    assert published.status(uri, "toy") is None  # nobody holds the sweep
    assert Workspace(uri, "toy").is_left_behind()
    with launched(uri, spec) as (workspace, _):
        assert untold(workspace, uri, spec)


def test_where_the_store_has_more_than_the_launch_asks_for_it_is_asked(uri: str, write: Write) -> None:
    spec, other = load(write(TOY + "}")), load(write(TOY + ", seed: 1}", name="toy2.yaml"), name="toy")
    with launched(uri, spec) as (workspace, progress):
        further = Trial("toys:train", 1, {"x": 3.0}, "x=3")
        record = Record("r", further.trial_key, "x=3", Outcome.COMPLETED, "FINISHED", further.params, {}, {})
        progress.begin(2, expand(spec).trials, {further.trial_key: record})
        assert untold(workspace, uri, spec)
        progress.begin(2, expand(spec).trials, {})
        told(uri, spec, lambda status: status.asked == 2)
        assert published.status(uri, "toy", other) is None
        assert published.status(uri, "toy", load(spec.source.path, ["x=1"])) is None
    with launched(uri, spec, is_aside=True) as (workspace, progress):
        progress.begin(2, expand(spec).trials, {})
        assert untold(workspace, uri, spec)


def test_what_is_not_finite_is_told_as_it_is(uri: str, write: Write, folder: Path) -> None:
    (folder / "clipped.py").write_text(
        "def train(x: float, epochs: int, clip: float = float('inf')): yield {'score': x}"
    )
    spec = load(write(TOY.replace("toys:", "clipped:") + "}"))
    first, second = expand(spec).trials
    with launched(uri, spec) as (_, progress):
        progress.begin(2, [first, second], {})
        for trial, value in ((first, 2.0), (second, float("-inf"))):
            progress.start(trial)
            progress.take(trial, Started(1, 1))
            progress.take(trial, Progress(1, {"score": value}, time.time(), 1.0))
        progress.take(first, Finished(Outcome.COMPLETED, {"score": 2.0}))
        status = told(uri, spec, lambda status: status.results == 1)
        (running,) = status.running
        assert running.value == float("-inf")
        assert status.best is not None
        assert status.best.params["clip"] == float("inf")
        own = progress.status().best
        assert own is not None
        assert BestTrialPart.of(status.best) == BestTrialPart.of(own)


def test_what_runs_is_shown_before_the_store_is_asked_for_the_rest(store: str, write: Write, sweep: Sweep) -> None:
    spec, other = load(write(TOY + "}")), load(write(TOY + "}", "other.yaml"))
    tracker = Tracker(store, other)
    tracker.open(2)
    tracker.close("FINISHED")
    with launched(store, spec) as (_, progress):
        progress.begin(2, expand(spec).trials, {})
        told(store, spec, lambda status: status.asked == 2)
        shown = sweep("status").stdout
        listed = json.loads(sweep("status", "--json").stdout)["sweeps"]
    assert re.findall(r"^  (sweep|toy|other) ", shown, re.MULTILINE) == ["sweep", "toy", "sweep", "other"]
    assert [one["sweep"] for one in listed] == ["toy", "other"]


def test_a_launch_does_without_what_cannot_be_told(uri: str, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, failed = load(write(TOY + "}")), threading.Event()
    with launched(uri, spec) as (_, progress), monkeypatch.context() as broken:

        def fails() -> Status:
            failed.set()
            raise KeyError("x")

        broken.setattr(progress, "status", fails)
        progress.begin(2, expand(spec).trials, {})
        assert failed.wait(30)
        broken.undo()
        told(uri, spec, lambda status: status.asked == 2)  # it goes on


def test_a_launch_ends_where_the_file_system_hangs(uri: str, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, hangs, is_back = load(write(TOY + "}")), threading.Event(), threading.Event()

    def hanging(*_: object) -> None:
        hangs.set()
        is_back.wait()

    monkeypatch.setattr(published.regular, "replace", hanging)
    try:
        with launched(uri, spec) as (workspace, progress):
            progress.begin(2, expand(spec).trials, {})
            assert hangs.wait(30)
        assert not workspace.is_held()
    finally:
        is_back.set()


@pytest.mark.slow
def test_the_status_of_a_sweep_that_runs_is_told_without_mlflow_and_by_the_store_once_it_was_killed(
    store: str, write: Write
) -> None:
    path = write(TOY + ", pause: 2}")
    launch = subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "launch", path, "--quiet", "--workers", "1"], start_new_session=True
    )
    try:
        told(store, None, lambda status: bool(status.running) and status.running[0].epoch > 0)
        for names in (["toy"], [path], []):
            shown, how = asked(*names)
            assert how.endswith("without mlflow")
            assert shown["is_live"]
            assert shown["asked"] == 2
            assert [one["trial"] for one in shown["running"]] in (["x=1"], ["x=2"])
    finally:
        os.killpg(launch.pid, signal.SIGKILL)
        launch.wait()
    shown, how = asked("toy")
    assert how.endswith("mlflow was imported")
    assert not shown["is_live"]
    assert shown["running"] == []
    assert sum(shown["outcomes"].values()) >= 1


def asked(*names: object) -> tuple[dict[str, object], str]:
    """The status of the only sweep as another process prints it, and what that imported."""
    done = subprocess.run([sys.executable, "-c", ASKED, *map(str, names)], capture_output=True, text=True, check=False)
    (line,) = done.stdout.splitlines()
    return json.loads(line)["sweeps"][0], done.stderr
