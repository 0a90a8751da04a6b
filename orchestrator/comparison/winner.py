"""The interval of the best of several means, with the luck counted in by which it became the best."""

import math
from collections.abc import Sequence
from statistics import fmean

from orchestrator.comparison.intervals import CONFIDENCE, half_width
from orchestrator.system.averages import power_of, times, variance

NEWTON = 50  # steps at most; it converges in about five
LEAST = 1e-5  # of the median variance: what a variance counts as that is less


def corrected(samples: Sequence[Sequence[float]], sign: int) -> tuple[float, float] | None:
    """The 95% interval of the mean of the first of these samples, which was chosen as the best of all.

    On the side towards the others it is as wide as if all of them were to be covered at once (Z. Šidák, JASA 62:626,
    1967): whichever was chosen is then covered. On its other side no more is needed than for the true best alone: for
    another one to be chosen and to lie beyond its own bound, the true best has to lie below its own. Variances of few
    seeds are drawn towards each other as far as they are alike, by the empirical Bayes estimate of G. K. Smyth
    (Stat. Appl. Genet. Mol. Biol. 3:3, 2004). Where configurations share seeds, all variances may be wrong together, so
    it is never narrower than the plain interval.

    Args:
        samples: a value for each seed, of every configuration that could have been chosen.
        sign: 1 if more is better, else -1.

    Returns:
        Its lower and its upper end; None where the first has a single value.
    """
    if len(samples[0]) < 2:
        return None
    power = power_of(value for one in samples for value in one)
    scaled = [[times(value, -power) for value in one] for one in samples] if power else samples
    low, high = _corrected(scaled, sign)
    return times(low, power), times(high, power)


def _corrected(samples: Sequence[Sequence[float]], sign: int) -> tuple[float, float]:
    from scipy.special import stdtrit  # takes longer to import than a plan to make

    first, count = samples[0], len(samples)
    spread, freedom = shrunk([(variance(one), len(one) - 1) for one in samples if len(one) > 1])
    error, plain = math.sqrt(spread / len(first)), half_width(first) or 0.0
    tail = (1 + CONFIDENCE) / 2
    lower, upper = (max(plain, error * float(stdtrit(freedom, chance))) for chance in (tail ** (1 / count), tail))
    mean = fmean(first)
    return (mean - lower, mean + upper) if sign > 0 else (mean - upper, mean + lower)


def shrunk(known: Sequence[tuple[float, int]]) -> tuple[float, float]:
    """The first of some variances, drawn towards all of them as far as they are alike, and its degrees of freedom.

    Args:
        known: variances with their degrees of freedom.
    """
    import numpy as np
    from scipy.special import digamma, polygamma

    given = np.array([value for value, _ in known])
    freedom = np.array([count for _, count in known], dtype=float)
    own, total = freedom[0], freedom.sum()
    middle = float(np.median(given[given > 0])) if (given > 0).any() else 0.0
    if len(known) < 2 or not middle:
        return float(given[0]), float(own)
    given = np.maximum(given, LEAST * middle)
    logs = np.log(given) - digamma(freedom / 2) + np.log(freedom / 2)
    beyond_chance = logs.std(ddof=1) ** 2 - polygamma(1, freedom / 2).mean()
    if beyond_chance <= 0:  # they are as alike as chance leaves equal ones: they are pooled
        return float((freedom * given).sum() / total), float(total)
    prior = 2 * _inverse_trigamma(float(beyond_chance))
    common = math.exp(logs.mean() + float(digamma(prior / 2)) - math.log(prior / 2))
    shared = (prior * common + own * float(given[0])) / (prior + own)
    return shared, min(prior + own, float(total))


def _inverse_trigamma(value: float) -> float:
    """The x whose trigamma function is this, by Newton's method on its reciprocal, as Smyth has it."""
    from scipy.special import polygamma

    if value > 1e7:
        return 1 / math.sqrt(value)
    if value < 1e-6:
        return 1 / value
    x = 0.5 + 1 / value
    for _ in range(NEWTON):
        at = float(polygamma(1, x))
        step = at * (1 - at / value) / float(polygamma(2, x))
        x += step
        if abs(step) < 1e-8 * x:
            break
    return x
