"""How many trials can run at this moment, where that is not known from the beginning."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Places:
    """Where trials can run at this moment, where that is not known from the beginning.

    Args:
        ready: places that there are.
        awaited: places that have been asked for, and are not there yet.
        reason: why they are not, in a word of whoever gives them; empty where nothing is said.
        waiting: trials that have been submitted, and wait for a place.
    """

    ready: int
    awaited: int
    reason: str = ""
    waiting: int = 0
