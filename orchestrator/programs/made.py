"""What is made of the calls in which a program logs."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Whole:
    """An epoch, with the last value of each metric that came within it (not finite ones, too), and when that was."""

    epoch: int
    metrics: Mapping[str, float]
    at: float


@dataclass(frozen=True)
class Late:
    """Metrics of an epoch that came after it was taken as whole, and that it did not have."""

    epoch: int
    metrics: Mapping[str, float]
    at: float


@dataclass(frozen=True)
class Between:
    """A value that is no epoch's: of a metric that comes oftener (`<metric>.by_step`), or of a later curve.

    `name` is what it is written under, at the step `count`; `metric` is what the script calls it.
    """

    name: str
    metric: str
    count: int
    value: float
    at: float


@dataclass(frozen=True)
class NewCurve:
    """Epochs have fallen back to `epoch`: the curve of this number begins, counted from 1.

    A second or later one is what k folds in one script make. The first is named where an attempt begins at an epoch
    that an attempt before it had: the script starts anew, or a little before its end.
    """

    number: int
    epoch: int


Made = Whole | Late | Between | NewCurve
