"""A budget of training time, over all launches."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow.entities import Run
from reading import children, outcomes

from orchestrator.errors import InputError
from orchestrator.events import Finished, Progress, Sampled, Started
from orchestrator.progress import time_cap
from orchestrator.progress.time_cap import TimeCap
from orchestrator.spec import load
from orchestrator.system import durations
from orchestrator.trial import Outcome, Trial

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]
TOY = """
trial: toys:train
metric: {{name: score, goal: maximize}}
time_cap: {cap}
parameters: {{x: {{values: [1, 2, 3, 4, 5, 6, 7, 8]}}, pause: {pause}}}
"""


def spent(runs: list[Run]) -> list[float]:
    """Training time in the order in which trials began."""
    began = sorted(runs, key=lambda run: int(run.info.start_time))
    return [float(run.data.tags["wall_seconds"]) for run in began]


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("45s", 45), ("90m", 5400), ("1.5h", 5400), ("2 h", 7200), ("30", 30), (30, 30), (2.5, 2.5)],
)
def test_a_duration_is_a_number_of_seconds_minutes_or_hours(write: Write, written: object, seconds: float) -> None:
    assert durations.seconds(written) == seconds
    assert load(write(TOY.format(cap=written, pause=0))).time_cap == seconds


@pytest.mark.slow
@pytest.mark.parametrize("written", ["90x", "-3m", "0", "0s", "true", "h", "[1]", ".inf", "1e400", "''"])
def test_what_is_no_duration_is_refused(write: Write, written: str) -> None:
    with pytest.raises(InputError, match=r"toy.yaml:4: time_cap: "):
        load(write(TOY.format(cap=written, pause=0)))


def test_what_runs_counts_as_it_goes_and_what_has_ended_as_it_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 100.0
    monkeypatch.setattr(time_cap.time, "monotonic", lambda: clock)
    budget = TimeCap(cap=60)
    one, other = Trial("f", 1, {"x": 1}, "one"), Trial("f", 1, {"x": 2}, "other")
    budget.take(one, Started(1, 1))
    budget.take(other, Started(2, 1))
    clock += 20
    assert budget.spent == 40
    budget.take(one, Progress(1, {}, 0.0, seconds=19))
    clock += 10
    budget.take(one, Sampled({}, 0.0))  # is no end of what is being counted
    assert budget.spent == 19 + 10 + 30
    assert budget.allows_more
    clock += 1
    assert not budget.allows_more
    budget.take(other, Finished(Outcome.COMPLETED, seconds=5))
    assert budget.spent == 19 + 11 + 5
    assert budget.allows_more


def test_a_sweep_without_a_cap_goes_on() -> None:
    assert TimeCap(cap=None, ended=1e9).allows_more


@pytest.mark.slow
def test_no_trial_starts_once_the_time_is_spent_and_a_larger_cap_goes_on(
    store: str, write: Write, sweep: Sweep
) -> None:
    path = write(TOY.format(cap="0.12s", pause=0.03))
    first = sweep("launch", path, "--executor", "inline")
    assert first.returncode == 0, first.stderr
    assert re.search(
        rf"time_cap is used up: \d s of training; set a larger time_cap in {path} and launch", first.stdout
    )
    runs = children(store, "toy")
    assert 0 < len(runs) < 8
    assert f"not run: {8 - len(runs)} of 8" in first.stdout
    assert all(run.data.tags["outcome"] == "completed" for run in runs)
    assert sum(spent(runs)[:-1]) < 0.12 < sum(spent(runs)) + 0.01

    again = sweep("launch", path, "--executor", "inline")
    assert "started" not in again.stdout
    assert "time_cap is used up" in again.stdout
    planned = sweep("plan", path)
    assert "time_cap: 0 s of training, 0 s already spent" in planned.stdout
    assert f"to run: {8 - len(runs)} of 8" in planned.stdout
    assert f"estimated time: about 0 s, from {len(runs)} earlier trials" in planned.stdout

    write(TOY.format(cap="1h", pause=0.03))
    last = sweep("launch", path, "--executor", "inline")
    assert "time_cap" not in last.stdout
    assert last.stdout.count(": started") == 8 - len(runs)
    assert set(outcomes(store, "toy").values()) == {"completed"}


@pytest.mark.slow
def test_a_search_stops_when_its_time_is_spent(store: str, write: Write, sweep: Sweep) -> None:
    text = TOY.format(cap=0.06, pause=0.02).replace("{values: [1, 2, 3, 4, 5, 6, 7, 8]}", "{min: 1, max: 9}")
    path = write(text + "method: tpe\nrun_cap: 8\n")
    done = sweep("launch", path, "--executor", "inline")
    assert done.returncode == 0, done.stderr
    assert 0 < len(children(store, "toy")) < 8
    assert "not run" not in done.stdout
    assert "time_cap is used up" in done.stdout
    write(text.replace("time_cap: 0.06", "time_cap: 1h") + "method: tpe\nrun_cap: 8\n")
    sweep("launch", path, "--executor", "inline")
    assert len(children(store, "toy")) == 8


@pytest.mark.slow
def test_what_was_begun_when_the_orchestrator_was_killed_is_ended_and_nothing_else_starts(
    store: str, write: Write, sweep: Sweep
) -> None:
    path = write(TOY.format(cap="0.5s", pause=0.4))
    command = [sys.executable, "-m", "orchestrator", "launch", str(path), "--workers", "1"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    ) as launch:
        assert launch.stdout is not None
        next(line for line in launch.stdout if ": started" in line)
        time.sleep(1.0)  # two epochs, more than the cap
        launch.send_signal(signal.SIGKILL)
    done = sweep("launch", path, "--workers", "1")
    assert "time_cap is used up" in done.stdout
    (run,) = children(store, "toy")
    assert run.data.tags["outcome"] == "completed"
    assert float(run.data.tags["wall_seconds"]) > 0.5
