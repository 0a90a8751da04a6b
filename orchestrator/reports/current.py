"""A report that is kept current while its sweeps run."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

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
    with ThreadPoolExecutor(1, initializer=partial(os.nice, LEAST_PRIORITY)) as aside:  # of this thread alone, on Linux
        while goes_on:
            began = time.monotonic()
            with suppress(StoreBusyError):
                aside.submit(make).result()
            now = time.monotonic()
            until = now + max(SECONDS_BETWEEN_PAGES, (now - began) * (1 / SHARE_OF_MAKING - 1))
            while goes_on and time.monotonic() < until:
                with suppress(StoreBusyError):
                    goes_on = runs()
                time.sleep(SECONDS_BETWEEN_LOOKS if goes_on else 0.0)
