"""Candidates of a search's own: evenly spread over its space, or near what it knows to be good."""

import numpy as np

from orchestrator.samplers.feasibility import Array, Cube

STRATA = 8  # points after which each axis has one in each of as many parts
FEW = 2.0  # axes along which a move goes, on average
OTHER = 0.2  # probability of another choice, where a move goes along its axis


def spread(cube: Cube, seed: int, number: int) -> dict[str, float]:
    """Values of a sequence that is even along each axis: of each eight, one is in each eighth (a Latin hypercube)."""
    rng = np.random.default_rng((seed, number // STRATA))
    parts = np.array([rng.permutation(STRATA) for _ in range(cube.axes)])
    within = rng.random((cube.axes, STRATA))
    point = ((parts + within) / STRATA)[:, number % STRATA]
    return cube.values(np.where(cube.choices > 0, point * cube.choices, point).tolist())


def moved(cube: Cube, places: Array, by: float, count: int, rng: np.random.Generator) -> Array:
    """Places moved by about so much of a range, along a few of their axes each; choices are chosen anew.

    To move along a few axes at a time is from R. G. Regis and C. A. Shoemaker, Combining radial basis function
    surrogates and dynamic coordinate search, Engineering Optimization 45, 2013.
    """
    chosen = places[rng.integers(0, len(places), count)]
    axes = places.shape[1]
    moves = rng.random(chosen.shape) < min(1.0, FEW / axes)
    moves[np.arange(count), rng.integers(0, axes, count)] = True
    numbers = np.clip(chosen + by * rng.standard_normal(chosen.shape), 0.0, 1.0)
    choices = np.floor(rng.random(chosen.shape) * cube.choices)
    others = moves & (rng.random(chosen.shape) < OTHER)
    is_choice = cube.choices > 0
    return np.asarray(np.where(is_choice, np.where(others, choices, chosen), np.where(moves, numbers, chosen)))
