"""A metric that comes when its epoch is whole already, such as a test after all epochs, counts all the same."""

import sys
from pathlib import Path

from orchestrator.divergence import DivergenceRule
from orchestrator.programs.command import Command
from orchestrator.programs.program import Program
from orchestrator.spec import Objective
from orchestrator.trackers.open_run import OpenRun
from orchestrator.trials.observation import Observation
from orchestrator.worker import journal, runner
from orchestrator.worker.runner import Task

SCRIPT = """
import time
from orchestrator import report
for epoch in (1, 2):
    report(epoch=epoch, loss=1 / epoch)
time.sleep(1.2)
report(test_acc=0.9)
"""


def test_a_test_after_the_last_epoch_is_what_trials_are_compared_by(folder: Path) -> None:
    (folder / "late.py").write_text(SCRIPT)
    program = Program(Command((sys.executable, "late.py"), "late.py"), folder, compared="test_acc")
    (workdir := folder / "trial").mkdir()
    events = [*runner.run(Task("late.py", {}, workdir, DivergenceRule(), program=program))]
    objective = Objective("test_acc", "maximize")
    assert Observation.of_events([objective], events).values == (0.9,)
    kept = [entry.event for entry in journal.read(workdir)]
    assert Observation.of_events([objective], kept).values == (0.9,)

    points, tags = OpenRun.of("run", [objective]).news(kept)
    assert [(p.step, p.value) for p in points if p.key == "test_acc"] == [(2, 0.9)]
    assert float(tags["wall_seconds"]) > 1.2
