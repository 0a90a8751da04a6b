"""Where the live view stands on a terminal, so that it can be erased however narrow that becomes."""

import io
import os
import pty
import sys
import time
from collections.abc import Sequence

import pytest
from rich.console import Console
from rich.text import Text
from terminals import Screen

from orchestrator.terminal import cursor
from orchestrator.terminal.frame import Frame

ASKS = """
import sys
from orchestrator.terminal import cursor
print("ready", flush=True)
{wait}
print("row", cursor.row(), flush=True)
print("typed", input() if "typed" in sys.argv[1] else "")
"""


def drawn(top: int | None, monkeypatch: pytest.MonkeyPatch, lines: Sequence[str], messages: Sequence[str]) -> list[str]:
    """The rows of a terminal of 80x24 from `top` on, after a frame of some lines, and messages one after the other."""
    monkeypatch.setattr(cursor, "row", lambda: top)
    console = Console(file=io.StringIO(), force_terminal=True, width=80, height=24)
    screen = Screen(80)
    frame = Frame(console)
    with frame:
        frame.draw(lambda width, height: [Text(line) for line in lines])
        for message in messages:
            frame.draw(lambda width, height: [Text(line) for line in lines], [Text(message)])
        assert isinstance(console.file, io.StringIO)
        screen.write(console.file.getvalue())
    return screen.text.splitlines()


def test_a_frame_begins_with_blank_rows_where_a_narrow_terminal_would_take_rows_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = ["x" * 30, "y" * 70]  # 2 and 3 rows where 24 columns are left: three rows more, of which one is above
    assert drawn(2, monkeypatch, lines, []) == ["", "", *lines]
    assert drawn(2, monkeypatch, lines, ["one"]) == ["one", "", *lines]
    assert drawn(2, monkeypatch, lines, ["one", "two", "three"]) == ["one", "two", "three", *lines]
    assert drawn(9, monkeypatch, lines, []) == lines
    assert drawn(None, monkeypatch, lines, []) == lines
    tall = [f"{number:02}{'z' * 60}" for number in range(22)]
    assert drawn(2, monkeypatch, tall, []) == ["", *tall]  # no more than fit on the screen


def answered(typed: str, answer: str) -> str:
    """What a program says that asks for the row of its cursor, on a terminal of its own."""
    program = ASKS.replace("{wait}", "import time; time.sleep(0.3)" if typed else "")
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", program, "typed" if typed else ""])  # noqa: S606
    said, until = "", time.monotonic() + 30
    steps = [("ready", typed), ("\x1b[6n", answer)]
    while time.monotonic() < until:
        try:
            said += os.read(terminal, 1024).decode()
        except OSError:  # it has ended
            break
        while steps and steps[0][0] in said:
            os.write(terminal, steps.pop(0)[1].encode())
    os.waitpid(pid, 0)
    os.close(terminal)
    return said


@pytest.mark.slow
@pytest.mark.parametrize(("typed", "answer", "row"), [("", "\x1b[7;12R", "7"), ("", "", "None"), ("ls\n", "", "None")])
def test_the_row_of_the_cursor_is_what_the_terminal_says_and_what_was_typed_stays(
    typed: str, answer: str, row: str
) -> None:
    said = answered(typed, answer)
    assert f"row {row}" in said
    assert f"typed {typed.strip()}" in said
    assert ("\x1b[6n" in said) == (not typed)  # what was typed first would be lost


def test_without_a_terminal_nobody_knows_where_the_cursor_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cursor, "TERMINAL", "/dev/null")
    assert cursor.row() is None
