"""Spawned processes for a trial function: they import the function, and nothing else of the user's."""

import os
import signal
import sys
import threading
from multiprocessing import parent_process, resource_tracker
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from types import ModuleType

from orchestrator.functions.modules import withdrawn
from orchestrator.worker import tie

SAFE_PATH, FOR_THE_START = "PYTHONSAFEPATH", "start"  # with any value, Python does not look into the current folder


def start(process: BaseProcess) -> None:
    """Start a spawned process that calls `end_with_parent` before all else.

    Left to itself it would first run the main module again, which may be a script that launches and serves no worker;
    and until it has a session of its own, it would answer Ctrl-C in the terminal with a traceback.
    """
    known = {**process.__dict__}
    process.__dict__.clear()
    process.__dict__.update(_tie=tie.Tie(), **known)  # to read the rest, the child imports a lot
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    had = os.environ.setdefault(SAFE_PATH, FOR_THE_START)
    resource_tracker.ensure_running()  # else the first start would begin it, and unblock Ctrl-C
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with withdrawn():  # the child finds this program before all else, whatever lies in the current folder
            process.start()
    finally:
        if had == FOR_THE_START:
            del os.environ[SAFE_PATH]
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        sys.modules["__main__"] = main


def end_with_parent() -> None:
    """Called in a child: it gets a session of its own, and does not outlive the process that started it.

    Ctrl-C in the terminal is for the parent then; and what the child starts itself can be killed with it.
    """
    leave_terminal()
    die_with_parent()
    threading.Thread(target=_await_parent, daemon=True).start()


def leave_terminal() -> None:
    """Called in a child: it gets a session of its own, and takes no notice of Ctrl-C."""
    os.setsid()
    if os.environ.get(SAFE_PATH) == FOR_THE_START:
        del os.environ[SAFE_PATH]  # not for what the trial function starts
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def die_with_parent(*, asked: bool = True) -> None:
    """Have Linux kill this process at once when its parent dies, also while something holds the interpreter's lock.

    Args:
        asked: False takes it back; where the process stands still then, it goes on.
    """
    tie.die_with_parent(asked=asked)
    parent = parent_process()
    if asked and parent is not None and wait([parent.sentinel], 0):  # it had died before that
        os.kill(os.getpid(), signal.SIGKILL)


def _await_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.killpg(0, signal.SIGKILL)
