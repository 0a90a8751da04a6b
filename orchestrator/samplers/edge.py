"""Where an edge is of which trials tell little more than on which side of it they are.

A Gaussian process over the space, above 0 beyond the edge. A trial that keeps to it tells that the process is below 0,
one that breaks it tells that it is above, or how far, where that is known. So an edge is as sharp as trials show it to
be: a process that learned 1 and -1 as numbers would be a gentle slope. It is approximated around its most probable
values (Laplace; C. E. Rasmussen and C. K. I. Williams, Gaussian Processes for Machine Learning, 2006, chapter 3), and
averaged over its settings by how probable they are.
"""

import math

import numpy as np
from scipy.special import log_ndtr, ndtr

from orchestrator.samplers.cube import Array, Cube
from orchestrator.samplers.gaussian_process import NEGLIGIBLE, matern, spread_settings

STEPS, CONVERGED = 20, 1e-3  # of Newton's method: the most, and a change that ends it
LENGTHS = 0.5, 5.0  # in parts of a range: what is beyond an edge seldom ends
SHARPER = 0.1  # share of the noise that other processes have: most limits are strict
SCALES = 1.0, 4.0  # of the process, in medians of the margins that are known


class LimitEdge:
    """An edge, as trials have shown it.

    Args:
        cube: the space.
        at: positions of trials (rows).
        kept: which of them keep to it.
        margins: how far those that do not are beyond it; NaN where that is not known.
    """

    def __init__(self, cube: Cube, at: Array, kept: np.ndarray, margins: Array) -> None:
        self._cube, self._at = cube, at
        lengths, noise = spread_settings(cube.axes, LENGTHS)
        known = ~np.isnan(margins)
        scales = np.median(margins[known]) * np.array(SCALES) if known.any() else np.ones(1)
        self._lengths = np.tile(lengths, (len(scales), 1))
        noise = SHARPER * np.tile(noise, len(scales))
        unit = np.repeat(scales, len(lengths)) * np.sqrt(noise)  # of the process: what is not told apart
        self._variance = 1 / noise  # in these units
        side = np.where(kept, -1.0, 1.0)
        targets = np.where(known, margins, 0.0) / unit[:, None]
        covariance = self._covariance(at)
        values = np.zeros((len(noise), len(at)))
        for _ in range(STEPS):
            slope, bend, _ = _told(values, side, known, targets)
            root, inner = self._factors(covariance, bend)
            pull = bend * values + slope
            inside = root * np.einsum("snm,sm->sn", covariance, pull)
            solved = np.linalg.solve(inner, inside[..., None])[..., 0]
            before, values = values, np.einsum("snm,sm->sn", covariance, pull - root * solved)
            if np.abs(values - before).max() < CONVERGED:
                break
        self._slope, bend, likelihood = _told(values, side, known, targets)
        self._root, self._inner = self._factors(covariance, bend)
        evidence = likelihood.sum(axis=1) - np.einsum("sn,sn->s", values, self._slope) / 2
        evidence -= np.linalg.slogdet(self._inner)[1] / 2 + known.sum() * np.log(unit)
        weights = np.exp(evidence - evidence.max())
        self._weights = np.where(weights > NEGLIGIBLE * weights.max(), weights, 0.0)
        self._weights /= self._weights.sum()

    def kept(self, candidates: Array) -> Array:
        """The probability that each candidate (a row) keeps to it."""
        across = self._covariance(candidates)
        mean = np.einsum("smn,sn->sm", across, self._slope)
        weighed = across * self._root[:, None, :]
        solved = np.linalg.solve(self._inner, weighed.transpose(0, 2, 1))
        variance = self._variance[:, None] - np.einsum("smn,snm->sm", weighed, solved)
        return np.asarray(self._weights @ ndtr(-mean / np.sqrt(1 + np.maximum(variance, 0.0))))

    def _covariance(self, candidates: Array) -> Array:
        """Of candidates (rows) with what was seen (columns), by each setting."""
        squared = self._cube.distances(candidates, self._at)
        smooth = matern(np.einsum("mna,sa->smn", squared, self._lengths**-2))
        return np.asarray(self._variance[:, None, None] * smooth)

    @staticmethod
    def _factors(covariance: Array, bend: Array) -> tuple[Array, Array]:
        """The roots of the curvatures, and 1 + root * covariance * root, which can be inverted."""
        root = np.sqrt(bend)
        inner = root[:, :, None] * covariance * root[:, None, :]
        return root, inner + np.eye(inner.shape[-1])


def _told(values: Array, side: Array, known: np.ndarray, targets: Array) -> tuple[Array, Array, Array]:
    """Slope and curvature of the logarithm of the likelihood of what trials told, and that logarithm."""
    z = side * values
    logarithm = log_ndtr(z)
    ratio = np.exp(-z * z / 2 - math.log(2 * math.pi) / 2 - logarithm)
    apart = targets - values
    slope = np.where(known, apart, side * ratio)
    bend = np.where(known, 1.0, np.maximum(ratio * (ratio + z), 1e-10))
    return slope, bend, np.where(known, -apart * apart / 2, logarithm)
