"""Calls that are given up where they make no progress: a file system that does not answer holds a thread for ever."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from orchestrator.system.durations import duration

STALLED_SECONDS = 120.0  # more than a server may take to answer
SECONDS_BETWEEN_LOOKS = 5.0
OTHERS = ("display", "lease", "recorder")  # threads of this package, which do not work for calls

T = TypeVar("T")
_slow: list[float] = []  # seconds for which parts of calls may sleep beyond that


class StalledError(OSError):
    """A call was given up."""


def attended(call: Callable[[], T]) -> T:
    """The result of a call, made in a thread of its own, which is left behind once it has slept for too long.

    However long a call takes that reads, sends or computes, its thread awakes all the time, or those that it waits for.
    Where the system does not say whether threads have been awake, as macOS, the call is waited for.

    Raises:
        StalledError: it was given up.
    """
    future: Future[T] = Future()
    threading.Thread(target=_settle, args=(future, call), name="attended", daemon=True).start()
    seen, asleep = None, 0.0
    between = min(SECONDS_BETWEEN_LOOKS, STALLED_SECONDS)
    while not wait([future], between).done:
        now = _awake()
        asleep = asleep + between if now is not None and now == seen else 0.0
        seen = now
        if asleep >= STALLED_SECONDS + max(_slow, default=0.0):
            raise StalledError(f"no progress was made for {duration(STALLED_SECONDS)}")
    return future.result()


@contextmanager
def slow_for(seconds: float) -> Iterator[None]:
    """Have calls that sleep for so much longer not given up while the block runs: it ends by itself."""
    _slow.append(seconds)
    try:
        yield
    finally:
        _slow.remove(seconds)


def _settle(future: Future[T], call: Callable[[], T]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:  # is raised where the call is waited for
        future.set_exception(error)


def _awake() -> dict[str, str] | None:
    """How long and how often each thread has run so far that may work for a call, as Linux has it; None elsewhere."""
    waiting = (threading.main_thread(), threading.current_thread())
    others = {str(one.native_id) for one in threading.enumerate() if one in waiting or one.name in OTHERS}
    try:
        threads = (task for task in Path("/proc/self/task").iterdir() if task.name not in others)
        return {task.name: (task / "schedstat").read_text() for task in threads}
    except OSError:  # also where a thread has just ended
        return None
