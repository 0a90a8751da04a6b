"""Places all over a search space, for a search to look at whatever it knows."""

import numpy as np

from orchestrator.samplers.feasibility import Cube

STRATA = 8  # points after which each axis has one in each of as many parts

FIRST = (1, 2, 4, 8, 12, 16)  # proposals that spread; the middle of the space, 0, comes before them
EVERY = 8  # after these, one of so many


def index_of(number: int) -> int | None:
    """Which point of the sequence a proposal is, if it is one of those that spread: more at first, fewer later."""
    if number <= FIRST[-1]:
        return FIRST.index(number) if number in FIRST else None
    further, rest = divmod(number - FIRST[-1], EVERY)
    return None if rest else len(FIRST) - 1 + further


def spread(cube: Cube, seed: int, number: int) -> dict[str, float]:
    """Values of a sequence that is even along each axis: of each eight, one is in each eighth (a Latin hypercube).

    They lie an eighth apart, so that they miss nothing that takes as much of an axis.
    """
    rng = np.random.default_rng((seed, number // STRATA))
    parts = np.array([rng.permutation(STRATA) for _ in range(cube.axes)])
    within = rng.random((cube.axes, 1))
    point = ((parts + within) / STRATA)[:, number % STRATA]
    return cube.values(np.where(cube.choices > 0, point * cube.choices, point).tolist())
