"""A program whose worker is killed, and what the next attempt makes of it: nothing is lost, nothing comes twice."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import processes
import pytest

from orchestrator.divergence import DivergenceRule
from orchestrator.events import Finished, Points, Progress, Restarted, Started, Tagged
from orchestrator.trial import Outcome
from orchestrator.worker import journal, runner
from orchestrator.worker.reporter import Reporter

SCRIPT = """
import json, os, pathlib, sys, time

way = sys.argv[1].partition("=")[2]
if way == "wandb":
    import wandb
    log = wandb.init().log
elif way == "report":
    from orchestrator import report as log
else:
    log = lambda metrics: print(json.dumps(metrics), flush=True)
kept = pathlib.Path(os.environ["SWEEP_WORKDIR"], "epoch")
first = int(kept.read_text()) + 1 if kept.exists() else 1
for epoch in range(first, 6):
    log({"epoch": epoch, "loss": 1 / epoch})
    kept.write_text(str(epoch))
    if epoch == 3:  # in the first attempt alone: the second one goes on after it
        pathlib.Path("reached").write_text(str(os.getpid()))
        time.sleep(600)
"""
ATTEMPT = """
import sys
from pathlib import Path
from orchestrator.divergence import DivergenceRule
from orchestrator.programs.program import Program
from orchestrator.programs.scripts import command_of
from orchestrator.worker import runner
folder, way = Path(sys.argv[1]), sys.argv[2]
program = Program(command_of(None, "train.py", folder), folder, compared="loss")
for event in runner.run(runner.Task("", {"way": way}, folder / "trial", DivergenceRule(), program=program)):
    pass
"""


@pytest.mark.slow
@pytest.mark.parametrize("way", ["wandb", "report", "print"])
def test_what_was_logged_before_a_checkpoint_is_recorded_although_the_worker_was_killed_at_once(
    tmp_path: Path, way: str
) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    (tmp_path / "trial").mkdir()
    attempt = [sys.executable, "-c", ATTEMPT, str(tmp_path), way]
    reached = tmp_path / "reached"
    with subprocess.Popen(attempt, stdout=subprocess.DEVNULL) as worker:
        deadline = time.monotonic() + 60
        while not (reached.exists() and reached.read_text()) and time.monotonic() < deadline:
            time.sleep(0.01)
        worker.send_signal(signal.SIGKILL)
    assert processes.all_gone([int(reached.read_text())])
    subprocess.run(attempt, stdout=subprocess.DEVNULL, check=True)
    events = [entry.event for entry in journal.read(tmp_path / "trial")]
    assert isinstance(events[1], Tagged)
    assert "metrics_from" in events[1].tags  # before an epoch, which may end a trial
    epochs = [(event.epoch, event.metrics["loss"]) for event in events if isinstance(event, Progress)]
    assert epochs == [(epoch, 1 / epoch) for epoch in range(1, 6)]
    assert isinstance(events[-1], Finished)
    assert events[-1].outcome is Outcome.COMPLETED


def test_a_trial_that_was_killed_when_it_had_exploded_ends_so_and_trains_no_further(tmp_path: Path) -> None:
    rule = DivergenceRule()
    reporter = Reporter(tmp_path, rule, lambda step, loss: None, ())
    for epoch in range(1, 10):
        reporter.take({"epoch": epoch, "loss": 1.0 if epoch < 5 else 1000.0})
    assert reporter.end is not None
    (end,) = runner.run(runner.Task("", {}, tmp_path, rule))
    assert isinstance(end, Finished)
    assert (end.outcome, end.explosion) == (Outcome.EXPLODED, reporter.end.explosion)


def test_a_curve_that_begins_again_keeps_what_was_noted_before(tmp_path: Path) -> None:
    reporter = Reporter(tmp_path, DivergenceRule(), lambda step, loss: None, ())
    kept = [Started(1, 1), Tagged({"program.lr": "0.1"})]
    for event in [*kept, Progress(1, {"loss": 1.0}, 1.0)]:
        reporter.record(event)
    reporter.take(Restarted(1, 2.0))
    assert [entry.event for entry in journal.read(tmp_path)] == [*kept, Restarted(1, 2.0)]


OFTEN = """
import os, pathlib, sys, time, urllib.parse
from orchestrator import report
store = pathlib.Path(urllib.parse.urlsplit(os.environ["MLFLOW_TRACKING_URI"]).path, "0", "run", "metrics")
store.mkdir(parents=True, exist_ok=True)
rates = open(store / "rate", "a", buffering=1)
kept = pathlib.Path(os.environ["SWEEP_WORKDIR"], "epoch")
first = int(kept.read_text()) + 1 if kept.exists() else 1
for epoch in range(first, 6):
    time.sleep(0.01)  # MLflow's times are whole milliseconds
    for batch in range(1, 101):
        step = 100 * (epoch - 1) + batch
        rates.write(f"{int(1000 * time.time())} {step} {step}\\n")
        report(epoch=epoch, loss=1 + 1 / step)
        if (epoch, batch) == (3, int(sys.argv[1].partition("=")[2])) and first == 1:
            pathlib.Path("reached").write_text(str(os.getpid()))
            time.sleep(600)
    kept.write_text(str(epoch))
"""


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 2, 57, 100])
def test_of_calls_in_quick_succession_each_one_that_was_answered_is_recorded_once(tmp_path: Path, batch: int) -> None:
    (tmp_path / "train.py").write_text(OFTEN)
    (tmp_path / "trial").mkdir()
    attempt = [sys.executable, "-c", ATTEMPT, str(tmp_path), str(batch)]
    reached = tmp_path / "reached"
    with subprocess.Popen(attempt, stdout=subprocess.DEVNULL) as worker:
        deadline = time.monotonic() + 60
        while not (reached.exists() and reached.read_text()) and time.monotonic() < deadline:
            time.sleep(0.001)
        worker.send_signal(signal.SIGKILL)
    assert processes.all_gone([int(reached.read_text())])
    subprocess.run(attempt, stdout=subprocess.DEVNULL, check=True)
    events = [entry.event for entry in journal.read(tmp_path / "trial")]
    assert not [event for event in events if isinstance(event, Restarted)]
    by_epoch: dict[str, dict[int, float]] = {"loss": {}, "rate": {}}
    by_step: dict[str, dict[int, float]] = {"loss.by_step": {}, "rate.by_step": {}}
    for event in events:
        if isinstance(event, Progress):
            for name, value in event.metrics.items():
                assert event.epoch not in by_epoch[name]
                by_epoch[name][event.epoch] = value
        elif isinstance(event, Points):
            for name, points in event.values.items():
                for count, value, _ in points:
                    if name in by_step:
                        assert by_step[name].setdefault(count, value) == value
                    else:
                        assert by_epoch[name].setdefault(count, value) == value
    assert by_epoch["loss"] == {epoch: 1 + 1 / (100 * epoch) for epoch in range(1, 6)}
    assert by_step["loss.by_step"] == {step: 1 + 1 / step for step in range(1, 501)}
    assert by_epoch["rate"] == {epoch: 100 * epoch for epoch in range(1, 6)}
    assert by_step["rate.by_step"] == {step: step for step in range(1, 501)}
