"""Where the cursor of a terminal is, which only the terminal itself knows."""

import os
import re
import select
import termios
import time
import tty
from array import array
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fcntl import ioctl

TERMINAL = "/dev/tty"
QUESTION, ANSWER = b"\x1b[6n", re.compile(rb"\x1b\[([0-9]+);[0-9]+R")
SECONDS = 0.5  # for the answer; over a network it takes a tenth of that


def row() -> int | None:
    """The row of the cursor on the terminal of this process, from 1 on.

    None where it has no terminal, runs in the background of that, where something was typed that is not for it, or the
    terminal does not answer.
    """
    with suppress(OSError, termios.error), _letter_by_letter() as terminal:
        if _waiting(terminal):
            return None
        os.write(terminal, QUESTION)
        said, until = b"", time.monotonic() + SECONDS
        while select.select([terminal], [], [], max(0.0, until - time.monotonic()))[0]:
            said += os.read(terminal, 1)
            if found := ANSWER.search(said):
                return int(found[1])
    return None


@contextmanager
def _letter_by_letter() -> Iterator[int]:
    """The terminal, while it passes on what is typed at once and shows none of that.

    Raises:
        OSError: there is none, or this process runs in its background, where a change of its settings would stop it.
    """
    terminal = os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY)
    try:
        if os.tcgetpgrp(terminal) != os.getpgrp():
            raise OSError
        settings = termios.tcgetattr(terminal)
        tty.setcbreak(terminal, termios.TCSANOW)
        try:
            yield terminal
        finally:
            termios.tcsetattr(terminal, termios.TCSANOW, settings)
    finally:
        os.close(terminal)


def _waiting(terminal: int) -> bool:
    """Whether something that was typed has not been read."""
    count = array("i", [0])
    ioctl(terminal, termios.FIONREAD, count)
    return count[0] > 0
