"""The curve P(explosion | value) along one parameter, learned from trials that explode or do not.

The curve is a logistic in the position of the value on its range: a threshold, at which half of the trials explode, and
a spread. The posterior is a probability for each curve of a grid; the next trial goes where the entropy of those
probabilities is expected to fall most (A. B. Watson, QUEST+, Journal of Vision 17(3):10, 2017). Positions run from 0 to
1 over the range, on the parameter's own scale.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

BEYOND = 0.25  # of the range, on either side: a threshold may lie outside of it
STEPS = 200  # on the range, between candidates; each threshold of the grid is midway between two of them
SPREADS = np.geomspace(0.01, 2.0, 20)  # from 10% to 90%
# A method that stays near the threshold estimates curves as too sharp. So sharp curves get a lower prior,
# by this power of the spread: without it the 95% interval covered in 91% to 95% of repetitions, with it in 95% to 97%.
BLUNTNESS = 0.5
LAPSE = 0.01  # share of trials that ignore the value: a single such trial must not move the threshold far
CREDIBLE = 0.95
ROUNDING = 1e-6
LARGEST_EXPONENT = 700  # of e, in a float
NEGLIGIBLE = 1e-7  # probability of a curve
IMAGINED = 8  # draws of the results that are still to come


@dataclass(frozen=True)
class Scale:
    """A range of values, and positions on it: 0 at its least value, 1 at its greatest."""

    low: float
    high: float
    log: bool = False

    def position(self, value: float) -> float:
        """Where a value lies."""
        if self.log:
            return (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return (value - self.low) / (self.high - self.low)

    def value(self, position: float) -> float:
        """The value at a position; beyond the range, its nearer end."""
        if position <= 0 or position >= 1:
            return self.low if position <= 0 else self.high
        if self.log:
            return math.exp(math.log(self.low) * (1 - position) + math.log(self.high) * position)
        return self.low * (1 - position) + self.high * position

    def width(self, low: float, high: float) -> float:
        """Between two positions: the ratio of their values on a logarithmic range, else the difference."""
        if self.log:
            return math.exp(min((high - low) * (math.log(self.high) - math.log(self.low)), LARGEST_EXPONENT))
        return (high - low) * (self.high - self.low)


@dataclass(frozen=True)
class CurveGrid:
    """Every curve that is considered, in three lists of equal length."""

    thresholds: Array
    scales: Array  # of the logistic
    signs: Array  # 1: explodes above its threshold; -1: below

    def probability(self, positions: Array) -> Array:
        """P(explosion) at each position (rows) by each curve (columns)."""
        z = self.signs * (positions[:, None] - self.thresholds) / self.scales
        return LAPSE + (1 - 2 * LAPSE) / (1 + np.exp(-np.clip(z, -50, 50)))

    def reach(self, risk: float) -> Array:
        """The position at which each curve reaches a risk, without its lapses."""
        return self.thresholds + self.signs * self.scales * math.log(risk / (1 - risk))


@cache
def grid() -> CurveGrid:
    """The curves that are considered: each direction, with each threshold and each spread."""
    thresholds = (np.arange(-BEYOND * STEPS, (1 + BEYOND) * STEPS) + 0.5) / STEPS
    signs, spreads, thresholds = np.meshgrid([1.0, -1.0], SPREADS, thresholds, indexing="ij")
    return CurveGrid(thresholds.ravel(), spreads.ravel() / (2 * math.log(9)), signs.ravel())


@dataclass(frozen=True)
class Estimate:
    """The estimate of a curve, in positions; those outside of 0 to 1 are extrapolated."""

    threshold: float  # median
    low: float  # of the threshold's central 95% interval
    high: float
    ten: float  # where 10% explode
    ninety: float
    safest: float | None
    breaks_above: bool


class Posterior:
    """How probable each curve is, given the trials so far."""

    def __init__(self) -> None:
        self.logarithms = BLUNTNESS * np.log(grid().scales)

    def observe(self, position: float, exploded: bool) -> None:
        """Update on the result of a trial."""
        probability = grid().probability(np.array([position]))[0]
        self.logarithms += np.log(probability if exploded else 1 - probability)

    @property
    def weights(self) -> Array:
        """The probability of each curve."""
        return _normalized(self.logarithms)

    def interval(self) -> tuple[float, float, float]:
        """The threshold: its median, and its central 95% interval, to the next candidates around it."""
        thresholds, inverse = np.unique(grid().thresholds, return_inverse=True)
        below = np.concatenate([[0.0], np.cumsum(np.bincount(inverse, self.weights))])
        half = 0.5 / STEPS
        edges = np.append(thresholds - half, thresholds[-1] + half)  # each threshold represents the values around it
        tail = (1 - CREDIBLE) / 2
        low, median, high = np.interp([tail, 0.5, 1 - tail], below, edges)
        # trials show only between which candidates a threshold lies
        return float(median), math.floor(low * STEPS + ROUNDING) / STEPS, math.ceil(high * STEPS - ROUNDING) / STEPS

    def estimate(self, risk: float) -> Estimate:
        """The estimate, in numbers.

        Args:
            risk: for which to find the safest position: the outermost at which P(explosion) is below it with a
                probability of 95%. It is None where there is no such position on the range.
        """
        weights, curves = self.weights, grid()
        above = bool(weights[curves.signs > 0].sum() >= 0.5)
        of_direction = curves.signs == (1 if above else -1)
        likely = weights[of_direction]
        ten, ninety = (float(_quantiles(curves.reach(p)[of_direction], likely, 0.5)) for p in (0.1, 0.9))
        positions = np.linspace(0, 1, 2 * STEPS + 1)
        safe = positions[self._safety(positions, risk) >= CREDIBLE]
        safest = float(safe.max() if above else safe.min()) if len(safe) else None
        return Estimate(*self.interval(), ten, ninety, safest, above)

    def mean(self, positions: Array) -> Array:
        """P(explosion) at each position, averaged over the curves."""
        return grid().probability(positions) @ self.weights

    def band(self, positions: Array) -> tuple[Array, Array]:
        """The ends of the central 95% interval of P(explosion) at each position."""
        tail = (1 - CREDIBLE) / 2
        low, high = _quantiles(grid().probability(positions), self.weights, [tail, 1 - tail])
        return low, high

    def _safety(self, positions: Array, risk: float) -> Array:
        """The probability, at each position, that P(explosion) is below a risk."""
        order = np.argsort(grid().reach(risk))
        reach, signs, weights = grid().reach(risk)[order], grid().signs[order], self.weights[order]
        at = np.searchsorted(reach, positions)
        # curves that break above and reach the risk farther up; curves that break below and reach it farther down
        above = np.concatenate([[0.0], np.cumsum(weights * (signs > 0))])
        below = np.concatenate([[0.0], np.cumsum(weights * (signs < 0))])
        return np.asarray(above[-1] - above[at] + below[at])


class Candidates:
    """Positions at which the next trial could be, and the information to expect from it there."""

    def __init__(self, positions: Array) -> None:
        self._probability = np.ascontiguousarray(grid().probability(positions).T, np.float32)  # a row for each curve
        self._entropy = _entropy(self._probability)

    def gains(self, posterior: Posterior, running: Sequence[float] = (), seed: Sequence[int] = ()) -> Array:
        """By how much the entropy over the curves is expected to fall with a trial at each position, in nats.

        Results of running trials are imagined: each of a few curves, drawn from the posterior, gives the results of all
        running trials, and the gain is the mean over these. So it is the information beyond that of the running trials.

        Args:
            posterior: of the curves.
            running: positions of the running trials.
            seed: of the draws.
        """
        logarithms = posterior.logarithms[:, None]
        if len(running):
            rng = np.random.default_rng(seed)
            probability = grid().probability(np.array(running))
            drawn = probability[:, rng.choice(len(logarithms), IMAGINED, p=posterior.weights)]
            explodes = rng.random(drawn.shape) < drawn
            logarithms = logarithms + np.log(probability).T @ explodes + np.log(1 - probability).T @ ~explodes
        weights = _normalized(logarithms).astype(np.float32).T
        kept = np.flatnonzero(weights.max(axis=0) > NEGLIGIBLE)
        weights = np.ascontiguousarray(weights[:, kept])
        # einsum, as the threads of a matrix product would wait for the cores on which trials run
        mean = np.einsum("mk,kn->mn", weights, self._probability[kept])
        gains = _entropy(mean).mean(axis=0) - np.einsum("k,kn->n", weights.mean(axis=0), self._entropy[kept])
        return np.asarray(gains, np.float64)


def _quantiles(values: Array, weights: Array, shares: float | Sequence[float]) -> Array:
    """The values, along the last axis, below which these shares of the weight lie."""
    return np.asarray(np.quantile(values, shares, axis=-1, weights=weights, method="inverted_cdf"))


def _normalized(logarithms: Array) -> Array:
    weights = np.exp(logarithms - logarithms.max(axis=0))
    return np.asarray(weights / weights.sum(axis=0))


def _entropy(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of a result that is an explosion with this probability, in nats."""
    p = probability  # lapses keep it from 0 and 1
    return np.asarray(-p * np.log(p) - (1 - p) * np.log1p(-p), np.float32)
