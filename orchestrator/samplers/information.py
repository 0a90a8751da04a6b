"""What a further trial is expected to tell of the curve P(event | value)."""

from collections.abc import Sequence

import numpy as np

from orchestrator.comparison.psychometric import Array, Curves, Floats, Posterior

DRAWN = 640  # curves that stand for all
IMAGINED = 8  # draws of the results that are still to come


class Candidates:
    """Positions at which the next trial could be, and the information to expect from it there.

    Args:
        positions: of the candidates.
        caution: how often information on the rate of chance events counts.
    """

    def __init__(self, positions: Array, caution: float = 1.0) -> None:
        self.positions = positions
        self.caution = caution

    def gains(self, posterior: Posterior, running: Sequence[float] = (), seed: Sequence[int] = ()) -> Array:
        """What a trial at each position is expected to tell, in nats.

        That is by how much the entropy over the curves falls. What it tells of the lower asymptote may count several
        times, as what is safe depends on that; what it tells of the upper one does not count.

        Results of running trials are imagined: each of a few curves, drawn from the posterior, gives the results of all
        running trials, and the curves are weighed by them. So the information is beyond that of the running trials.

        Args:
            posterior: of the curves.
            running: positions of the running trials.
            seed: of the draws.
        """
        drawn = posterior.drawn(DRAWN)
        probability = drawn.probability(self.positions)
        weights = _imagined(drawn, running, seed)
        shared = weights.mean(axis=0)
        # einsum, as the threads of a matrix product would wait for the cores on which trials run
        expected = _entropy(np.einsum("nk,mk->mn", probability, weights)).mean(axis=0)
        gains = expected - np.einsum("nk,k->n", _entropy(probability), shared)
        gains += (self.caution - 1) * _told_of(drawn.least, probability, shared)
        gains -= _told_of(drawn.greatest, probability, shared)
        return np.asarray(gains, np.float64)


def _imagined(drawn: Curves, running: Sequence[float], seed: Sequence[int]) -> Floats:
    """The weights of curves (columns) after each of a few imagined results of running trials (rows)."""
    if not len(running):
        return np.full((1, DRAWN), 1 / DRAWN, np.float32)
    rng = np.random.default_rng(seed)
    probability = drawn.probability(running)
    happens = rng.random((len(running), IMAGINED)) < probability[:, rng.integers(DRAWN, size=IMAGINED)]
    logarithms = np.einsum("rm,rk->mk", happens, np.log(probability))
    logarithms += np.einsum("rm,rk->mk", ~happens, np.log(1 - probability))
    weights = np.exp(logarithms - logarithms.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def _told_of(trait: Floats, probability: Floats, weights: Floats) -> Floats:
    """What a trial at each position tells of a trait that curves have at several levels, in nats."""
    told = _entropy(np.einsum("nk,k->n", probability, weights))
    for level in np.unique(trait):
        of_level = trait == level
        share = weights[of_level].sum()
        if share > 0:
            told -= share * _entropy(np.einsum("nk,k->n", probability[:, of_level], weights[of_level] / share))
    return told


def _entropy(probability: Floats) -> Floats:
    """Of an event with this probability, in nats."""
    p = probability  # asymptotes keep it from 0 and 1
    return np.asarray(-p * np.log(p) - (1 - p) * np.log1p(-p), np.float32)
