"""Trials and launches that are ended by hand, from another terminal."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from reading import children, outcomes, steps
from test_launch import SLOW, TOY, Sweep, Write, started

from orchestrator.events import Finished
from orchestrator.requests.calls import StopLaunch, StopTrials
from orchestrator.requests.steering import Steering
from orchestrator.system.interrupt import Interrupt
from orchestrator.trial import Outcome, Trial

TRIALS = [Trial("toys:train", 1, {"x": x, "seed": seed}, f"x={x} seed={seed}") for x in (1, 2) for seed in (0, 1)]
RUN_IDS = {trial.trial_key: f"{number}f{number}a0" for number, trial in enumerate(TRIALS)}


@pytest.fixture
def steering(interrupt: Interrupt) -> Steering:
    """Of a sweep whose first trial has ended, the second and third run, and the last has yet to begin."""
    made = Steering("toy", interrupt, lambda _: None)
    made.run_ids = lambda: RUN_IDS
    made.begin(TRIALS, {})
    for trial in TRIALS[:3]:
        made.start(trial)
    made.take(TRIALS[0], Finished(Outcome.FAILED, reason="RuntimeError: no"))
    return made


@pytest.mark.parametrize("name", ["x=1 seed=1", "seed=1 x=1", "1f", "1f1a0", TRIALS[1].trial_key[:8]])
def test_a_trial_is_named_by_its_label_its_run_or_the_first_letters_of_that(steering: Steering, name: str) -> None:
    answer = steering.answer(StopTrials((name,)))
    assert (answer.lines, answer.status) == (("x=1 seed=1 ends after its epoch, as pruned",), 0)
    assert steering.stops() == [TRIALS[1]]
    assert steering.stops() == []


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("x=3 seed=1", r"toy has no trial x=3 seed=1; did you mean x=\d seed=1\?"),
        ("seed=0", r"2 trials of toy are called seed=0; name one of x=1 seed=0 \(0f0a0\), x=2 seed=0 \(2f2a0\)"),
        ("x=2 seed=1", "x=2 seed=1 has not begun; only what runs can be stopped"),
        ("2", "toy has no trial 2; .*"),  # though the id of a run begins so
        ("", r"toy has no trial ; .*"),
    ],
)
def test_where_a_name_means_no_single_trial_none_is_stopped(steering: Steering, name: str, line: str) -> None:
    answer = steering.answer(StopTrials(("x=1 seed=1", name)))
    assert answer.status == 2
    assert [re.fullmatch(line, said) is not None for said in answer.lines] == [True]
    assert steering.stops() == []


def test_of_a_trial_that_has_ended_it_is_said_how(steering: Steering) -> None:
    answer = steering.answer(StopTrials(("x=1 seed=0", "x=2 seed=0")))
    assert answer.status == 0
    assert answer.lines == (
        "x=1 seed=0 has ended: failed: RuntimeError: no",
        "x=2 seed=0 ends after its epoch, as pruned",
    )
    assert steering.answer(StopTrials(("x=2 seed=0",))).lines == ("x=2 seed=0 was asked to end already",)
    assert steering.stops() == [TRIALS[2]]


def test_a_trial_that_ends_before_the_loop_has_heard_of_it_is_not_stopped(steering: Steering) -> None:
    steering.answer(StopTrials(("x=2 seed=0",)))
    steering.take(TRIALS[2], Finished(Outcome.COMPLETED))
    assert steering.stops() == []
    assert steering.answer(StopTrials(("x=2 seed=0",))).lines == ("x=2 seed=0 has ended: completed",)


def test_a_launch_that_is_ended_twice_by_hand_is_not_ended_at_once(steering: Steering, interrupt: Interrupt) -> None:
    assert steering.answer(StopLaunch()).lines[0].startswith("the launch of toy ends; running trials have 10 s")
    assert steering.answer(StopLaunch()).lines == ("the launch of toy is ending already",)
    assert (interrupt.requested, interrupt.at_once) == (True, False)


def test_the_only_configuration_is_called_so(interrupt: Interrupt) -> None:
    steering, only = Steering("toy", interrupt, lambda _: None), Trial("toys:train", 1, {}, "")
    steering.start(only)
    hint = "toy has no trial lr=1; use one of the only configuration"
    assert steering.answer(StopTrials(("lr=1",))).lines == (hint,)
    assert steering.answer(StopTrials(("the only configuration",))).status == 0
    assert steering.stops() == [only]


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["process", "inline"])
def test_a_stopped_trial_is_pruned_after_its_epoch_and_the_others_go_on(
    store: str, folder: Path, write: Write, sweep: Sweep, executor: str
) -> None:
    path = write(TOY + "parameters: {pause: 0.2}\nconfigs: [{x: 1, epochs: 500}, {x: 2, epochs: 3}]")
    process = started(folder, path, "--workers", "2", "--executor", executor)
    unknown = sweep("stop", path, "x=3 epochs=500")
    stopped = sweep("stop", "toy", "x=1")
    line = "x=1 epochs=500 ends after its epoch, as pruned"
    assert unknown.returncode == 2
    assert unknown.stderr.startswith("sweep: toy has no trial x=3 epochs=500; did you mean")
    assert (stopped.returncode, stopped.stdout) == (0, f"{line}\n")
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    assert f"asked by hand: {line}" in out
    assert "x=1 epochs=500: pruned: stopped by hand" in out
    assert outcomes(store, "toy") == {"x=1 epochs=500": "pruned", "x=2 epochs=3": "completed"}
    first, second = children(store, "toy")
    assert first.data.tags["pruned.reason"] == "stopped by hand"
    assert 1 <= len(steps(store, first, "train_loss")) < 500
    assert steps(store, second, "train_loss") == [1, 2, 3]
    assert not (folder / "mlruns" / "work" / "toy" / "requests").exists()
    late = sweep("stop", "toy", "x=2")
    assert (late.returncode, late.stderr) == (2, "sweep: no launch of toy is at work\n")


def first_run(store: str) -> Run:
    """That of a trial, once there is one: what a launch has said of a trial may be written a moment later."""
    client = MlflowClient(tracking_uri=store)
    for _ in range(600):
        if runs := client.search_runs(["1"], "tags.trial_key != ''"):
            return runs[0]
        time.sleep(0.05)
    raise AssertionError("no trial has a run")


@pytest.mark.slow
def test_a_launch_is_ended_as_by_the_first_ctrl_c(store: str, folder: Path, write: Write, sweep: Sweep) -> None:
    path = write(SLOW.replace("epochs: 8", "epochs: 500"))
    process = started(folder, path, "--workers", "3")
    run = first_run(store)
    assert sweep("stop", path, run.info.run_id[:6]).returncode == 0
    done = sweep("stop", "toy")
    assert done.stdout.startswith("the launch of toy ends; running trials have 10 s to finish their epoch")
    out, err = process.communicate(timeout=100)
    assert process.returncode == 130, err
    assert "interrupted; resume with: " in out
    assert {*outcomes(store, "toy").values()} <= {"interrupted", "pruned"}


@pytest.mark.slow
def test_a_stopped_program_ends(store: str, folder: Path, write: Callable[..., Path], sweep: Sweep) -> None:
    (folder / "train.py").write_text(
        "import time\nfor epoch in range(1, 500):\n    time.sleep(0.2)\n"
        "    print(f'epoch {epoch} loss={1 / epoch}', flush=True)\n"
    )
    path = write("program: train.py\nparameters: {lr: {values: [0.1]}}\n", "toy.yaml")
    process = started(folder, path, epoch="epoch 1")
    stopped = sweep("stop", path, "toy")
    _, err = process.communicate(timeout=100)
    assert stopped.returncode == 0, stopped.stderr
    assert process.returncode == 0, err
    assert [*outcomes(store, "toy").values()] == ["pruned"]
