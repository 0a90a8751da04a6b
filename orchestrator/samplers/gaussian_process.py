"""A Gaussian process over a search space, averaged over its settings.

The settings are spread over all that may be, which does for one or two parameters, and further ones are drawn around
the most probable of all, which is found by its gradient: in five parameters, none of a few that are spread comes near.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from orchestrator.samplers.cube import Array, Cube, Position

Lengths = tuple[float, float]

SPREAD = 32  # settings that are spread over all that may be
NEAR, WIDTH = 8, 0.25  # further settings around the most probable, and how far, in their logarithms
FEWEST = 7  # results: fewer have no setting that is much more probable than others
STEPS = 30  # toward the most probable
NOISE = 1e-5, 0.3  # from the least to the most, as a share of the variance
GRAIN = 0.08  # of a range, over which the scatter between positions changes
WEIGHT = 4.0  # observations that outweigh the prior of the variance
NEGLIGIBLE = 0.01  # probability of a setting
TINY = 1e-12


@dataclass(frozen=True)
class Surface:
    """The assumptions about a process.

    Args:
        over: the shortest and the longest of its lengths, in parts of a range.
        rough: the share of its noise that belongs to the position: positions next to each other have nearly the same.
    """

    over: Lengths
    rough: float = 0.0


class KernelSettings(NamedTuple):
    """Of a process: the lengths along each axis (columns) over which it changes, and its shares of noise."""

    lengths: Array
    noise: Array

    def of(self, chosen: np.ndarray) -> "KernelSettings":
        """Some of them."""
        return KernelSettings(self.lengths[chosen], self.noise[chosen])


class Process:
    """A Gaussian process, averaged over its settings by how probable they are, given what it has learned from.

    Its covariance is Matern's of 5/2; the part of the noise that belongs to the position has another, of a short and
    fixed length.

    Args:
        cube: where it is.
        surface: the assumptions about it.
        at: positions (rows).
        seen: what was seen there.
    """

    def __init__(self, cube: Cube, surface: Surface, at: Array, seen: Array) -> None:
        self._cube, self._surface, self._at = cube, surface, at
        self._mean, self.spread = float(seen.mean()), float(seen.std()) or 1.0
        learned = LearnedFrom(cube.distances(at, at), surface, (seen - self._mean) / self.spread)
        self._settings, self._weights, inverse = learned.settings()
        self._inverse, self._solved = inverse, inverse @ learned.targets
        self._variance = (self._solved @ learned.targets + WEIGHT) / (len(at) + WEIGHT)
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
        noise = ((1 - self._surface.rough) * self._settings.noise * self._variance)[:, None] * self.spread**2
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
        across = covariance(self._cube.distances(candidates, self._at), self._surface, self._settings)
        mean = np.einsum("smn,sn->sm", across, self._solved)
        rough = self._surface.rough * self._settings.noise
        unexplained = (1 + rough)[:, None] - np.einsum("smn,smn->sm", across @ self._inverse, across)
        variance = self._variance[:, None] * np.maximum(unexplained, TINY)
        return self._mean + self.spread * mean, self.spread**2 * variance


class LearnedFrom:
    """What a process has learned from, and which settings that makes probable.

    Args:
        squared: distances along each axis (last), squared, between all positions.
        surface: the assumptions.
        targets: what was seen there, standardized.
    """

    def __init__(self, squared: Array, surface: Surface, targets: Array) -> None:
        self._squared, self._surface, self.targets = squared, surface, targets
        self._eye = np.eye(len(targets))
        self._rough = matern(squared.sum(axis=-1) / GRAIN**2)

    def settings(self) -> tuple[KernelSettings, Array, Array]:
        """The probable settings, with their weights and the inverses of the covariances."""
        spread = spread_settings(self._squared.shape[-1], self._surface.over)
        inverse, weights = self._weighed(spread)
        if len(self.targets) < FEWEST:
            kept = weights > NEGLIGIBLE
            return spread.of(kept), weights[kept] / weights[kept].sum(), inverse[kept]
        near = self._near_the_most_probable(spread.of(np.array([weights.argmax()])))
        known = spread.of(weights > NEGLIGIBLE)
        both = KernelSettings(np.vstack([known.lengths, near.lengths]), np.append(known.noise, near.noise))
        inverse, weights = self._weighed(both)
        kept = weights > NEGLIGIBLE
        return both.of(kept), weights[kept] / weights[kept].sum(), inverse[kept]

    def _weighed(self, settings: KernelSettings) -> tuple[Array, Array]:
        """The inverse of each setting's covariance, and how probable it is, averaged over the variance there may be."""
        white = (1 - self._surface.rough) * settings.noise
        whole = covariance(self._squared, self._surface, settings) + white[:, None, None] * self._eye
        inverse = np.asarray(np.linalg.inv(whole), np.float64)
        squares = (inverse @ self.targets) @ self.targets
        determinant = np.linalg.slogdet(whole)[1]
        logarithms = -determinant / 2 - (len(self.targets) + WEIGHT) / 2 * np.log(squares + WEIGHT)
        weights = np.exp(logarithms - logarithms.max())
        return inverse, weights / weights.sum()

    def _near_the_most_probable(self, start: KernelSettings) -> KernelSettings:
        """The most probable setting that is found from this one, and some around it."""
        from scipy.optimize import minimize  # takes a while to import

        axes = self._squared.shape[-1]
        low, high = (np.log([*[length] * axes, noise]) for length, noise in zip(self._surface.over, NOISE, strict=True))
        at = np.log(np.append(start.lengths[0], start.noise[0]))
        bounds = np.stack([low, high], axis=1)
        found = minimize(
            self._improbability, at, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": STEPS}
        ).x
        around = found + WIDTH * _normal(NEAR, axes + 1)
        both = np.exp(np.clip(np.vstack([found, around]), low, high))
        return KernelSettings(both[:, :-1], both[:, -1])

    def _improbability(self, logarithms: Array) -> tuple[float, Array]:
        """How improbable a setting is, as a logarithm but for a constant, and its gradient, by its own logarithms."""
        inverse_squares, noise = np.exp(-2 * logarithms[:-1]), np.exp(logarithms[-1])
        r = np.sqrt(5 * (self._squared @ inverse_squares))
        decay = np.exp(-r)
        share = self._surface.rough
        scatter = share * self._rough + (1 - share) * self._eye
        whole = (1 + r + r * r / 3) * decay + noise * scatter
        inverse = np.linalg.inv(whole)
        solved = inverse @ self.targets
        squares = self.targets @ solved + WEIGHT
        half = (len(self.targets) + WEIGHT) / 2
        value = np.linalg.slogdet(whole)[1] / 2 + half * math.log(squares)
        by_covariance = inverse / 2 - half / squares * np.outer(solved, solved)
        by_distance = by_covariance * (-5 / 6 * (1 + r) * decay)
        by_lengths = -2 * inverse_squares * np.einsum("ij,ijk->k", by_distance, self._squared)
        return value, np.append(by_lengths, noise * (by_covariance * scatter).sum())


def covariance(squared: Array, surface: Surface, settings: KernelSettings) -> Array:
    """By each setting (first), without white noise, from squared distances along each axis (last)."""
    smooth = matern(np.moveaxis(squared @ (settings.lengths**-2).T, 2, 0))
    rough = surface.rough * settings.noise
    return np.asarray(smooth + rough[:, None, None] * matern(squared.sum(axis=-1) / GRAIN**2))


@cache
def spread_settings(axes: int, over: Lengths) -> KernelSettings:
    """Evenly spread in their logarithms, a Latin hypercube."""
    rng = np.random.default_rng(0)
    even = np.stack([(rng.permutation(SPREAD) + 0.5) / SPREAD for _ in range(axes + 1)], axis=1)
    lengths, noise = (low * (high / low) ** even for low, high in (over, NOISE))
    return KernelSettings(lengths[:, :axes], noise[:, axes])


@cache
def _normal(rows: int, columns: int) -> Array:
    return np.random.default_rng(1).standard_normal((rows, columns))


def matern(squared: Array) -> Array:
    """The correlation at squared distances, in lengths."""
    r = np.sqrt(5 * squared)
    return np.asarray((1 + r + r * r / 3) * np.exp(-r))
