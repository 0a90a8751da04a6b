"""Lines on a terminal that are drawn anew in place: at its bottom, or on a screen of their own."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType

from rich.console import Console, ConsoleDimensions, ConsoleOptions, RenderResult
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType
from rich.text import Text

from orchestrator.terminal import cursor

SETTLING = 0.6  # seconds; tmux tells a program of a size up to a quarter of a second after it broke up the lines
NARROWER = 0.3  # of the width, down to which nothing of a frame is lost
UP = (ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2)


class Frame:
    """Shown while the context lasts; all other output is printed above it.

    A terminal that breaks up its lines, as it becomes narrower, moves as many rows from its top to where nothing is
    erased, however many are blank below. Where these would be rows of the frame, it begins with blank ones.

    Args:
        console: that it is drawn on.
        is_alone: whether nothing else is printed meanwhile. It has a screen of its own then, which no terminal breaks
            up when it becomes narrower, and what it showed last stays.
    """

    def __init__(self, console: Console, *, is_alone: bool = False) -> None:
        self.console = console
        self._lines: Sequence[Text] = ()
        self._above: list[Text] = []  # messages for the next frame
        self._size, self._since = console.size, -SETTLING  # of the terminal, and from when on
        self._is_moved = False  # whether the size has changed since it was drawn
        self._blank = 0  # rows of it above the lines
        self._is_alone = is_alone
        self._top: int | None = None  # the row in which it begins, from 1 on; None where nobody knows
        self._live = Live(self, console=console, auto_refresh=False, transient=True, screen=is_alone)

    def __enter__(self) -> "Frame":
        if not self._is_alone and self.console.is_terminal:
            self._top = cursor.row()
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # the terminal is gone
            self._replace(self.console.width, self._lines)
            self._live.stop()
            if self._is_alone:
                self.console.print(*self._lines, sep="\n")

    def draw(self, lines: Callable[[int, int], Sequence[Text]], above: Sequence[Text] = ()) -> None:
        """Draw the lines for a width and a height, and above them the messages since the last frame.

        While the size changes, all of it waits: how often the terminal broke up lines is known by the last size alone.
        """
        self._above += above
        size = self.console.size
        if self._is_alone or self._has_settled(size):
            self._replace(size.width, lines(size.width, size.height - 1))

    def _has_settled(self, size: ConsoleDimensions) -> bool:
        now = time.monotonic()
        if size != self._size:
            self._size, self._since, self._is_moved = size, now, True
        return now - self._since >= SETTLING

    def _replace(self, width: int, lines: Sequence[Text]) -> None:
        if self._is_moved:
            self._find_top(width)
        if not self._is_alone:
            self._erase_broken(width)
        self._lines, above, self._above = lines, self._above, []
        if self._top is not None:
            rows = sum(rows_of(line, width) for line in above)
            self._top = max(1, min(self._top + rows, self.console.height + 1 - len(lines)))
        if above:
            self.console.print(*above, sep="\n")
        else:
            self._live.refresh()

    def _erase_broken(self, width: int) -> None:
        """Erase what a terminal that has become narrower has made of lines; rich knows of no more than it has drawn."""
        if broken := sum(rows_of(line, width) - 1 for line in self._lines):
            self.console.control(Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2), *UP * broken))

    def _find_top(self, width: int) -> None:
        """Ask anew in which row it begins, once the size has changed."""
        self._is_moved = False
        rows = self._blank + sum(rows_of(line, width) for line in self._lines)
        last = cursor.row() if self._top is not None else None
        self._top = max(1, last + 1 - rows) if last is not None else None

    def _blank_above(self, top: int) -> int:
        """How many blank rows a frame that begins in this row begins with."""
        narrow = max(1, int(self.console.width * NARROWER))
        moved = sum(rows_of(line, narrow) - 1 for line in self._lines)
        return max(0, min(moved + 1 - top, self.console.height + 1 - top - len(self._lines)))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self._blank = 0 if self._top is None else self._blank_above(self._top)
        yield from [Text()] * self._blank
        yield from self._lines


def rows_of(line: Text, width: int) -> int:
    """How many rows of a terminal so wide a line takes."""
    return 1 + max(0, line.cell_len - 1) // width
