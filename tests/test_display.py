"""The live view on a real terminal, and the lines that stand in for it elsewhere."""

import itertools
import re
import time

import pytest
from rich.console import Console
from terminals import COLOURS, on_terminal

from orchestrator.events import Explosion, Finished, Heartbeat, Progress, Started
from orchestrator.progress.live import LiveProgress
from orchestrator.spec import Objective
from orchestrator.terminal import display as display_module
from orchestrator.terminal.display import PlainDisplay
from orchestrator.terminal.view import in_words
from orchestrator.trial import Outcome, Trial

PROGRAM = """
import time
from orchestrator.progress.live import LiveProgress
from orchestrator.events import Heartbeat, Explosion, Finished, Progress, Started
from orchestrator.spec import Objective
from orchestrator.terminal.consoles import stdout
from orchestrator.terminal.display import LiveDisplay
from orchestrator.terminal.frame import Frame
from orchestrator.trial import Outcome, Trial

trials = [Trial("toys:train", 1, {"x": x, "epochs": 12}, f"x={x} of_a_name_that_is_long") for x in range(3)]
display = LiveDisplay(LiveProgress("toy", Objective("score", "maximize")), stdout(), Frame(stdout()))
display.begin(3, trials, {})
with display.live():
    for trial in trials:
        display.start(trial)
        display.take(trial, Started(1, 1))
    for epoch in range(1, 13):
        for trial in trials:
            metrics = {"train_loss": 100 / epoch, "score": epoch}
            display.take(trial, Progress(epoch, metrics, time.time(), 0.1, epoch * 50))
            display.heartbeat(trial, Heartbeat(epoch * 50 + 7, 99 / epoch))
        time.sleep(0.2)
    display.log("said meanwhile")
    display.take(trials[0], Finished(Outcome.EXPLODED, explosion=Explosion("loss became nan", 1, 2, 3.0)))
    for trial in trials[1:]:
        display.take(trial, Finished(Outcome.COMPLETED))
print("the result")
"""
AT_ONCE = PROGRAM.replace("time.sleep(0.2)", "pass")


@pytest.mark.slow
@pytest.mark.parametrize("then", [[(40, 12)], [(90, 24), (80, 24), (70, 20), (60, 20), (50, 12), (40, 12)]])
def test_the_live_view_survives_a_terminal_that_becomes_narrow(then: list[tuple[int, int]]) -> None:
    screen, status = on_terminal(["-c", PROGRAM], size=(100, 24), then=then, when="left")
    assert status == 0
    frames = " ".join(screen.erased)
    assert "x=2 of_a_name_that_is_long  " in frames
    assert re.search(r"… x=2 +\d+/12", frames)
    # nothing of any frame is left
    assert screen.text.splitlines() == [
        "said meanwhile",
        "loss explosion x=0",
        "of_a_name_that_is_long loss became nan",
        "completed score 12: x=1",
        "of_a_name_that_is_long",
        "completed score 12: x=2",
        "of_a_name_that_is_long",
        "the result",
    ]
    assert screen.written.count("\x1b[?25l") == screen.written.count("\x1b[?25h") == 1  # the cursor


def test_what_is_told_is_drawn_by_time_and_once() -> None:
    screen, _ = on_terminal(["-c", AT_ONCE])
    assert screen.written.count("0/3 trials") <= 2
    for text in ("said meanwhile", "loss became nan", "completed\x1b[0m score 12: x=1"):
        assert screen.written.count(text) == 1
    assert "toy  ████████████████████  3/3 trials  completed 2  loss explosion 1" in "\n".join(screen.erased)
    assert "best score 12: x=1 of_a_name_that_is_long" in "\n".join(screen.erased)


@pytest.mark.slow
def test_without_colours_outcomes_are_words() -> None:
    coloured, _ = on_terminal(["-c", AT_ONCE])
    plain, _ = on_terminal(["-c", AT_ONCE], NO_COLOR="1")
    assert COLOURS.search(coloured.written)
    assert not COLOURS.search(plain.written)
    assert plain.text == coloured.text


def test_a_terminal_without_blocks_is_drawn_in_letters() -> None:
    screen, status = on_terminal(["-c", AT_ONCE], PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert status == 0
    assert screen.written.isascii()
    assert "toy  ####################  3/3 trials" in "\n".join(screen.erased)


def test_a_line_has_a_step_only_where_one_was_reported_since_the_last_epoch() -> None:
    one = Trial("train.py", 1, {"epochs": 4}, "x=1")
    progress = LiveProgress("toy", None)
    progress.begin(1, [one], {})
    progress.start(one)
    progress.take(one, Progress(1, {"loss": 8.0}, time.time(), 2.0, step=50))  # of a loss that came oftener
    assert in_words(progress.running(one)).startswith("epoch 1/4, loss 8,")
    progress.heartbeat(one, Heartbeat(57, 7.0))
    assert in_words(progress.running(one)).startswith("epoch 1/4, step 7/50, loss 7,")


def test_elsewhere_there_are_lines_with_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display_module, "SECONDS_BETWEEN_SUMMARIES", 0.0)
    console = Console(width=10_000, force_terminal=False, color_system=None)
    one = Trial("toys:train", 1, {"x": 1, "epochs": 4}, "x=1")
    display = PlainDisplay(LiveProgress("toy", Objective("score", "maximize")), console)
    with console.capture() as captured:
        display.begin(1, [one], {})
        with display.live():
            display.start(one)
            display.take(one, Started(7, 1))
            for epoch in (1, 2):
                display.take(one, Progress(epoch, {"train_loss": 8.0 / epoch, "score": 0.5}, time.time(), 2.0))
            display.take(one, Finished(Outcome.EXPLODED, explosion=Explosion("loss became nan", 2, 9, 4.0)))
    stamps, told = zip(*(line.split(" ", 1) for line in captured.get().splitlines()), strict=True)
    assert all(time.strptime(stamp, "%H:%M:%S") for stamp in stamps)
    assert [line for line, _ in itertools.groupby(told) if "/1 trial, " not in line or "already" in line] == [
        "1 trial, 0 of them already finished",
        "x=1: started, process 7",
        "x=1: epoch 1/4, loss 8, left 6 s",
        "x=1: loss explosion: loss became nan [1/1]",
    ]
    assert told[-1].startswith("1/1 trial, loss explosion 1, elapsed 0 s")
