"""Confidence intervals of means over seeds, and of rates."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.system.averages import average, deviation, within

CONFIDENCE = 0.95


def half_width(values: Sequence[float]) -> float | None:
    """Half of the mean's 95% interval, by Student's t; None of a single value."""
    n = len(values)
    if n < 2:
        return None
    from scipy.special import stdtrit  # takes longer to import than a plan to make

    return within(float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * deviation(values) / math.sqrt(n))


def wilson(count: int, total: int) -> tuple[float, float]:
    """The 95% interval of the rate count / total (E. B. Wilson, JASA 22:209, 1927)."""
    from scipy.stats import binomtest  # takes a second to import

    interval = binomtest(count, total).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


@dataclass(frozen=True)
class Interval:
    """A mean over seeds, and half of its 95% interval by Student's t; None of a single seed."""

    mean: float
    half_width: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> "Interval":
        return cls(average(values), half_width(values))
