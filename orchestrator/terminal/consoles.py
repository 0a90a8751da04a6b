"""The consoles for output: with colours and wrapping on a terminal, without them in a pipe."""

import sys
import time

from rich.console import Console

from orchestrator.system.printable import in_a_line

PIPE_WIDTH = 10_000  # columns; a pipe has no edge at which to wrap or cut


def stdout() -> Console:
    """Standard output."""
    return _console(sys.stdout.isatty())


def stderr() -> Console:
    """Standard error."""
    return _console(sys.stderr.isatty(), stderr=True)


def is_ascii_only(console: Console) -> bool:
    """Whether the console cannot show block characters."""
    return not console.encoding.startswith("utf")


def print_timed(console: Console, message: str) -> None:
    """A line with the time of day, for logs and pipes."""
    print_line(console, f"{time.strftime('%H:%M:%S')} {message}")


def print_line(console: Console, message: str) -> None:
    """A line that is never wrapped, whatever the width."""
    console.print(message, soft_wrap=True, markup=False, highlight=False)


def print_words(console: Console, message: str) -> None:
    """A line that a terminal has broken between words; nobody is to copy it."""
    console.print(message, soft_wrap=not console.is_terminal, markup=False, highlight=False)


def warn(message: str) -> None:
    """A line on standard error."""
    stderr().print(f"sweep: {in_a_line(message)}", soft_wrap=True, markup=False)


def _console(terminal: bool, stderr: bool = False) -> Console:
    # not left to rich, which takes FORCE_COLOR and some CI machines for terminals, and draws in notebooks
    stream = sys.stderr if stderr else sys.stdout  # not what takes its place for a while
    if terminal:
        return Console(file=stream, stderr=stderr, highlight=False)
    return Console(
        file=stream,
        stderr=stderr,
        highlight=False,
        width=PIPE_WIDTH,
        force_terminal=False,
        force_jupyter=False,
        color_system=None,
    )
