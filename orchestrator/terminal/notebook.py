"""A notebook as a place for what is drawn anew: one output of the cell that launches, which changes in place."""

import io
import sys
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.text import Text

WIDTH, HEIGHT = 110, 40  # characters of the output; a browser scrolls
MESSAGES_KEPT = 100
PAGE = "<pre style='line-height: 1.2; white-space: pre; overflow-x: auto'>{code}</pre>"


class NotebookFrame:
    """As `Frame` on a terminal; what it showed last stays."""

    def __init__(self) -> None:
        self._messages: deque[Text] = deque(maxlen=MESSAGES_KEPT)
        self._handle: Any = None

    def __enter__(self) -> "NotebookFrame":
        if self._handle is not None:  # a launch goes on where it was shown
            return self
        from IPython.display import DisplayHandle

        self._handle = DisplayHandle()  # type: ignore[no-untyped-call]
        self._handle.display(_shown([]), raw=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """What was drawn stays."""

    def draw(self, lines: Callable[[int, int], Sequence[Text]], above: Sequence[Text] = ()) -> None:
        """Draw the lines for a width and a height, and above them the latest messages."""
        self._messages.extend(above)
        self._handle.update(_shown([*self._messages, *lines(WIDTH, HEIGHT)]), raw=True)


def is_notebook() -> bool:
    """Whether this process runs the cells of a notebook."""
    known = sys.modules.get("IPython")
    return known is not None and getattr(known.get_ipython(), "kernel", None) is not None


def _shown(lines: Sequence[Text]) -> dict[str, str]:
    """Lines as notebooks take them: for a browser, and for what shows text alone."""
    console = Console(file=io.StringIO(), record=True, width=WIDTH, force_jupyter=False, highlight=False)
    console.print(*lines, sep="\n", soft_wrap=True)
    html = console.export_html(inline_styles=True, clear=False, code_format=PAGE)
    return {"text/html": html, "text/plain": console.export_text()}
