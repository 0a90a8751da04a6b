"""A sweep whose lock somebody has removed while it runs is not run a second time."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from reading import children, steps

from orchestrator.errors import AlreadyRunningError
from orchestrator.spec import load
from orchestrator.trackers import Tracker, holding
from orchestrator.workspace import Workspace

Write = Callable[..., Path]
TOY = "trial: toys:train\nmetric: {name: score, goal: maximize}\n"
HOLDING = "import sys, time; file = open(sys.argv[1], 'a'); print(flush=True); time.sleep(600)"


@pytest.fixture
def tracker(store: str, write: Write) -> Tracker:
    """That of a launch which was begun and has not ended."""
    tracker = Tracker(store, load(write(TOY)))
    tracker.open(1)
    return tracker


@pytest.fixture
def other(tracker: Tracker) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that has the sweep's lock open, which is then removed."""
    workspace = Workspace(tracker.uri, "toy")
    workspace.folder.mkdir(parents=True)
    lock = workspace.folder / "launch.lock"
    with subprocess.Popen([sys.executable, "-c", HOLDING, str(lock)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        shutil.rmtree(workspace.folder)
        yield process
        process.kill()


def named(tracker: Tracker, pid: int, **other: object) -> None:
    """Have the parent run name a process."""
    told = json.loads(tracker.client.get_run(tracker.parent_id).data.tags[holding.PROCESS])
    told |= {"pid": pid, "began": psutil.Process(pid).create_time(), **other}
    tracker.client.set_tag(tracker.parent_id, holding.PROCESS, json.dumps(told))


def opened(tracker: Tracker) -> Tracker:
    again = Tracker(tracker.uri, tracker.spec)
    again.open(1)
    return again


def test_a_launch_whose_lock_was_removed_is_not_joined_by_another(
    tracker: Tracker, other: subprocess.Popen[bytes]
) -> None:
    named(tracker, other.pid)
    with pytest.raises(AlreadyRunningError, match=rf"in process {other.pid} on .* was removed.*`kill {other.pid}`"):
        opened(tracker)
    other.kill()
    other.wait()
    opened(tracker)


@pytest.mark.slow
def test_a_process_that_is_none_of_the_sweeps_changes_nothing(tracker: Tracker, other: subprocess.Popen[bytes]) -> None:
    named(tracker, other.pid, began=psutil.Process(other.pid).create_time() - 60)  # the number is another's by now
    opened(tracker)
    named(tracker, other.pid, host="elsewhere")
    opened(tracker)
    with subprocess.Popen(["sleep", "600"]) as without_lock:
        named(tracker, without_lock.pid)
        opened(tracker)
        without_lock.kill()
    for told in ("", "[]", '{"host": 1}', "null"):
        tracker.client.set_tag(tracker.parent_id, holding.PROCESS, told)
        opened(tracker)


def test_a_sweep_that_has_ended_is_held_by_nobody(tracker: Tracker, other: subprocess.Popen[bytes]) -> None:
    named(tracker, other.pid)
    tracker.close("FINISHED")
    opened(tracker)


@pytest.mark.slow
def test_a_second_launch_trains_nothing_where_the_lock_was_removed(
    store: str, write: Write, sweep: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    path = write(TOY + "parameters: {x: 1, epochs: 600, pause: 0.1}")
    launch = subprocess.Popen([sys.executable, "-m", "orchestrator", "launch", str(path)], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not [*Workspace(store, "toy").folder.glob("*/journal.jsonl")]:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        (Workspace(store, "toy").folder / "launch.lock").unlink()
        second = sweep("launch", path)
        assert second.returncode == 2
        assert f"was removed. Wait for it, or end it with `kill {launch.pid}`" in second.stderr
    finally:
        launch.send_signal(signal.SIGTERM)
        launch.wait(60)
    (run,) = children(store, "toy")
    assert steps(store, run, "train_loss") == [*range(1, int(run.data.tags["epochs_run"]) + 1)]
