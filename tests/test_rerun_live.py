"""Trials that run anew in the launch that holds their sweep, because somebody has asked for it meanwhile."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from reading import steps
from test_launch import Sweep, Write, started

from orchestrator import pruners, samplers
from orchestrator.events import Finished, Progress
from orchestrator.progress.live import LiveProgress
from orchestrator.requests import steering as steering_module
from orchestrator.requests.calls import Rerun
from orchestrator.requests.steering import Steering
from orchestrator.spec import load
from orchestrator.system.interrupt import Interrupt
from orchestrator.trackers import Store
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.observation import Observation

TRIALS = [Trial("toys:train", 1, {"x": x, "seed": 0}, f"x={x}") for x in (1, 2, 3)]
FLAKY = """
import time
from pathlib import Path
from toys import Config

def train(config: Config, workdir):
    epoch = 0
    while epoch < 2 or (config.x == 1 and not Path("go").exists()):
        epoch += 1
        time.sleep(0.1)
        yield {"epoch": epoch, "train_loss": 1 / epoch, "score": epoch}
        if config.x == 2 and not Path("mended").exists():
            raise RuntimeError("no key of the store room")
"""
KILLED = """
import os, signal, sys
from orchestrator.cli import main
from orchestrator.trackers import replacement

if sys.argv[1] == "early":
    replacement.again = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
else:
    replacement.tags_of = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # its new run is there, and has not ended
sys.argv[1:2] = ["launch"]
main()
"""


class Idle:
    """An executor of which nothing is asked."""


@pytest.fixture
def steering(interrupt: Interrupt) -> Steering:
    """Of a sweep whose first trial has failed, the second runs, and the last has yet to begin."""
    made = Steering("toy", interrupt, lambda _: None)
    made.begin(TRIALS, {})
    for trial in TRIALS[:2]:
        made.start(trial)
    made.take(TRIALS[0], Finished(Outcome.FAILED, reason="RuntimeError: no"))
    made.again = lambda trial, done: done("")
    return made


def test_what_has_ended_is_begun_once_more_and_what_runs_or_has_yet_to_begin_is_not(steering: Steering) -> None:
    with steering.over(Idle()):
        refused = {
            "x=2": "x=2 runs; only what has ended runs anew: stop it first, with `sweep stop`",
            "x=3": "x=3 has yet to begin in this launch",
        }
        for name, line in refused.items():
            answer = steering.answer(Rerun((name, "x=1")))
            assert (answer.lines, answer.status) == ((line,), 2)
        assert (steering.renewed(), steering.is_waiting()) == ([], False)
        answer = steering.answer(Rerun(("x=1",), failed=True))
        was = "what it was is kept, and counts no longer: failed: RuntimeError: no"
        assert (answer.lines, answer.status) == ((f"x=1 runs anew; {was}",), 0)
        assert not steering.closes()
        assert steering.renewed() == [(TRIALS[0], Outcome.FAILED)]
        assert steering.answer(Rerun(("x=1",))).lines == ("x=1 has yet to begin in this launch",)
        assert steering.answer(Rerun(failed=True)).lines == ("no trial of toy is failed",)
        assert steering.closes()
        assert steering.answer(Rerun(failed=True)).status == 2


def test_while_the_store_does_not_answer_it_is_said_and_asked_twice_it_is_done_once(
    steering: Steering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steering_module, "SECONDS_TO_RENEW", 0.05)
    waiting: list[Callable[[str], None]] = []
    steering.again = lambda trial, done: waiting.append(done)
    with steering.over(Idle()):
        assert steering.answer(Rerun(("x=1",))).lines[0].startswith("x=1 runs anew as soon as the store answers; ")
        assert steering.answer(Rerun(("x=1",))).lines == ("x=1 was asked to run anew already",)
        assert (steering.renewed(), steering.is_waiting(), steering.closes()) == ([], True, False)
        (done,) = waiting
        done("")
        assert steering.renewed() == [(TRIALS[0], Outcome.FAILED)]


def test_what_cannot_run_anew_stays_as_it_was(steering: Steering) -> None:
    steering.again = lambda trial, done: done("its run was deleted")
    with steering.over(Idle()):
        for _ in range(2):
            answer = steering.answer(Rerun(("x=1",)))
            assert (answer.lines, answer.status) == (("x=1 does not run anew: its run was deleted",), 2)
        assert (steering.renewed(), steering.closes()) == ([], True)


def test_a_launch_that_prepares_or_is_about_to_end_runs_nothing_anew(steering: Steering, interrupt: Interrupt) -> None:
    said = ("no trial of toy can begin now: its launch prepares, or is about to end",)
    assert steering.answer(Rerun(failed=True)).lines == said
    with steering.over(Idle(), lambda: False):  # its target is reached, or its time is up
        assert steering.answer(Rerun(failed=True)).lines == said
    with steering.over(Idle()):
        interrupt.request()
        assert steering.answer(Rerun(failed=True)).lines == said


@pytest.mark.parametrize(
    "how",
    [
        "parameters: {x: {values: [1, 2, 3, 4]}}",
        "method: random\nrun_cap: 4\nparameters: {x: {min: 1.0, max: 3.0}}",
        "method: random\nparameters: {x: {min: 1.0, max: 3.0}}",
        "method: tpe\nrun_cap: 8\nparameters: {x: {min: 1.0, max: 3.0}}",
        "method: tpe\nrun_cap: 8\nseeds: [0, 1]\nreplicates: {max: 4}\nparameters: {x: {min: 1.0, max: 3.0}}",
        "method: boundary\nrun_cap: 8\nparameters: {x: {min: 1.0, max: 3.0}}",
    ],
)
def test_every_method_asks_for_a_trial_once_more_and_forgets_what_it_was(write: Write, how: str) -> None:
    metric = "" if "boundary" in how else "metric: {name: score, goal: maximize}\n"
    spec = load(write(f"trial: toys:train\n{metric}{how}\n"))
    sampler = samplers.of(spec)
    sampler.replay({}, [])
    asked = [trial for _ in range(4) if (trial := sampler.ask())]
    ends = [Observation(Outcome.COMPLETED, (float(n),)) for n in range(3)]
    for trial, end in zip(asked, [*ends, Observation(Outcome.FAILED)], strict=True):
        sampler.tell(trial, end)
    total = len(sampler.trials)
    for trial in (asked[1], asked[3]):
        sampler.again(trial)
        assert sampler.has_more
        found = []
        while trial not in found:
            found.append(sampler.ask())
        sampler.tell(trial, Observation(Outcome.COMPLETED, (9.0,)))
    assert len({trial.trial_key for trial in sampler.trials}) == len(sampler.trials) >= total


def test_a_boundary_forgets_where_a_trial_was_that_runs_anew(write: Write) -> None:
    sampler = samplers.of(
        load(write("trial: toys:cliff\nmethod: boundary\nrun_cap: 8\nparameters: {x: {min: 1.0, max: 3.0}}"))
    )
    sampler.replay({}, [])
    first = sampler.ask()
    assert first is not None
    for outcome in (Outcome.EXPLODED, Outcome.COMPLETED):
        sampler.tell(first, Observation(outcome))
        assert sampler.curves[0].points == [(first.params["x"], outcome is Outcome.EXPLODED)]
        sampler.again(first)
        assert sampler.curves[0].points == []
        assert sampler.ask() == first


def test_a_pruner_compares_no_trial_with_what_another_was(write: Write) -> None:
    spec = load(
        write(
            "trial: toys:train\nmetric: {name: score, goal: maximize}\nparameters: {x: 1.0}\n"
            "early_terminate: {type: median, n_startup_trials: 1}\n"
        )
    )
    pruner = pruners.of(spec)
    good, worse = TRIALS[0], TRIALS[1]
    for epoch in (1, 2):
        pruner.take(good, Progress(epoch, {"score": 10.0}, at=0.0))
        assert pruner.judge(good) is None
    pruner.take(good, Finished(Outcome.COMPLETED))
    pruner.renew(good, Outcome.COMPLETED)
    pruner.take(worse, Progress(1, {"score": 1.0}, at=0.0))
    assert pruner.judge(worse) is None


def test_the_view_counts_what_runs_anew_as_not_ended() -> None:
    progress = LiveProgress("toy", None)
    progress.begin(3, TRIALS, {})
    progress.start(TRIALS[0])
    progress.take(TRIALS[0], Finished(Outcome.FAILED))
    progress.renew(TRIALS[0], Outcome.FAILED)
    assert progress.status().outcomes == {Outcome.INTERRUPTED: 1}
    progress.start(TRIALS[0])
    progress.take(TRIALS[0], Finished(Outcome.COMPLETED))
    assert progress.status().outcomes == {Outcome.COMPLETED: 1}


def of_trial(store: str, label: str) -> list[Run]:
    """The runs of a trial, the first one first."""
    client = MlflowClient(tracking_uri=store)
    named = f"attributes.run_name = '{label}'"
    return [*client.search_runs(["1"], named, order_by=["attributes.start_time ASC"])]


def until(so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture
def flaky(folder: Path, write: Write) -> Path:
    """A sweep whose first trial runs until there is a file `go`, and whose second fails until there is one `mended`."""
    (folder / "flaky.py").write_text(FLAKY)
    return write("trial: flaky:train\nmetric: {name: score, goal: maximize}\nparameters: {x: {values: [1, 2]}}\n")


def has_failed(store: str) -> bool:
    return [run.data.tags.get("outcome") for run in of_trial(store, "x=2")] == ["failed"]


@pytest.mark.slow
def test_a_failed_trial_runs_anew_at_once_while_others_run(store: str, folder: Path, flaky: Path, sweep: Sweep) -> None:
    process = started(folder, flaky, "--workers", "2")
    until(lambda: has_failed(store))
    running = sweep("rerun", flaky, "x=1")
    assert (running.returncode, running.stderr.count("runs; only what has ended")) == (2, 1)
    (folder / "mended").touch()
    done = sweep("rerun", "toy", "--failed")
    was = "what it was is kept, and counts no longer: failed: RuntimeError: no key of the store room"
    assert (done.returncode, done.stdout.strip()) == (0, f"x=2 runs anew; {was}"), done.stderr
    until(lambda: [run.data.tags.get("outcome") for run in of_trial(store, "x=2")] == ["failed", "completed"])
    (folder / "go").touch()
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    assert "asked by hand: x=2 runs anew" in out
    before, now = of_trial(store, "x=2")
    assert before.data.tags["replaced_by"] == now.info.run_id
    assert now.data.tags["replaces"] == before.info.run_id
    assert steps(store, now, "train_loss") == [1, 2]
    assert {record.label: record.outcome for record in Store(store).records("toy")} == {
        "x=1": Outcome.COMPLETED,
        "x=2": Outcome.COMPLETED,
    }
    assert not [*(folder / "mlruns" / "work" / "toy").glob("*/journal.jsonl")]


@pytest.mark.slow
@pytest.mark.parametrize("when", ["early", "late"])
def test_a_launch_that_is_killed_while_it_is_asked_leaves_one_run_that_counts(
    store: str, folder: Path, flaky: Path, sweep: Sweep, when: str
) -> None:
    command = [sys.executable, "-c", KILLED, when, str(flaky), "--workers", "2", "--quiet"]
    process = subprocess.Popen(command, cwd=folder, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
    until(lambda: Path("mlruns/work/toy/requests/launch").exists() and has_failed_yet(store))
    asked = sweep("rerun", "toy", "x=2")
    assert process.wait() == -signal.SIGKILL
    assert (asked.returncode, "ended before it answered" in asked.stderr) == (2, True), asked.stderr
    for name in ("go", "mended"):
        (folder / name).touch()
    assert sweep("launch", flaky, "--workers", "2").returncode == 0
    (counting,) = [run for run in of_trial(store, "x=2") if "replaced_by" not in run.data.tags]
    assert counting.data.tags["outcome"] == "completed"
    assert len(of_trial(store, "x=2")) == (1 if when == "early" else 2)
    assert sweep("launch", flaky).returncode == 0
    assert len(of_trial(store, "x=2")) == (1 if when == "early" else 2)


def has_failed_yet(store: str) -> bool:
    return bool(MlflowClient(tracking_uri=store).get_experiment_by_name("toy")) and has_failed(store)
