"""The compared metric of a program counts whenever it comes; where it never does, that is said."""

import sys
from pathlib import Path

import pytest

from orchestrator.divergence import DivergenceRule
from orchestrator.events import Event, Tagged
from orchestrator.functions.program_function import program_function
from orchestrator.programs.command import Command
from orchestrator.programs.program import Program
from orchestrator.spec import Objective
from orchestrator.trackers.open_run import OpenRun
from orchestrator.trial import Outcome
from orchestrator.trials.observation import Observation
from orchestrator.trials.record import Record, changed
from orchestrator.worker import journal, runner
from orchestrator.worker.runner import Task

LATE = """
import time
from orchestrator import report
for epoch in (1, 2):
    report(epoch=epoch, loss=1 / epoch)
time.sleep(1.2)
report(test_acc=0.9)
"""


def ran(script: str, folder: Path, compared: str) -> list[Event]:
    """The events of a program."""
    (folder / "script.py").write_text(script)
    program = Program(Command((sys.executable, "script.py"), "script.py"), folder, compared=compared)
    (folder / "trial").mkdir()
    return [*runner.run(Task("script.py", {}, folder / "trial", DivergenceRule(), program=program))]


@pytest.mark.slow
def test_a_test_after_the_last_epoch_is_what_trials_are_compared_by(folder: Path) -> None:
    events = ran(LATE, folder, "test_acc")
    objective = Objective("test_acc", "maximize")
    assert Observation.of_events([objective], events).values == (0.9,)
    kept = [entry.event for entry in journal.read(folder / "trial")]
    assert Observation.of_events([objective], kept).values == (0.9,)

    points, tags = OpenRun.of("run", [objective]).news(kept)
    assert [(p.step, p.value) for p in points if p.key == "test_acc"] == [(2, 0.9)]
    assert float(tags["wall_seconds"]) > 1.2


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (
            "print('epoch 1 loss=2')",
            "metrics of script.py: from the lines that it prints; there is no accuracy, but loss",
        ),
        ("print('done')", "metrics of script.py: nowhere; there is no accuracy"),
        ("print('epoch 1 accuracy=2')", "metrics of script.py: from the lines that it prints"),
    ],
)
def test_a_program_without_the_compared_metric_says_so(script: str, said: str, folder: Path) -> None:
    tags = [event.tags for event in ran(script, folder, "accuracy") if isinstance(event, Tagged)]
    assert tags[-1] == {"metrics_from": said}


def test_a_script_has_changed_since_results_came_and_not_since_it_failed(folder: Path) -> None:
    (folder / "script.py").write_text("print('mended')")
    function = program_function(Program(Command((sys.executable, "script.py"), "script.py"), folder), [])
    of_before = {"code.digest": "before"}

    def said(*outcomes: Outcome) -> str:
        return changed(function, [Record("", "", "", outcome, "", {}, {}, of_before) for outcome in outcomes])

    assert said(Outcome.FAILED, Outcome.INTERRUPTED) == ""  # it runs again
    assert said(Outcome.FAILED, Outcome.COMPLETED) == (
        "script.py has changed since a trial ended; what has a result keeps it, "
        "and `sweep launch FILE --rerun` runs it anew"
    )
