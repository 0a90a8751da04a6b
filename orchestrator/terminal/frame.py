"""Lines at the bottom of a terminal that are drawn anew in place."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType

from rich.console import Console, ConsoleOptions, RenderResult
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType
from rich.text import Text

UP = (ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2)


class Frame:
    """Shown while the context lasts, and afterwards where it `stays`; all other output is printed above it."""

    def __init__(self, console: Console, *, stays: bool = False) -> None:
        self.console = console
        self._lines: Sequence[Text] = ()
        self._live = Live(self, console=console, auto_refresh=False, transient=not stays)

    def __enter__(self) -> "Frame":
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # the terminal is gone
            self._live.stop()

    def draw(self, lines: Callable[[int, int], Sequence[Text]], above: Sequence[Text] = ()) -> None:
        """Draw the lines for a width and a height, and above them the messages since the last frame."""
        width, height = self.console.size
        # a terminal that has become narrower has broken lines up, which rich, when it erases them, does not know
        broken = sum(max(0, line.cell_len - 1) // width for line in self._lines)
        if broken:
            self.console.control(Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2), *UP * broken))
        self._lines = lines(width, height - 1)
        if above:
            self.console.print(*above, sep="\n")
        else:
            self._live.refresh()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from self._lines
