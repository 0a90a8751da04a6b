"""Means and deviations of any finite floats: also of those so large, or so near 0, that sums or squares are none."""

import math
import sys
from collections.abc import Iterable, Sequence
from statistics import fmean

LARGEST = 1e70  # beyond every float of 32 bits; its fourth power is a number, and so is one over it


def average(values: Iterable[float]) -> float:
    """The mean of some numbers, at least one, also where their sum is beyond the floats."""
    values = list(values)
    try:
        return fmean(values)
    except OverflowError:
        return math.fsum(value / len(values) for value in values)


def deviation(values: Sequence[float]) -> float:
    """The standard deviation of a sample of at least two numbers; the largest float where it is beyond the floats."""
    power = power_of(values)
    scaled = [times(value, -power) for value in values] if power else values
    return times(math.sqrt(variance(scaled)), power)


def variance(values: Iterable[float]) -> float:
    """The variance of a sample of at least two numbers whose squares are numbers; exactly 0 where all are equal.

    `statistics.variance` counts in fractions, and takes ten times as long: there may be thousands of samples.
    """
    first, *others = values
    shifted = [0.0, *(value - first for value in others)]
    mean = math.fsum(shifted) / len(shifted)
    return math.fsum((value - mean) ** 2 for value in shifted) / len(others)


def power_of(values: Iterable[float]) -> int:
    """The power of two by which numbers are divided, so that their squares can be compared.

    It is 0 but where they are very large, or all very near 0: so results are the same to the bit wherever they were
    numbers without it.
    """
    largest = max(map(abs, values), default=0.0)
    return 0 if largest == 0 or 1 / LARGEST <= largest <= LARGEST else math.frexp(largest)[1]


def times(value: float, power: int) -> float:
    """A number times a power of two; the largest float of its sign where that is beyond the floats."""
    try:
        return within(math.ldexp(value, power))
    except OverflowError:
        return math.copysign(sys.float_info.max, value)


def within(value: float) -> float:
    """A number, or the largest float of its sign where it is infinite: so a difference of two floats is one."""
    return max(-sys.float_info.max, min(sys.float_info.max, value))
