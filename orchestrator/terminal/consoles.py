"""Where output goes: on a terminal with colours and its width, in a pipe whole and plain."""

import sys

from rich.console import Console

PIPE_WIDTH = 10_000  # columns; a pipe has no edge at which to wrap or cut


def stdout() -> Console:
    """Standard output."""
    return _console(sys.stdout.isatty())


def stderr() -> Console:
    """Standard error."""
    return _console(sys.stderr.isatty(), stderr=True)


def _console(terminal: bool, stderr: bool = False) -> Console:
    # told rather than left to rich, which takes FORCE_COLOR and some CI machines for terminals
    if terminal:
        return Console(stderr=stderr, highlight=False)
    return Console(stderr=stderr, highlight=False, width=PIPE_WIDTH, force_terminal=False, color_system=None)
