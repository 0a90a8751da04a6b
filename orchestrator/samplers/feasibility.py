"""Which candidate to run, where trials may explode: by what it may gain, and how likely it is to be stable.

Two Gaussian processes learn over the space: the first learns the metric, from the trials that have a value; the second
learns the margin by which trials exploded or did not. The value of a candidate is

    (EI + PRICE * spread of the values) * P(margin < 0) - SHORT * (how far it is expected to be below the best)

The first term is, but for a constant, the gain to expect less the price of an explosion: EI * P - price * (1 - P). So
the cliff is approached as long as that gains more than it costs; then stable candidates have the highest value. The
second term chooses among these, as most have nothing to gain: it prefers those near the best to those that are only far
from the cliff. EI * P alone is the constrained expected improvement of J. R. Gardner et al., Bayesian Optimization with
Inequality Constraints, ICML 2014: beside a cliff it never stops trying points a little beyond it. Where no margin of a
stable trial is known, P counts to the power of CAUTION.

Values scatter between positions. Most of this scatter is assumed to belong to the position, not to the trial: running
the best position again gains nothing, a position beside it may.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from orchestrator.divergence import FARTHEST
from orchestrator.samplers.cube import Array, Cube, Position
from orchestrator.samplers.gaussian_process import Process, Surface

PRICE = 0.02  # of an explosion, in standard deviations of the values
SHORT = 0.001  # of the distance to the best: too small to matter where there is something to gain
CAUTION = 4.0  # the power of the probability where nobody knows margins: it falls too slowly toward the cliff
MOST = 64  # trials that a process learns from


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


VALUES = Surface((0.03, 2.0), rough=0.9)
MARGINS = Surface((0.25, 2.0))  # explosions are not islands: between two explosions lies a third


class Worth:
    """The values of candidates, given the results so far and the positions of running trials."""

    def __init__(self, cube: Cube, seen: Sequence[SeenConfiguration], running: Sequence[Position]) -> None:
        seen = _nearest(cube, [configuration for configuration in seen if configuration.is_trained])
        at = np.array([configuration.at for configuration in seen])
        self._margin = Process.with_running(cube, MARGINS, at, _margins(seen), running) if seen else None
        known = any(one.margin is not None for one in seen if not one.exploded)
        self._caution = 1.0 if known else CAUTION
        stable = [i for i, configuration in enumerate(seen) if configuration.value is not None]
        values = np.array([seen[i].value for i in stable])
        self._value = Process.with_running(cube, VALUES, at[stable], _clipped(values), running) if stable else None

    def of(self, candidates: Array, kept: Array) -> Array:
        """Of each candidate (a row), on a scale that only compares.

        Args:
            candidates: their positions.
            kept: the probability that each keeps all other limits.
        """
        stable = kept * (1.0 if self._margin is None else self._margin.below_zero(candidates) ** self._caution)
        if self._value is None:
            return stable
        gained = self._value.improvement(candidates) + PRICE * self._value.spread
        return gained * stable - SHORT * self._value.shortfall(candidates)


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
