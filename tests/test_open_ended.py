"""Sweeps without `run_cap`, and what ends a sweep before its time: a target, or nothing new to draw."""

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from reading import children, outcomes
from rich.console import Console
from test_boundary import cliff
from test_search import Search

from orchestrator import samplers
from orchestrator.comparison.running_table import RunningTable
from orchestrator.errors import InputError
from orchestrator.events import Finished, Progress
from orchestrator.notification import summary
from orchestrator.progress.live import LiveProgress
from orchestrator.progress.status import Status
from orchestrator.progress.target import Target
from orchestrator.spec import Objective, SweepSpec, load
from orchestrator.system.machine import share
from orchestrator.terminal.tables import print_status
from orchestrator.terminal.view import facts, view
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.record import Record

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]
RANDOM = "trial: toys:train\nmethod: random\nparameters: {x: {min: 1.0, max: 9.0}, epochs: 1}\n"
FEW = "trial: toys:train\nmethod: random\nparameters: {x: {values: [1, 2, 3]}, epochs: 1}\n"
SCORES = """
trial: toys:train
metric: {name: score, goal: maximize, target: TARGET}
parameters: {x: {values: [8, 4, 2, 1]}, epochs: 2}
"""


def draws(spec: SweepSpec, count: int, history: dict[str, Record] | None = None) -> list[Trial]:
    """What a launch begins first, where the store has these records."""
    sampler = samplers.of(spec)
    sampler.replay(history or {}, [])
    asked = [sampler.ask() for _ in range(count)]
    return [trial for trial in asked if trial is not None]


def record(trial: Trial, outcome: Outcome = Outcome.COMPLETED, **metrics: float) -> Record:
    return Record(trial.trial_key, trial.trial_key, trial.label, outcome, "", trial.params, metrics, {})


def keys(trials: list[Trial]) -> list[str]:
    return [trial.trial_key for trial in trials]


def test_draws_without_an_end_are_those_of_a_sweep_with_one(write: Write) -> None:
    endless = draws(load(write(RANDOM)), 30)
    assert keys(endless) == keys(draws(load(write(RANDOM + "run_cap: 30\n")), 30))
    assert endless[0].label == f"x={endless[0].params['x']:.6g}"


def test_what_a_launch_left_comes_first_and_then_what_it_would_have_drawn_next(write: Write) -> None:
    spec = load(write(RANDOM))
    first = draws(spec, 6)
    history = {trial.trial_key: record(trial) for trial in first[:4]}
    history[first[1].trial_key] = record(first[1], Outcome.INTERRUPTED)
    del history[first[2].trial_key]  # someone has deleted it
    stranger = Trial("toys:train", 1, {**first[0].params, "x": 77.0}, "x=77")
    history[stranger.trial_key] = record(stranger)
    again = samplers.of(spec)
    again.replay(history, [first[4]])
    assert keys(list(again.trials)) == keys([first[0], first[1], first[3], first[4]])
    asked = [again.ask() for _ in range(4)]
    assert keys([trial for trial in asked if trial]) == keys([first[1], first[4], first[2], first[5]])


@pytest.mark.slow
def test_a_space_that_is_exhausted_ends_the_sweep(store: str, write: Write, sweep: Sweep) -> None:
    path = write(FEW)
    planned = sweep("plan", path)
    assert "toy: trials of toys:train" in planned.stdout
    assert "to be proposed by random: trials until stopped" in planned.stdout
    assert re.search(r"to run: trials until stopped, \d+ at a time; estimated time: until stopped", planned.stdout)
    done = sweep("launch", path, "--executor", "inline")
    assert done.returncode == 0, done.stderr
    line = "there is nothing more to try after 3 trials: 1,000 draws gave nothing new"
    assert "trials until stopped, 0 of them already finished" in done.stdout
    assert "[3 until stopped]" in done.stdout
    assert line in done.stdout
    assert len(outcomes(store, "toy")) == 3
    again = sweep("launch", path, "--executor", "inline")
    assert again.returncode == 0
    assert line in again.stdout
    assert ": started" not in again.stdout
    planned = sweep("plan", path)
    assert line in planned.stdout
    assert "to run: 0 of 3" in planned.stdout
    MlflowClient(tracking_uri=store).set_tag(children(store, "toy")[0].info.run_id, "outcome", "failed")
    assert "to run: 1 of 3" in sweep("plan", path).stdout


@pytest.mark.slow
def test_a_draw_of_a_capped_sweep_takes_the_known_result(store: str, write: Write, sweep: Sweep) -> None:
    path = write(FEW + "run_cap: 4\n")
    done = sweep("launch", path, "--executor", "inline")
    ran = done.stdout.count(": started")
    assert 1 <= ran <= 3
    assert f"4 draws gave {ran} different trials, each of which runs once" in done.stdout
    write(FEW)  # goes on where that one was
    rest = sweep("launch", path, "--executor", "inline")
    assert rest.stdout.count(": started") == 3 - ran
    assert len(children(store, "toy")) == 3


@pytest.mark.slow
@pytest.mark.parametrize("method", ["random", "tpe"])
def test_without_run_cap_a_sweep_runs_until_its_time_is_spent(
    method: str, store: str, write: Write, sweep: Sweep
) -> None:
    text = RANDOM.replace("random", method).replace("epochs: 1", "epochs: 1, pause: 0.01")
    path = write(text + "metric: {name: score, goal: maximize}\ntime_cap: 0.2s\n")
    done = sweep("launch", path, "--executor", "inline")
    assert done.returncode == 0, done.stderr
    assert "time_cap is used up" in done.stdout
    ran = len(children(store, "toy"))
    assert ran >= 2
    planned = sweep("plan", path).stdout
    assert f"to be proposed by {method}: trials until stopped" in planned
    assert "estimated time: about 0 s" in planned
    write(text + "metric: {name: score, goal: maximize}\ntime_cap: 0.4s\n")
    sweep("launch", path, "--executor", "inline")
    assert len(children(store, "toy")) > ran
    assert set(outcomes(store, "toy").values()) == {"completed"}


@pytest.mark.slow
def test_ctrl_c_stops_a_sweep_without_an_end(store: str, write: Write, sweep: Sweep) -> None:
    path = write(RANDOM.replace("epochs: 1", "epochs: 3, pause: 0.05"))
    command = [sys.executable, "-u", "-m", "orchestrator", "launch", str(path), "--workers", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as launch:
        assert launch.stdout is not None
        next(line for line in launch.stdout if re.search(r"completed .*\[1 until stopped\]", line))
        launch.send_signal(signal.SIGINT)
        assert "interrupted; resume with" in launch.stdout.read()
    assert launch.returncode == 130
    assert "completed" in outcomes(store, "toy").values()
    parent = sweep("status", "toy")
    assert parent.returncode == 0


def test_the_workers_of_a_sweep_without_an_end_are_all_that_the_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.system.machine._cores", lambda: 6)
    monkeypatch.setattr("orchestrator.system.machine._gpus", tuple)
    monkeypatch.setattr("orchestrator.system.machine._memory", lambda: 2**40)
    assert share(None, None) == share(1000, None)
    assert share(None, 2) == share(1000, 2)
    assert share(3, None) != share(None, None)


@pytest.mark.slow
def test_a_boundary_without_run_cap_ends_by_its_own_rule(write: Write) -> None:
    text = "trial: toys:cliff\nmethod: boundary\n"
    text += "parameters: {x: {min: 0.01, max: 1.0, distribution: log_uniform_values}}\n"
    search = Search(load(write(text + "boundary: {width: 3}\n"))).run(trials=200, outcome_of=cliff)
    assert 5 < len(search.asked) < 200
    assert not search.sampler.has_more
    assert search.sampler.total is None
    assert len(Search(load(write(text))).run(trials=60, outcome_of=cliff).asked) == 60


def test_where_a_total_stands_it_says_until_stopped(write: Write) -> None:
    status = Status("toy", None, {Outcome.COMPLETED: 3})
    assert next(fact.plain for fact in facts(status)) == "3 trials until stopped"
    assert view(status, 60, plain=True)[0].plain.startswith("toy  3 trials until stopped")  # without a bar
    assert summary(status, 130)["trials"] is None
    live = LiveProgress("toy", None)
    live.begin(None, [], {})
    assert (live.status().asked, live.status().seconds_left) == (None, None)
    tally = RunningTable(load(write(RANDOM)), asked=None)
    assert tally.heading() == "Running until stopped: 0 trials ended.\n\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "line"),
    [
        ("reuse: true\n", "reuse: needs run_cap with method random"),
        ("seeds: [0]\nmetric: {name: score}\nreplicates: {max: 3}\n", "replicates: needs run_cap with method random"),
        ("metrics: [{name: score, target: 1}, {name: cost}]\n", "metrics[0].target: unknown key"),
        ("metric: {name: score, target: high}\n", "metric.target: input should be a valid number"),
    ],
)
def test_what_needs_to_know_all_trials_says_so(write: Write, more: str, line: str) -> None:
    with pytest.raises(InputError, match=re.escape(line)):
        load(write(RANDOM + more))


@pytest.mark.slow
def test_no_trial_begins_once_one_has_reached_the_target(store: str, write: Write, sweep: Sweep) -> None:
    path = write(SCORES.replace("TARGET", "0.06"))  # a toy's best score is epochs / (10 x)
    done = sweep("launch", path, "--executor", "inline")
    assert done.returncode == 0, done.stderr
    reached = "the target of score is reached: 0.1 by x=2 (target 0.06)"
    assert f"{reached}; no further trial begins" in done.stdout
    assert "not run: 1 of 4" in done.stdout
    assert done.stdout.count(": started") == 3
    assert "time_cap" not in done.stdout
    again = sweep("launch", path, "--executor", "inline")
    assert ": started" not in again.stdout
    assert reached in again.stdout
    planned = sweep("plan", path).stdout
    assert reached in planned
    assert re.search(r"x=1 .* not to run", planned)
    assert "to run: 0 of 4" in planned
    assert "score 0.1 (target 0.06 reached): x=2" in sweep("status", "toy").stdout
    write(SCORES.replace("TARGET", "0.5"))
    last = sweep("launch", path, "--executor", "inline")
    assert last.stdout.count(": started") == 1
    assert "is reached" not in last.stdout
    assert "score 0.2 (target 0.5): x=1" in sweep("status", "toy").stdout


@pytest.mark.slow
def test_a_search_without_an_end_ends_at_its_target(store: str, write: Write, sweep: Sweep) -> None:
    path = write(
        "trial: toys:train\nmethod: bayes\nmetric: {name: val_loss, goal: minimize, target: 20}\n"
        "parameters: {x: {min: 1.0, max: 9.0}, epochs: 1}\n"
    )
    done = sweep("launch", path, "--executor", "inline")
    assert done.returncode == 0, done.stderr
    assert "the target of val_loss is reached" in done.stdout


def test_a_running_trial_counts_until_it_ends_otherwise_than_completed() -> None:
    target = Target(Objective("score", "minimize", target=1.0))
    one, other = Trial("f", 1, {"x": 1}, "one"), Trial("f", 1, {"x": 2}, "other")
    for trial in (one, other):
        target.start(trial)
    target.take(one, Progress(1, {"score": 1.0}, 0.0))
    assert target.is_reached
    target.take(one, Progress(2, {"score": 3.0}, 0.0))
    target.take(one, Finished(Outcome.EXPLODED))
    assert (target.is_reached, target.remark) == (False, "")
    target.take(other, Finished(Outcome.COMPLETED, {"score": 0.5}))
    assert target.remark == "the target of score is reached: 0.5 by other (target 1)"


def test_the_status_of_a_sweep_without_an_end_says_so() -> None:
    console = Console(width=40, force_terminal=False, color_system=None)
    with console.capture() as captured:
        print_status(console, [Status("one", None, {Outcome.COMPLETED: 3})])
    assert captured.get().splitlines()[0] == "one  3 trials until stopped  completed 3"
