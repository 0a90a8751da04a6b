"""The processes that descend from a process, whatever session they are in: found, and ended with it."""

import ctypes
import os
import time
from collections.abc import Collection
from contextlib import suppress

import psutil

PR_SET_CHILD_SUBREAPER = 36
SECONDS_BETWEEN_LOOKS = 0.005
SECONDS_TO_DIE = 10.0  # what hangs in a driver or on a disk does not


def adopt_orphans() -> bool:
    """Have this process be the parent of those of its descendants whose own parent ends, where Linux offers it.

    So a process that leaves its session and its parent (a daemon, a double fork) is still found below this one.
    """
    with suppress(OSError, AttributeError):
        return bool(ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
    return False


def living(pid: int) -> list[psutil.Process]:
    """The processes below a process that have not ended."""
    with suppress(psutil.Error):
        return [process for process in psutil.Process(pid).children(recursive=True) if _is_alive(process)]
    return []


def kill_all(pid: int, but: Collection[int] = ()) -> None:
    """Kill what descends from a process, also what is born meanwhile; returns once nothing of it lives.

    Args:
        pid: of the process, which itself is left alone.
        but: the pids of processes that are left alone as well.
    """
    deadline = time.monotonic() + SECONDS_TO_DIE
    while (left := [process for process in living(pid) if process.pid not in but]) and time.monotonic() < deadline:
        for process in left:
            with suppress(psutil.Error):
                process.kill()
        time.sleep(SECONDS_BETWEEN_LOOKS)


def signal_all(pid: int, number: int) -> None:
    """Send a signal to a process and what descends from it; those that are born meanwhile may be missed."""
    with suppress(psutil.Error):
        for process in [psutil.Process(pid), *living(pid)]:
            with suppress(psutil.Error):
                process.send_signal(number)


def reap() -> bool:
    """Forget the children of this process that have ended; returns whether it has any that live."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
        return True
    return False


def _is_alive(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False
