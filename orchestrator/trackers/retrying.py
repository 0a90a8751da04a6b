"""Calls that are made again while MLflow does not answer."""

from collections.abc import Callable
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_delay,
    wait_exponential,
    wait_fixed,
)

from orchestrator.errors import StoreAwayError, StoreBusyError
from orchestrator.system.durations import duration
from orchestrator.trackers.errors import message

PATIENCE_SECONDS = 120.0  # with a store that does not answer, once there is nothing else to do
SECONDS_BETWEEN_OPENINGS = 0.5
WAIT = wait_exponential(multiplier=0.25, max=5)

T = TypeVar("T")


def retry(call: Callable[[], T]) -> T:
    """The result of a call to the store, which is made again while the store does not answer."""
    waiting = Retrying(
        retry=retry_if_exception_type(StoreBusyError), wait=WAIT, stop=stop_after_delay(PATIENCE_SECONDS), reraise=True
    )
    return waiting(call)


def opened(call: Callable[[], T], seconds: float, log: Callable[[str], None], stops: Callable[[], bool]) -> T:
    """What a call opens, which is made again, once at least, for so many seconds while the store does not answer.

    Args:
        call: opens the store.
        seconds: how long to wait for it.
        log: gets a line as the waiting begins.
        stops: whether nothing is waited for any more.

    Raises:
        StoreAwayError: it has not answered.
        KeyboardInterrupt: `stops` has returned True before it did.
    """

    def say(state: RetryCallState) -> None:
        if state.attempt_number == 1 and state.outcome is not None and (error := state.outcome.exception()):
            why = (
                message(error.__cause__) if isinstance(error.__cause__, Exception) else error
            )  # it names the store, too
            log(f"{why}; trying again for {duration(seconds)}")

    waiting = Retrying(
        retry=retry_if_exception_type(StoreAwayError),
        wait=wait_fixed(SECONDS_BETWEEN_OPENINGS),
        # the second attempt is for a first that was answered too late
        stop=lambda state: stops() or (state.attempt_number > 1 and stop_after_delay(seconds)(state)),
        before_sleep=say,
        reraise=True,
    )
    try:
        return waiting(call)
    except StoreAwayError as error:
        if stops():
            raise KeyboardInterrupt from error
        raise StoreAwayError(f"{error}; it was tried for {duration(seconds)}, `--wait 10m` waits longer") from error
