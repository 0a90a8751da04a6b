"""Programs on a terminal: what they draw stands on a screen, which may become narrower meanwhile."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence

MOVES = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")
SECONDS_BETWEEN_SIZES = 0.1
COLOURS = re.compile(r"\x1b\[(?:[0-9;]*;)?(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;[0-9;]*)?m")


class Screen:
    """The rows of a terminal, of which none ever leaves it. It knows what rich writes, and breaks up long rows.

    Programs may have a second screen for a while, whose rows are not broken up.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.rows = [""]
        self.row = self.column = 0
        self._goes_on: set[int] = set()  # rows whose line goes on in the next one
        self.written = ""
        self.erased: list[str] = []  # rows, as they were
        self._first: tuple[list[str], int, int] | None = None  # while there is a second one

    @property
    def text(self) -> str:
        """What stands on it."""
        return "\n".join(row.rstrip() for row in self.rows).rstrip()

    def write(self, text: str) -> None:
        self.written += text
        for numbers, command, control, plain in MOVES.findall(text):
            if control == "\r":
                self.column = 0
            elif control == "\n":
                self._down()
                self.column = 0
            elif command == "A":
                self.row = max(0, self.row - int(numbers or 1))
            elif (numbers, command) == ("?1049", "h"):
                self._first = self.rows, self.row, self.column
                self.rows, self.row, self.column = [""], 0, 0
            elif (numbers, command) == ("?1049", "l"):
                assert self._first is not None
                (self.rows, self.row, self.column), self._first = self._first, None
            elif command == "H":
                self.row = self.column = 0
            elif command == "K":
                self.erased.append(self.rows[self.row])
                self._goes_on -= {self.row - 1, self.row}
                self.rows[self.row] = ""
            elif plain:
                self._put(plain)

    def resize(self, width: int) -> None:
        """Lines that are longer are broken up, and the cursor stays where it is in the text."""
        old, self.width = self.width, width
        if self._first is not None:
            return
        rows: list[str] = []
        goes_on, line, cursor = set(), "", 0
        for index, row in enumerate(self.rows):
            if index == self.row:
                at = len(line) + self.column
                cursor, self.column = len(rows) + at // (width + (at == width)), at % width
            line += row.ljust(old) if index in self._goes_on else row
            if index not in self._goes_on:
                pieces = [line[start : start + width] for start in range(0, max(1, len(line)), width)]
                goes_on |= {*range(len(rows), len(rows) + len(pieces) - 1)}
                rows, line = rows + pieces, ""
        self.rows, self.row, self._goes_on = rows, min(cursor, len(rows) - 1), goes_on

    def _put(self, text: str) -> None:
        for letter in text:
            if self.column == self.width:
                self._goes_on.add(self.row)
                self._down()
                self.column = 0
            row = self.rows[self.row].ljust(self.column)
            self.rows[self.row] = row[: self.column] + letter + row[self.column + 1 :]
            self.column += 1

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append("")


def on_terminal(
    command: Sequence[object],
    *,
    size: tuple[int, int] = (80, 24),
    then: Sequence[tuple[int, int]] = (),
    when: str = "",
    answers: Mapping[str, str] | None = None,
    **environment: str,
) -> tuple[Screen, int]:
    """Run a program on a terminal of so many columns and lines; returns the screen and the exit status.

    Args:
        command: the program and its arguments, for this Python.
        size: at first.
        then: the sizes from when on a text was written, one soon after the other; as tmux does, the terminal tells the
            program at once of the first, and of the last alone when that was a while ago.
        when: the text.
        answers: what is typed once a text was written, each once, in their order.
        environment: further variables.
    """
    ours, theirs = pty.openpty()
    _set_size(ours, size)
    known = {**os.environ, "TERM": "xterm-256color", **environment}
    program = [sys.executable, *map(str, command)]
    process = subprocess.Popen(program, stdin=theirs, stdout=theirs, stderr=theirs, env=known, start_new_session=True)
    os.close(theirs)
    screen, asked = Screen(size[0]), list((answers or {}).items())
    deadline = time.monotonic() + 100
    while chunk := _read(ours, deadline):
        screen.write(chunk)
        if then and when in screen.written:
            _resize(ours, screen, then)
            then = ()
        if asked and asked[0][0] in screen.written:
            os.write(ours, f"{asked.pop(0)[1]}\n".encode())
    os.close(ours)
    if time.monotonic() > deadline:
        process.kill()
    return screen, process.wait()


def _resize(terminal: int, screen: Screen, sizes: Sequence[tuple[int, int]]) -> None:
    screen.resize(sizes[0][0])
    _set_size(terminal, sizes[0])
    until = time.monotonic()
    for width, _ in sizes[1:]:
        screen.resize(width)
        until += SECONDS_BETWEEN_SIZES
        while time.monotonic() < until and (chunk := _read(terminal, until)):
            screen.write(chunk)
    _set_size(terminal, sizes[-1])


def _set_size(terminal: int, size: tuple[int, int]) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))


def _read(terminal: int, deadline: float) -> str:
    if not select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))[0]:
        return ""
    try:
        return os.read(terminal, 65536).decode(errors="replace")
    except OSError:  # the program has ended
        return ""
