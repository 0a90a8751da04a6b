"""Many quick trials have one line together, with their rate."""

import time
from io import StringIO

import pytest
from rich.console import Console

from orchestrator.events import Finished, Started
from orchestrator.progress.live import LiveProgress
from orchestrator.terminal.display import Display, LiveDisplay, PlainDisplay
from orchestrator.terminal.frame import Frame
from orchestrator.trial import Outcome, Trial

COMPLETED, FAILED = Finished(Outcome.COMPLETED), Finished(Outcome.FAILED, reason="it broke")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def run(display: Display, clock: list[float], seconds: float, count: int, end: Finished = COMPLETED) -> None:
    for number in range(count):
        trial = Trial("f", 1, {"x": f"{clock[0]}-{number}"}, f"x={number}")
        display.start(trial)
        display.take(trial, Started(1, 1))
        clock[0] += seconds
        display.take(trial, end)


def lines(display: PlainDisplay) -> list[str]:
    assert isinstance(display.console.file, StringIO)
    return [line.partition(" ")[2] for line in display.console.file.getvalue().splitlines()]


@pytest.fixture
def plain() -> PlainDisplay:
    display = PlainDisplay(LiveProgress("s", None), Console(file=StringIO(), width=200))
    display.begin(1000, [], {})
    return display


def test_many_quick_trials_share_a_line_with_their_rate(plain: PlainDisplay, clock: list[float]) -> None:
    with plain.live():
        run(plain, clock, 0.1, 100)
    shown = lines(plain)
    assert sum(line.startswith("x=") for line in shown) == 2 * 19 + 1  # till it is known that they are many
    assert [line for line in shown if " more trials" in line] == [
        "51 more trials, 10.2 a second: completed 51 [70/1000]",
        "30 more trials, 10.3 a second: completed 30 [100/1000]",
    ]


@pytest.mark.parametrize("seconds", [1.0, 60.0])
def test_slower_trials_have_lines_of_their_own(plain: PlainDisplay, clock: list[float], seconds: float) -> None:
    with plain.live():
        run(plain, clock, seconds, 40)
    assert sum(line.startswith("x=") and "completed" in line for line in lines(plain)) == 40


def test_a_failure_among_quick_trials_has_its_line_after_those_before_it(
    plain: PlainDisplay, clock: list[float]
) -> None:
    with plain.live():
        run(plain, clock, 0.1, 30)
        run(plain, clock, 0.1, 1, FAILED)
    assert lines(plain)[-2:] == [
        "11 more trials, 10 a second: completed 11 [30/1000]",
        "x=0: failed: it broke [30/1000]",
    ]


def test_a_terminal_shows_them_so_too(clock: list[float]) -> None:
    console = Console(file=StringIO(), width=200, force_terminal=True)
    display = LiveDisplay(LiveProgress("s", None), console, Frame(console))
    display.begin(1000, [], {})
    run(display, clock, 0.1, 100)
    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()
    assert text.count("completed") == 19 + 1
    assert "51 more trials, 10.2 a second: completed 51" in text
