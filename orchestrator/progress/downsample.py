"""The course of a loss, in memory that stays bounded however much is told."""

import math

MOST = 64  # values that are kept at least, once there were as many


class Downsampled:
    """Values in the order in which they were told; where there are too many, means of neighbours."""

    def __init__(self) -> None:
        self._values: list[float] = []
        self._each = 1  # how many were told for each value
        self._sum, self._count = 0.0, 0  # of the value to come

    def add(self, value: float) -> None:
        """Take the next one in, if it is finite."""
        if not math.isfinite(value):
            return
        self._sum, self._count = self._sum + value, self._count + 1
        if self._count == self._each:
            self._values.append(self._sum / self._count)
            self._sum, self._count = 0.0, 0
        if len(self._values) == 2 * MOST:
            self._values = [(a + b) / 2 for a, b in zip(self._values[::2], self._values[1::2], strict=True)]
            self._each *= 2

    @property
    def values(self) -> list[float]:
        """All that was told, as so many values as are kept."""
        return [*self._values, *([self._sum / self._count] if self._count else [])]
