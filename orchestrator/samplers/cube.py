"""The search space as a cube."""

import math
import random
from collections.abc import Container, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from orchestrator.comparison.psychometric import Scale
from orchestrator.spec.domains import Choice, Domain
from orchestrator.trial import Params

Array = NDArray[np.float64]
Position = tuple[float, ...]

CHANGED = 0.25  # probability that a further axis of a position is changed, besides one


class Cube:
    """The search space as a cube: numbers from 0 to 1 on their own scale, choices by their index."""

    def __init__(self, domains: Mapping[str, Domain]) -> None:
        self._scales = {
            name: None if isinstance(domain, Choice) else Scale(domain.low, domain.high, domain.log)
            for name, domain in domains.items()
        }
        counts = [len(domain.values) if isinstance(domain, Choice) else 0 for domain in domains.values()]
        self.choices = np.array(counts)  # by axis; 0 where it has numbers
        self._is_choice = self.choices > 0

    @property
    def axes(self) -> int:
        return len(self._scales)

    def only(self, names: Container[str], position: Position) -> Position:
        """The position with NaN on all axes but these."""
        return tuple(at if name in names else math.nan for name, at in zip(self._scales, position, strict=True))

    def position(self, values: Params) -> Position:
        """The position of values, in which choices are given by their index."""
        return tuple(scale.position(values[name]) if scale else values[name] for name, scale in self._scales.items())

    def values(self, position: Sequence[float]) -> dict[str, float]:
        """The values at a position, choices by their index."""
        pairs = zip(self._scales.items(), position, strict=True)
        return {name: scale.value(float(at)) if scale else int(at) for (name, scale), at in pairs}

    def near(self, position: Position, width: float, rng: random.Random) -> Position:
        """A position near another: one axis is changed, and maybe others: numbers by about `width`, choices to any."""
        changed = {rng.randrange(self.axes), *(axis for axis in range(self.axes) if rng.random() < CHANGED)}
        return tuple(self._near(at, axis, width, rng) if axis in changed else at for axis, at in enumerate(position))

    def _near(self, at: float, axis: int, width: float, rng: random.Random) -> float:
        if count := int(self.choices[axis]):
            return rng.randrange(count)
        return min(max(at + rng.gauss(0, width), 0.0), 1.0)

    def distances(self, some: Array, others: Array) -> Array:
        """Along each axis (last), squared, of `some` from `others`; choices that differ are 1 apart."""
        apart = np.abs(some[:, None, :] - others[None, :, :])
        return np.asarray(np.where(self._is_choice, apart > 0, apart) ** 2)
