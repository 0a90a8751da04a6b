"""Which trials are meant by what people call them."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

MOST_NAMED = 10  # trials


class Called(Protocol):
    """A trial as people may call it."""

    @property
    def label(self) -> str:
        """What varies: "lr=0.01 seed=1"."""

    @property
    def run_id(self) -> str:
        """Of its run in MLflow; empty where it has none yet."""

    @property
    def trial_key(self) -> str:
        """Its identity."""


T = TypeVar("T", bound=Called)


def meant(known: Sequence[T], given: str, numbered: Sequence[T] = ()) -> list[T]:
    """Those that are meant, in the first way in which any are.

    Args:
        known: all that there are.
        given: a label, or parts of one; or the first letters of a run's id, or of a trial_key.
        numbered: what it means as a number, which comes after the label.
    """
    parts = {*given.split()}
    ways = (
        [one for one in known if one.label == given],
        [*numbered],
        [one for one in known if given and (one.trial_key.startswith(given) or one.run_id.startswith(given))],
        [one for one in known if parts and parts <= {*one.label.split()}],
    )
    return next((found for found in ways if found), [])


def listed(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are; empty where there is none."""
    rest = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")
