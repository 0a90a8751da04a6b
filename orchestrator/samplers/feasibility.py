"""Which candidate to run, where trials may explode: by what it may gain, and how likely it is to be stable.

Two Gaussian processes learn over the space: the first learns the metric, from the trials that have a value; the second
learns the margin by which trials exploded or did not. The value of a candidate is

    (EI + PRICE * spread of the values) * P(margin < 0) - SHORT * (how far it is expected to be below the best)

The first term is, but for a constant, the gain to expect less the price of an explosion: EI * P - price * (1 - P). So
the cliff is approached as long as that gains more than it costs; then stable candidates have the highest value. The
second term chooses among these, as most have nothing to gain: it prefers those near the best to those that are only far
from the cliff. EI * P alone is the constrained expected improvement of J. R. Gardner et al., Bayesian Optimization with
Inequality Constraints, ICML 2014: beside a cliff it never stops trying points a little beyond it.

Values scatter between positions. Most of this scatter is assumed to belong to the position, not to the trial: running
the best position again gains nothing, a position beside it may.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from orchestrator.comparison.psychometric import Scale
from orchestrator.divergence import FARTHEST
from orchestrator.spec.domains import Choice, Domain
from orchestrator.trial import Params

Array = NDArray[np.float64]
Position = tuple[float, ...]
Lengths = tuple[float, float]

PRICE = 0.01  # of an explosion, in standard deviations of the values
SHORT = 0.001  # of the distance to the best: too small to matter where there is something to gain
MOST = 64  # trials that a process learns from
SETTINGS = 32  # of a process, over which it is averaged
NOISE = 1e-5, 0.3  # from the least to the most, as a share of the variance
GRAIN = 0.08  # of a range, over which the scatter between positions changes
WEIGHT = 4.0  # observations that outweigh the prior of the variance
NEGLIGIBLE = 0.01  # probability of a setting
TINY = 1e-12


@dataclass(frozen=True)
class SeenConfiguration:
    """The result of a configuration."""

    at: Position
    value: float | None  # of the metric, more being better; None where it exploded or broke another limit
    margin: float | None  # above 0 where it exploded; None where it did not and the margin is unknown
    beyond: Mapping[str, float | None] = field(default_factory=dict)  # by limit, as `limits` has them
    is_trained: bool = True  # else it was infeasible or failed, and tells nothing of explosions

    @property
    def exploded(self) -> bool:
        return self.margin is not None and self.margin > 0


@dataclass(frozen=True)
class Surface:
    """The assumptions about a process.

    Args:
        over: the shortest and the longest of its lengths, in parts of a range.
        rough: the share of its noise that belongs to the position: positions next to each other have nearly the same.
    """

    over: Lengths
    rough: float = 0.0


VALUES = Surface((0.03, 2.0), rough=0.9)
MARGINS = Surface((0.25, 2.0))  # explosions are not islands: between two explosions lies a third


class Cube:
    """The search space as a cube: numbers from 0 to 1 on their own scale, choices by their index."""

    def __init__(self, domains: Mapping[str, Domain]) -> None:
        self._scales = {
            name: None if isinstance(domain, Choice) else Scale(domain.low, domain.high, domain.log)
            for name, domain in domains.items()
        }
        counts = [len(domain.values) if isinstance(domain, Choice) else 0 for domain in domains.values()]
        self.choices = np.array(counts)  # by axis; 0 where it has numbers
        self._is_choice = self.choices > 0

    @property
    def axes(self) -> int:
        return len(self._scales)

    def position(self, values: Params) -> Position:
        """The position of values, in which choices are given by their index."""
        return tuple(scale.position(values[name]) if scale else values[name] for name, scale in self._scales.items())

    def values(self, position: Sequence[float]) -> dict[str, float]:
        """The values at a position, choices by their index."""
        pairs = zip(self._scales.items(), position, strict=True)
        return {name: scale.value(float(at)) if scale else int(at) for (name, scale), at in pairs}

    def distances(self, some: Array, others: Array) -> Array:
        """Along each axis (last), squared, of `some` from `others`; choices that differ are 1 apart."""
        apart = np.abs(some[:, None, :] - others[None, :, :])
        return np.asarray(np.where(self._is_choice, apart > 0, apart) ** 2)


class Worth:
    """The values of candidates, given the results so far and the positions of running trials."""

    def __init__(self, cube: Cube, seen: Sequence[SeenConfiguration], running: Sequence[Position]) -> None:
        seen = _nearest(cube, [configuration for configuration in seen if configuration.is_trained])
        at = np.array([configuration.at for configuration in seen])
        self._margin = Process.with_running(cube, MARGINS, at, _margins(seen), running) if seen else None
        stable = [i for i, configuration in enumerate(seen) if configuration.value is not None]
        values = np.array([seen[i].value for i in stable])
        self._value = Process.with_running(cube, VALUES, at[stable], _clipped(values), running) if stable else None

    def of(self, candidates: Array, kept: Array) -> Array:
        """Of each candidate (a row), on a scale that only compares.

        Args:
            candidates: their positions.
            kept: the probability that each keeps all other limits.
        """
        stable = kept * (1.0 if self._margin is None else self._margin.below_zero(candidates))
        if self._value is None:
            return stable
        gained = self._value.improvement(candidates) + PRICE * self._value.spread
        return gained * stable - SHORT * self._value.shortfall(candidates)


class Process:
    """A Gaussian process, averaged over its settings by how probable they are, given what it has learned from.

    Its settings are the length along each axis over which it changes, and the share of noise. Its covariance is
    Matern's of 5/2; the part of the noise that belongs to the position has another, of a short and fixed length.

    Args:
        cube: where it is.
        surface: the assumptions about it.
        at: positions (rows).
        seen: what was seen there.
    """

    def __init__(self, cube: Cube, surface: Surface, at: Array, seen: Array) -> None:
        self._cube, self._at = cube, at
        self._mean, self.spread = float(seen.mean()), float(seen.std()) or 1.0
        targets = (seen - self._mean) / self.spread
        self._lengths, noise = settings(cube.axes, surface.over)
        self._rough, self._white = surface.rough * noise, (1 - surface.rough) * noise
        covariance = self._covariance(at) + self._white[:, None, None] * np.eye(len(at))
        inverse = np.asarray(np.linalg.inv(covariance), np.float64)
        weights = _probability(covariance, inverse, targets)
        kept = weights > NEGLIGIBLE
        self._weights = weights[kept] / weights[kept].sum()
        self._lengths, self._rough, self._white = self._lengths[kept], self._rough[kept], self._white[kept]
        self._inverse = inverse[kept]
        self._solved = self._inverse @ targets
        self._variance = (self._solved @ targets + WEIGHT) / (len(targets) + WEIGHT)
        self._best = float(self.expected(at).max())

    @classmethod
    def with_running(
        cls, cube: Cube, surface: Surface, at: Array, seen: Array, running: Sequence[Position]
    ) -> "Process":
        """A process that takes its expectations of the running trials as their results."""
        process = cls(cube, surface, at, seen)
        if not running:
            return process
        pending = np.array(running)
        return cls(cube, surface, np.vstack([at, pending]), np.append(seen, process.expected(pending)))

    def expected(self, candidates: Array) -> Array:
        """The expected value at each candidate."""
        return np.asarray(self._weights @ self._predict(candidates)[0])

    def below_zero(self, candidates: Array) -> Array:
        """The probability that the result at each candidate is below 0."""
        mean, variance = self._predict(candidates)
        noise = (self._white * self._variance)[:, None] * self.spread**2
        return np.asarray(self._weights @ ndtr(-mean / np.sqrt(variance + noise)))

    def improvement(self, candidates: Array) -> Array:
        """By how much each candidate is expected to exceed the best so far."""
        mean, variance = self._predict(candidates)
        deviation = np.sqrt(variance)
        z = (mean - self._best) / deviation
        density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
        return np.asarray(self._weights @ (deviation * np.maximum(z * ndtr(z) + density, 0.0)))

    def shortfall(self, candidates: Array) -> Array:
        """By how much each candidate is expected to be below the best so far."""
        return np.maximum(self._best - self.expected(candidates), 0.0)

    def _predict(self, candidates: Array) -> tuple[Array, Array]:
        """Mean and variance, without white noise, by each setting (rows) at each candidate (columns)."""
        across = self._covariance(candidates)
        mean = np.einsum("smn,sn->sm", across, self._solved)
        unexplained = (1 + self._rough)[:, None] - np.einsum("smn,smn->sm", across @ self._inverse, across)
        variance = self._variance[:, None] * np.maximum(unexplained, TINY)
        return self._mean + self.spread * mean, self.spread**2 * variance

    def _covariance(self, candidates: Array) -> Array:
        """Of candidates (rows) with the positions that it has learned from (columns), by each setting."""
        squared = self._cube.distances(candidates, self._at)
        smooth = matern(np.moveaxis(squared @ (self._lengths**-2).T, 2, 0))
        return smooth + self._rough[:, None, None] * matern(squared.sum(axis=-1) / GRAIN**2)


@cache
def settings(axes: int, over: Lengths) -> tuple[Array, Array]:
    """Lengths along each axis (columns), and shares of noise: evenly spread in their logarithms, a Latin hypercube."""
    rng = np.random.default_rng(0)
    even = np.stack([(rng.permutation(SETTINGS) + 0.5) / SETTINGS for _ in range(axes + 1)], axis=1)
    lengths, noise = (low * (high / low) ** even for low, high in (over, NOISE))
    return lengths[:, :axes], noise[:, axes]


def matern(squared: Array) -> Array:
    """The correlation at squared distances, in lengths."""
    r = np.sqrt(5 * squared)
    return np.asarray((1 + r + r * r / 3) * np.exp(-r))


def _probability(covariance: Array, inverse: Array, targets: Array) -> Array:
    """Of each setting, averaged over the variance that the process may have."""
    squares = (inverse @ targets) @ targets
    determinant = np.linalg.slogdet(covariance)[1]
    logarithms = -determinant / 2 - (len(targets) + WEIGHT) / 2 * np.log(squares + WEIGHT)
    weights = np.exp(logarithms - logarithms.max())
    return np.asarray(weights / weights.sum())


def _margins(seen: Sequence[SeenConfiguration]) -> Array:
    """Unknown margins of configurations that did not explode are taken as the median of the known ones."""
    stable = [item.margin for item in seen if item.margin is not None and not item.exploded]
    unknown = float(np.median(stable)) if stable else -FARTHEST
    return np.array([unknown if item.margin is None else item.margin for item in seen])


def _clipped(values: Array) -> Array:
    """As shares of the largest; none is farther below the median than the best is above, so that none dominates."""
    shares = values / (np.abs(values).max() or 1.0)
    return np.asarray(np.maximum(shares, 2 * np.median(shares) - shares.max()))


def _goodness(seen: SeenConfiguration) -> tuple[bool, float]:
    """Any value is better than an explosion; of explosions the smallest margin is best."""
    return (True, seen.value) if seen.value is not None else (False, -(seen.margin or 0.0))


def _nearest(cube: Cube, seen: Sequence[SeenConfiguration]) -> Sequence[SeenConfiguration]:
    """Those to learn from: half are the first, which are spread out, half the nearest to the best among the rest."""
    if len(seen) <= MOST:
        return seen
    first, rest = seen[: MOST // 2], seen[MOST // 2 :]
    best = max(seen, key=_goodness)
    squared = cube.distances(np.array([best.at]), np.array([item.at for item in rest]))[0].sum(axis=1)
    nearest = np.argsort(squared, kind="stable")[: MOST // 2]
    return [*first, *(rest[i] for i in np.sort(nearest))]
