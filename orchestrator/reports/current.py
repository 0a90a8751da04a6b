"""A report that is kept current while its sweeps run."""

import os
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread

from orchestrator.errors import StoreBusyError

SECONDS_BETWEEN_PAGES = 5.0
SHARE_OF_MAKING = 0.1  # of the time, at most, where a page is much to make
SECONDS_BETWEEN_LOOKS = 1.0
LEAST_PRIORITY = 10  # what trains goes first; not before the whole report, for which a launch waits


def keep_current(runs: Callable[[], bool], make: Callable[[], object]) -> None:
    """Make the page again and again until the sweeps have ended; while the store does not answer, it stays as it is.

    Args:
        runs: whether any of them is running.
        make: makes the page.
    """
    goes_on = True
    while goes_on:
        began = time.monotonic()
        with suppress(StoreBusyError):
            _made_behind(make)
        now = time.monotonic()
        until = now + max(SECONDS_BETWEEN_PAGES, (now - began) * (1 / SHARE_OF_MAKING - 1))
        while goes_on and time.monotonic() < until:
            with suppress(StoreBusyError):
                goes_on = runs()
            time.sleep(SECONDS_BETWEEN_LOOKS if goes_on else 0.0)


def _made_behind(make: Callable[[], object]) -> None:
    """Make a page in a thread, which alone has the priority on Linux; Ctrl-C does not wait for it."""
    made: Future[object] = Future()

    def run() -> None:
        os.setpriority(os.PRIO_PROCESS, 0, max(LEAST_PRIORITY, os.getpriority(os.PRIO_PROCESS, 0)))
        try:
            made.set_result(make())
        except BaseException as error:
            made.set_exception(error)

    Thread(target=run, daemon=True).start()
    made.result()
