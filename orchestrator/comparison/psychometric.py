"""The curve P(event | value) along one parameter, learned from trials in which an event happens or does not.

Between a lower and an upper asymptote, the curve passes halfway at an edge: a logistic in the position of the value on
its range, with a threshold and a spread. Both asymptotes are learned, as rates of chance events and of lapses are in
psychophysics (F. A. Wichmann and N. J. Hill, The psychometric function I, Perception & Psychophysics 63(8):1293, 2001).
Curves with two edges are considered, too: the event happens between them, or outside. The posterior is a probability
for each curve of a grid; the next trial goes where the entropy of those probabilities is expected to fall most (A. B.
Watson, QUEST+, Journal of Vision 17(3):10, 2017). Positions run from 0 to 1 over the range, on the parameter's scale.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Floats = NDArray[np.float32]

BEYOND = 0.25  # of the range, on either side: a threshold may lie outside of it
STEPS = 200  # on the range, between candidates; each threshold of the grid is midway between two of them
SPREADS = np.geomspace(0.01, 8.0, 10)  # from 10% to 90% of the way
# A method that stays near the threshold estimates curves as too sharp. So sharp curves get a lower prior,
# by this power of the spread.
BLUNTNESS = 0.35
# How often the event happens where the value does not call for it, and how often it does not where the value does,
# with their prior.
CHANCE = {0.01: 1.5, 0.04: 0.1, 0.07: 0.1, 0.12: 0.12, 0.2: 0.1, 0.33: 0.08}
LEAST_CHANCE = np.float32(min(CHANCE))
LAPSES = {0.01: 0.45, 0.1: 0.2, 0.25: 0.23, 0.42: 0.12}
# That nothing happens by chance is a guess, which is held back where it would make a promise: curves of the least rate
# then count by this much less.
DOUBT = 0.75
# Of curves with two edges, which are to be told apart from one edge more than to be measured, the grid is coarser.
COARSE_STEPS = 40
COARSE_SPREADS = (0.03, 0.12)
COARSE_CHANCE = {0.01: 0.6, 0.1: 0.25, 0.25: 0.15}
COARSE_LAPSES = {0.01: 0.6, 0.15: 0.25, 0.35: 0.15}
NEAREST = 3  # steps between two edges
TWO_EDGES = 0.1  # their probability before any trial
CREDIBLE = 0.95
ROUNDING = 1e-6
LARGEST_EXPONENT = 700  # of e, in a float
STEEPEST = 50.0  # exponents of e beyond which a logistic is 0 or 1
LOOKED_AT = 4096  # curves that stand for all, in an estimate


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
class Curves:
    """Curves, in lists of equal length."""

    first: Floats  # position of the first edge
    second: Floats  # of the second; infinity where there is none
    scales: Floats  # of the logistics
    rises: NDArray[np.bool_]  # whether the event becomes more frequent at the first edge
    least: Floats  # the lower asymptote
    greatest: Floats

    def probability(self, positions: Sequence[float] | Array) -> Floats:
        """P(event) at each position (rows) by each curve (columns)."""
        at = np.asarray(positions, np.float32)[:, None]
        inside = _logistic((at - self.first) / self.scales)
        if np.isfinite(self.second).any():
            inside -= _logistic((at - self.second) / self.scales)
        share = np.where(self.rises, inside, 1 - inside)
        return np.asarray(self.least + (self.greatest - self.least) * share)

    def taken(self, indices: NDArray[np.intp] | slice) -> "Curves":
        """Some of them."""
        return Curves(**{name: part[indices] for name, part in vars(self).items()})

    def joined(self, others: "Curves") -> "Curves":
        """Them and others."""
        return Curves(**{name: np.concatenate([part, getattr(others, name)]) for name, part in vars(self).items()})


@dataclass(frozen=True)
class CurveGrid:
    """Every curve that is considered, those with one edge first, and the logarithms of their probabilities."""

    curves: Curves
    prior: Array
    single: int  # how many have one edge


def _thresholds(steps: int, beyond: float = 0.0) -> list[float]:
    return [(step + 0.5) / steps for step in range(-round(beyond * steps), round((1 + beyond) * steps))]


@cache
def grid() -> CurveGrid:
    """The curves that are considered."""
    edges = [(threshold, math.inf) for threshold in _thresholds(STEPS, BEYOND)]
    pairs = list(itertools.combinations(_thresholds(COARSE_STEPS), 2))
    pairs = [(low, high) for low, high in pairs if high - low > (NEAREST - 0.5) / COARSE_STEPS]
    one, prior = _family(edges, SPREADS, CHANCE, LAPSES)
    two, prior_of_two = _family(pairs, COARSE_SPREADS, COARSE_CHANCE, COARSE_LAPSES)
    priors = [prior + math.log(1 - TWO_EDGES), prior_of_two + math.log(TWO_EDGES)]
    return CurveGrid(one.joined(two), np.concatenate(priors), len(prior))


def _family(
    edges: Sequence[tuple[float, float]],
    spreads: Sequence[float] | Array,
    chance: Mapping[float, float],
    lapses: Mapping[float, float],
) -> tuple[Curves, Array]:
    """Curves of these edges, in every combination with the rest, and the logarithms of their probabilities."""
    lists = [[True, False], spreads, range(len(edges)), [*chance], [*lapses]]
    axes = np.meshgrid(*(np.arange(len(one)) for one in lists), indexing="ij")
    rises, spread, edge, least, lapse = (axis.ravel() for axis in axes)
    first, second = np.array(edges, np.float32).T
    curves = Curves(
        first=first[edge],
        second=second[edge],
        scales=(np.array(spreads, np.float32) / (2 * math.log(9)))[spread],
        rises=rises == 0,
        least=np.array([*chance], np.float32)[least],
        greatest=1 - np.array([*lapses], np.float32)[lapse],
    )
    weights = np.array(spreads)[spread] ** BLUNTNESS
    weights *= np.array([*chance.values()])[least] * np.array([*lapses.values()])[lapse]
    return curves, np.log(weights / weights.sum())


@dataclass(frozen=True)
class Edge:
    """Where the rate is halfway between its asymptotes, in positions; those outside of 0 to 1 are extrapolated."""

    threshold: float  # median
    low: float  # of the threshold's central 95% interval
    high: float
    ten: float  # where the rate has gone 10% of its way
    ninety: float
    rises: bool  # whether the event is more frequent above it


@dataclass(frozen=True)
class Estimate:
    """The estimate of a curve, in positions."""

    edges: tuple[Edge, ...]
    least: float  # the rate on one side of an edge: a median, as the next one
    greatest: float
    safe: tuple[tuple[float, float], ...]  # regions in which the rate is below the risk with a probability of 95%
    is_nowhere_safe: bool  # whether there is hardly such a region, and not only none that is shown


class Posterior:
    """How probable each curve is, given the trials so far."""

    def __init__(self) -> None:
        self._logarithms = grid().prior
        self._weights: Array | None = None
        self._edges: tuple[Edge, ...] = ()

    def observe(self, position: float, happened: bool) -> None:
        """Update on the result of a trial."""
        probability = grid().curves.probability([position])[0]
        self._logarithms = self._logarithms + np.log(probability if happened else 1 - probability)
        self._weights, self._edges = None, ()

    @property
    def weights(self) -> Array:
        """The probability of each curve."""
        if self._weights is None:
            weights = np.exp(self._logarithms - self._logarithms.max())
            self._weights = weights / weights.sum()
        return self._weights

    def drawn(self, count: int, weights: Array | None = None) -> Curves:
        """Curves that stand for all, each as probable as another: evenly along the sum of their probabilities.

        Args:
            count: how many.
            weights: other ones than their probabilities.
        """
        summed = np.cumsum(self.weights if weights is None else weights)
        return grid().curves.taken(np.searchsorted(summed, (np.arange(count) + 0.5) / count * summed[-1]))

    @property
    def edges(self) -> tuple[Edge, ...]:
        """The one edge, or the two, whichever are more probable."""
        self._edges = self._edges or self._found()
        return self._edges

    def _found(self) -> tuple[Edge, ...]:
        single, curves, weights = grid().single, grid().curves, self.weights
        if weights[:single].sum() >= 0.5:
            return (_edge(curves.taken(slice(single)), weights[:single], STEPS),)
        two, likely = curves.taken(slice(single, None)), weights[single:]
        first = _edge(two, likely, COARSE_STEPS)
        return first, replace(_edge(replace(two, first=two.second), likely, COARSE_STEPS), rises=not first.rises)

    def estimate(self, risk: float) -> Estimate:
        """The estimate, in numbers.

        Args:
            risk: the rate that counts as safe.
        """
        positions = np.linspace(0, 1, STEPS + 1)
        drawn = self.drawn(LOOKED_AT)
        doubted = self.weights * np.where(grid().curves.least > LEAST_CHANCE, 1, DOUBT)
        safety = (self.drawn(LOOKED_AT, doubted).probability(positions) < risk).mean(axis=1)
        return Estimate(
            self.edges,
            float(np.median(drawn.least)),
            float(np.median(drawn.greatest)),
            tuple(_regions(positions, safety >= CREDIBLE)),
            bool(safety.max() < 0.5),
        )

    def mean(self, positions: Array) -> Array:
        """P(event) at each position, averaged over the curves."""
        return np.asarray(self.drawn(LOOKED_AT).probability(positions).mean(axis=1), np.float64)

    def band(self, positions: Array) -> tuple[Array, Array]:
        """The ends of the central 95% interval of P(event) at each position."""
        tail = (1 - CREDIBLE) / 2
        low, high = np.quantile(self.drawn(LOOKED_AT).probability(positions), [tail, 1 - tail], axis=1)
        return low, high


def _edge(curves: Curves, weights: Array, steps: int) -> Edge:
    """The first edge of these curves, on a grid of so many steps.

    The interval is that of the posterior, to the next steps around it: trials show only between which a threshold lies.
    """
    rises = bool(weights[curves.rises].sum() >= 0.5 * weights.sum())
    beyond = round(BEYOND * steps)
    # each threshold represents the values around it
    cells = np.rint(curves.first * steps - 0.5).astype(np.intp) + beyond
    below = np.concatenate([[0.0], np.cumsum(np.bincount(cells, weights))])
    ends = (np.arange(len(below)) - beyond) / steps
    tail = (1 - CREDIBLE) / 2
    low, median, high = np.interp(np.array([tail, 0.5, 1 - tail]) * below[-1], below, ends)
    scale = float(np.exp(np.average(np.log(curves.scales), weights=weights)))
    way = scale * math.log(9) * (1 if rises else -1)  # from the threshold to 90%
    return Edge(
        threshold=float(median),
        low=math.floor(low * steps + ROUNDING) / steps,
        high=math.ceil(high * steps - ROUNDING) / steps,
        ten=float(median) - way,
        ninety=float(median) + way,
        rises=rises,
    )


def _regions(positions: Array, holds: NDArray[np.bool_]) -> Iterator[tuple[float, float]]:
    """The least and the greatest position of each region in which something holds."""
    for value, region in itertools.groupby(zip(positions, holds, strict=True), key=lambda one: bool(one[1])):
        if value:
            inside = [float(position) for position, _ in region]
            if len(inside) > 1:  # a single one is where an estimate passes a bound by a hair
                yield inside[0], inside[-1]


def _logistic(z: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(z, -STEEPEST, STEEPEST))), np.float32)
