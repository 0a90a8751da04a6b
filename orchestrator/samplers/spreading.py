"""Places all over a search space, for a search to look at whatever it knows."""

import numpy as np

from orchestrator.samplers.cube import Array, Cube

STRATA = 8  # points after which each axis has one in each of as many parts

FIRST = (1, 2, 6, 8, 10, 12, 15, 18)  # proposals that spread; the middle of the space, 0, comes before them
EVERY = 24  # after these, one of so many


def index_of(number: int) -> int | None:
    """Which point of the sequence a proposal is, if it is one of those that spread: more at first, fewer later."""
    if number <= FIRST[-1]:
        return FIRST.index(number) if number in FIRST else None
    further, rest = divmod(number - FIRST[-1], EVERY)
    return None if rest else len(FIRST) - 1 + further


def spread(cube: Cube, seed: int, number: int, tried: Array) -> dict[str, float]:
    """Values of a sequence that is even along each axis: of each eight, one is in each eighth (a Latin hypercube).

    They lie an eighth apart, so that they miss nothing that takes as much of an axis. Where an axis has choices, it is
    one of those that the fewest trials had: else a choice that explodes early, or is known from one bad place, is left.

    Args:
        cube: the space.
        seed: of the sequence.
        number: of the point.
        tried: positions of trials that have a value or run (rows), NaN where a trial does not vary an axis.
    """
    rng = np.random.default_rng((seed, number // STRATA))
    parts = np.array([rng.permutation(STRATA) for _ in range(cube.axes)])
    within = rng.random((cube.axes, 1))
    point = ((parts + within) / STRATA)[:, number % STRATA]
    at = np.where(cube.choices > 0, np.floor(point * cube.choices), point)
    for axis in np.flatnonzero(cube.choices) if len(tried) else ():
        varied = tried[~np.isnan(tried[:, axis]), axis]
        counts = np.bincount(varied.astype(int), minlength=cube.choices[axis])
        if counts[int(at[axis])] > counts.min():
            fewest = np.flatnonzero(counts == counts.min())
            at[axis] = fewest[int(at[axis]) % len(fewest)]
    return cube.values(at.tolist())
