"""The model of a boundary that `boundaries.py` holds ours against: one edge, between fixed asymptotes of 1% and 99%.

It is what `method: boundary` used up to version 1.0, kept here for the figures beside the present ones.
"""

import math

import numpy as np

POSITIONS = np.linspace(0, 1, 201)
LAPSE = 0.01
THRESHOLDS = (np.arange(-50, 250) + 0.5) / 200
SIGNS, SPREADS, AT = (
    axis.ravel() for axis in np.meshgrid([1.0, -1.0], np.geomspace(0.01, 2.0, 20), THRESHOLDS, indexing="ij")
)
SCALES = SPREADS / (2 * math.log(9))


def _probability(positions: np.ndarray) -> np.ndarray:
    z = SIGNS * (positions[:, None] - AT) / SCALES
    return LAPSE + (1 - 2 * LAPSE) / (1 + np.exp(-np.clip(z, -50, 50)))


def _entropy(p: np.ndarray) -> np.ndarray:
    return -p * np.log(p) - (1 - p) * np.log1p(-p)


TABLE = _probability(POSITIONS)
ENTROPY = _entropy(TABLE)


class OneEdge:
    """How probable each curve is, given the trials so far."""

    def __init__(self) -> None:
        self.logarithms = 0.5 * np.log(SCALES)

    @property
    def weights(self) -> np.ndarray:
        weights = np.exp(self.logarithms - self.logarithms.max())
        return weights / weights.sum()

    def next(self) -> float:
        """The position at which a trial is expected to tell most."""
        weights = self.weights
        return float(POSITIONS[np.argmax(_entropy(TABLE @ weights) - ENTROPY @ weights)])

    def observe(self, position: float, happened: bool) -> None:
        probability = _probability(np.array([position]))[0]
        self.logarithms = self.logarithms + np.log(probability if happened else 1 - probability)

    def interval(self) -> tuple[float, float]:
        """The threshold's central 95% interval."""
        cells = np.rint(AT * 200 - 0.5).astype(int) + 50
        below = np.concatenate([[0.0], np.cumsum(np.bincount(cells, self.weights))])
        low, high = np.interp([0.025, 0.975], below, (np.arange(len(below)) - 50) / 200)
        return math.floor(low * 200 + 1e-6) / 200, math.ceil(high * 200 - 1e-6) / 200

    def safe(self, risk: float) -> tuple[tuple[float, float], ...]:
        """The region up to the outermost position at which the rate is below a risk with a probability of 95%."""
        weights = self.weights
        reach = AT + SIGNS * SCALES * math.log(risk / (1 - risk))
        safety = np.array([weights[SIGNS * (reach - at) > 0].sum() for at in POSITIONS])
        safe = POSITIONS[safety >= 0.95]
        if not len(safe):
            return ()
        return ((0.0, float(safe.max())),) if weights[SIGNS > 0].sum() >= 0.5 else ((float(safe.min()), 1.0),)
