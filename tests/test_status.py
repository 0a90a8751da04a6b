"""How far a sweep is, as another terminal sees it: from what the store has."""

import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from terminals import on_terminal

from orchestrator.events import Finished, Progress, Started
from orchestrator.functions import Declaration
from orchestrator.progress.status import Status
from orchestrator.spec import load
from orchestrator.terminal.tables import print_status
from orchestrator.trackers import Follower, Store, Tracker
from orchestrator.trial import Outcome
from orchestrator.trials.grid import expand
from orchestrator.workspace import Workspace, is_live

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]
WATCH = """
import sys
from orchestrator.errors import StoreBusyError
from orchestrator.progress.status import Running, Status
from orchestrator.terminal import watch
from orchestrator.terminal.consoles import stdout
from orchestrator.trial import Outcome

watch.SECONDS_BETWEEN_LOOKS = watch.SECONDS_BETWEEN_FRAMES = 0.05
looks = iter([1, 2, None, 3, None, None, 130])

def look():
    epoch = next(looks)
    if epoch is None:
        raise StoreBusyError("it is away")
    if epoch == 130:
        sys.exit(epoch)
    running = Running("x=1", epoch, 9, value=4.0, values=[9.0, 4.0], seconds_left=7)
    return [Status("ended", 2, {Outcome.COMPLETED: 2}), Status("runs", 2, running=[running])]

watch.watch(stdout(), look)
"""
TOY = "trial: toys:train\nmetric: {name: score, goal: maximize}\n"


@pytest.mark.slow
def test_what_runs_is_seen_from_elsewhere(store: str, write: Write, sweep: Sweep) -> None:
    spec = load(write(TOY + "parameters: {x: {values: [1, 2, 3, 4]}, epochs: 10}"))
    spec = replace(spec, function=replace(spec.function, declaration=Declaration(rate="steps_per_second")))
    first, second, third, _ = expand(spec).trials
    tracker, began = Tracker(store, spec), time.time() - 100
    epochs = [
        Progress(n, {"train_loss": 10.0 / n, "score": n / 10, "steps_per_second": 99.6}, began + 2 * n, 2.0)
        for n in range(1, 5)
    ]
    with Workspace(store, "toy") as workspace:
        tracker.open(4)
        tracker.write(first, [Started(1, 1), *epochs, Finished(Outcome.COMPLETED, seconds=2.0)], workspace.of(first))
        tracker.write(second, [Started(1, 1), *epochs], workspace.of(second))
        follower = Follower(Store(store), "toy")
        status = follower.status(is_live=True)
        (running,) = status.running
        assert (running.label, running.epoch, running.epochs, running.value) == ("x=2", 4, 10, 2.5)
        assert running.values == pytest.approx([10, 5, 10 / 3, 2.5])
        assert running.seconds_left == pytest.approx(2 * 6)
        assert (status.asked, status.results, status.outcomes) == (4, 1, {Outcome.COMPLETED: 1})
        assert status.best is not None
        assert (status.best.label, status.best.value) == ("x=1", 0.4)
        assert status.seconds_left == pytest.approx(12 + 2 * 10)  # two more, like the first

        told = sweep("status", "toy").stdout
        assert re.search(r"toy +1 +0 +0 +0 +0 +0 +1 +32 s +score 0.4: x=1", told)
        assert re.search(r"x=2 +4/10 +2.5 +█▃▂▁ +100/s +12 s", told)

        tracker.write(second, [Finished(Outcome.EXPLODED)], workspace.of(second))
        tracker.write(third, [Started(1, 1)], workspace.of(third))
        status = follower.status(is_live=True)
        assert status.outcomes == {Outcome.COMPLETED: 1, Outcome.EXPLODED: 1}
        assert [(one.label, one.epoch) for one in status.running] == [("x=3", 0)]
    assert follower.status(is_live=False).outcomes[Outcome.INTERRUPTED] == 1
    assert "x=3" not in sweep("status", "toy").stdout


def test_a_terminal_too_narrow_for_a_table_gets_lines() -> None:
    console = Console(width=40, force_terminal=False, color_system=None)
    with console.capture() as captured:
        print_status(console, [Status("one", 4, {Outcome.EXPLODED: 3}), Status("other", 2)])
    assert captured.get().splitlines() == [
        "one  ███████████████░░░░░  3/4 trials",
        "loss explosion 3",
        "other  ░░░░░░░░░░░░░░░░░░░░  0/2 trials",
    ]


@pytest.mark.slow
def test_a_watch_is_drawn_in_place_and_stays_while_the_store_does_not_answer() -> None:
    screen, status = on_terminal(["-c", WATCH], size=(60, 24), then=[(55, 20)], when="x=1      2/9")
    assert status == 130
    assert screen.text.splitlines() == [
        "trial  epoch     loss  curve        left",
        "x=1      3/9        4  █▁            7 s",
        "runs  ███░░░░░░░░░░░░░░░░░  0/2 trials  1 running",
        "ended  ████████████████████  2/2 trials  completed 2",
    ]
    assert "x=1      1/9" in screen.written
    assert screen.written.count("\x1b[?1049h") == screen.written.count("\x1b[?1049l") == 1  # a screen of its own


@pytest.mark.slow
def test_a_watch_follows_a_launch_until_ctrl_c(store: str, write: Write) -> None:
    path = write(TOY + "parameters: {x: {values: [1, 2]}, pause: 0.3, epochs: 12}")
    call = [sys.executable, "-m", "orchestrator"]
    launch = subprocess.Popen([*call, "launch", str(path), "--workers", "1"], stdout=subprocess.DEVNULL)
    watch = subprocess.Popen(
        [*call, "status", "--watch"], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    )
    assert watch.stdout is not None
    told = [line.split(" ", 1)[1].strip() for line in iter(watch.stdout.readline, "") if not _is_last(line, watch)]
    assert launch.wait(60) == 0
    watch.stdout.close()
    assert watch.wait(60) == 130
    found = [re.findall(r"toy: x=(\d): epoch (\d+)/12", line) for line in told]
    epochs = [(int(x), int(number)) for (x, number) in itertools.chain.from_iterable(found)]
    assert len(epochs) > 1
    assert all(early < late for early, late in itertools.pairwise(epochs))
    halfway = r"toy: 1/2 trials, 1 running, completed 1, (elapsed \d+ s, )?left \d+ s, best score 1.2: x=1"
    assert any(re.match(halfway, line) for line in told)


def _is_last(line: str, watch: subprocess.Popen[str]) -> bool:
    if "2/2 trials, completed 2" in line:
        watch.send_signal(signal.SIGINT)
        return True
    return False


def test_whoever_may_not_lock_a_sweep_goes_by_its_holder(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    lock = tmp_path / "work" / "toy" / "launch.lock"
    lock.mkdir(parents=True)  # which nobody can open to write, root included
    assert not is_live(uri, "toy")
    (lock.parent / "launch.json").write_text("{}")
    assert is_live(uri, "toy")
