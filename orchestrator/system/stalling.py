"""Calls that are given up where they make no progress: a file system that does not answer holds a thread for ever."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from pathlib import Path
from typing import TypeVar

from orchestrator.system.durations import duration

STALLED_SECONDS = 120.0  # more than a server may take to answer
SECONDS_BETWEEN_LOOKS = 5.0

T = TypeVar("T")


class StalledError(OSError):
    """A call was given up."""


def attended(call: Callable[[], T]) -> T:
    """The result of a call, made in a thread of its own, which is left behind once it has slept for too long.

    However long a call takes that reads, sends or computes, its thread awakes all the time. Where the system does not
    say whether a thread has been awake, as macOS, the call is waited for.

    Raises:
        StalledError: it was given up.
    """
    future: Future[T] = Future()
    thread = threading.Thread(target=_settle, args=(future, call), name="attended", daemon=True)
    thread.start()
    seen, asleep = _awake(thread), 0.0
    between = min(SECONDS_BETWEEN_LOOKS, STALLED_SECONDS)
    while not wait([future], between).done:
        now = _awake(thread)
        asleep = asleep + between if now is not None and now == seen else 0.0
        seen = now
        if asleep >= STALLED_SECONDS:
            raise StalledError(f"no progress was made for {duration(STALLED_SECONDS)}")
    return future.result()


def _settle(future: Future[T], call: Callable[[], T]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:  # is raised where the call is waited for
        future.set_exception(error)


def _awake(thread: threading.Thread) -> str | None:
    """How long and how often a thread has run so far, as Linux has it; None where that is not known."""
    try:
        return Path(f"/proc/self/task/{thread.native_id}/schedstat").read_text()
    except OSError:
        return None
