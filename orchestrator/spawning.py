"""Processes that are started afresh, for a trial function's sake: they import it, and nothing else of the user's."""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import parent_process
from multiprocessing.connection import wait
from types import ModuleType

PR_SET_PDEATHSIG = 1


@contextmanager
def without_main() -> Iterator[None]:
    """A spawned process would run the main module again, which may be a script that launches, and serves no worker."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def end_with_parent() -> None:
    """Called in a child: it gets a session of its own, and does not outlive the process that started it.

    Ctrl-C in the terminal is for the parent then; and what the child starts itself can be killed with it.
    """
    os.setsid()
    with suppress(OSError, AttributeError):  # Linux kills also while something holds the interpreter's lock
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_await_parent, daemon=True).start()


def _await_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.killpg(0, signal.SIGKILL)
