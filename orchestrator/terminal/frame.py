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

SETTLING = 0.6  # seconds; tmux tells a program of a size up to a quarter of a second after it broke up the lines
UP = (ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2)


class Frame:
    """Shown while the context lasts; all other output is printed above it.

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
        self._is_alone = is_alone
        self._live = Live(self, console=console, auto_refresh=False, transient=True, screen=is_alone)

    def __enter__(self) -> "Frame":
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
            self._size, self._since = size, now
        return now - self._since >= SETTLING

    def _replace(self, width: int, lines: Sequence[Text]) -> None:
        if not self._is_alone:
            self._erase_broken(width)
        self._lines, above, self._above = lines, self._above, []
        if above:
            self.console.print(*above, sep="\n")
        else:
            self._live.refresh()

    def _erase_broken(self, width: int) -> None:
        """Erase what a terminal that has become narrower has made of lines; rich knows of no more than it has drawn."""
        if broken := sum(max(0, line.cell_len - 1) // width for line in self._lines):
            self.console.control(Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2), *UP * broken))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from self._lines
