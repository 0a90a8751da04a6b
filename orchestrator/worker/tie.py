"""Ties a spawned process to its parent before all else. It imports nothing of ours, which would take seconds."""

import ctypes
import os
import signal
from collections.abc import Callable
from contextlib import suppress

PR_SET_PDEATHSIG = 1


class Tie:
    """What a process is sent first of all: as it reads it, it is tied."""

    def __reduce__(self) -> tuple[Callable[[int], None], tuple[int]]:
        return tie, (os.getpid(),)


def tie(parent: int) -> None:
    """Called in a child: it ends with its parent, or at once where that has died before."""
    die_with_parent()
    if os.getppid() != parent:
        os._exit(1)


def die_with_parent(*, asked: bool = True) -> None:
    """Have Linux kill this process when its parent dies, also while something holds the interpreter's lock.

    Args:
        asked: False has it go on then, where it stands still, so that it can see to its end itself.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL if asked else signal.SIGCONT)
