"""Places all over a search space, for a search to look at whatever it knows."""

import numpy as np

from orchestrator.samplers.feasibility import Cube

STRATA = 8  # points after which each axis has one in each of as many parts


def spread(cube: Cube, seed: int, number: int) -> dict[str, float]:
    """Values of a sequence that is even along each axis: of each eight, one is in each eighth (a Latin hypercube)."""
    rng = np.random.default_rng((seed, number // STRATA))
    parts = np.array([rng.permutation(STRATA) for _ in range(cube.axes)])
    within = rng.random((cube.axes, STRATA))
    point = ((parts + within) / STRATA)[:, number % STRATA]
    return cube.values(np.where(cube.choices > 0, point * cube.choices, point).tolist())
