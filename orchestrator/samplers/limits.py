"""How likely a candidate keeps to limits: can be trained at all, keeps the file's constraints, and does not fail.

Each limit has a Gaussian process of its own over the space, as an explosion has. Of the file's constraints it learns by
how much configurations were beyond them; of others, of which only those tell that break them, on which side they were.

Failures have no place in a search's results, as most say nothing of a configuration. But where the same failure came
again and again in one region, it is taken for a limit, too: the nearest neighbour of most of those is then another.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from orchestrator.samplers.cube import Array, Cube, Position
from orchestrator.samplers.edge import LimitEdge
from orchestrator.samplers.feasibility import MARGINS, SeenConfiguration
from orchestrator.samplers.gaussian_process import Process

Beyond = Mapping[str, float | None]  # by limit: above 0 where it is broken, None where by how much is not known
INFEASIBLE, FAILURE = "infeasible: ", "failure: "  # prefixes of limits that only those tell of that break them
CAUTION = 4.0  # beyond a limit a trial is worth nothing, whatever its score would be
UNKNOWN = 1.0  # taken for a margin


class LearnedLimits:
    """The limits that configurations have met, given the results so far and the positions of running trials."""

    def __init__(self, cube: Cube, seen: Sequence[SeenConfiguration], running: Sequence[Position]) -> None:
        self._kept: list[Callable[[Array], Array]] = []
        for name in _names(cube, seen):
            told = [one for one in seen if name in one.beyond or (one.is_trained and _is_silent(name))]
            at = np.array([one.at for one in told])
            far = np.array([one.beyond.get(name) for one in told], np.float64)  # NaN where it is not known
            if _is_silent(name):
                edge = LimitEdge(cube, at, np.array([name not in one.beyond for one in told]), far)
                self._kept.append(edge.kept)
            else:
                self._kept.append(Process.with_running(cube, MARGINS, at, far, running).below_zero)

    def kept(self, candidates: Array) -> Array:
        """How likely each candidate (a row) is to keep all of them, to the power of CAUTION."""
        likely = np.prod([np.ones(len(candidates)), *(kept(candidates) for kept in self._kept)], axis=0)
        return np.asarray(likely**CAUTION)


def broken(beyond: Beyond) -> list[float]:
    """By how much those limits are broken that are."""
    return [UNKNOWN if far is None else far for far in beyond.values() if far is None or far > 0]


def are_met(cube: Cube, seen: Sequence[SeenConfiguration]) -> bool:
    """Whether a limit has been broken; a failure counts where it came again and again in one region."""
    return any(broken({name: one.beyond.get(name, -1.0)}) for name in _names(cube, seen) for one in seen)


def _names(cube: Cube, seen: Sequence[SeenConfiguration]) -> list[str]:
    names = dict.fromkeys(name for one in seen for name in one.beyond)
    return [name for name in names if not name.startswith(FAILURE) or _is_of_a_region(cube, seen, name)]


def _is_silent(name: str) -> bool:
    """Whether configurations that keep a limit tell nothing of it; of the file's constraints they tell by how much."""
    return name.startswith((INFEASIBLE, FAILURE))


def _is_of_a_region(cube: Cube, seen: Sequence[SeenConfiguration], name: str) -> bool:
    """Whether most of the configurations that broke a limit lie next to another of them."""
    broke = np.array([name in one.beyond for one in seen])
    if broke.sum() < 2:
        return False
    at = np.array([one.at for one in seen])
    apart = cube.distances(at[broke], at).sum(axis=-1)
    apart[np.arange(len(apart)), np.flatnonzero(broke)] = np.inf  # itself
    return bool(broke[apart.argmin(axis=1)].mean() > 0.5)
