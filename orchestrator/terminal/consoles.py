"""Where output goes: on a terminal with colours and its width, in a pipe whole and plain."""

from rich.console import Console

PIPE_WIDTH = 10_000  # columns; a pipe has no edge at which to wrap or cut


def stdout() -> Console:
    """Standard output."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PIPE_WIDTH)


def stderr() -> Console:
    """Standard error."""
    return Console(stderr=True, highlight=False)
