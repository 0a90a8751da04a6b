"""The values of a metric so far, in bounded memory."""

import math

MOST = 64  # values that are kept at least, once there are as many


class Downsampled:
    """Values in the order in which they were added; where there are too many, means of neighbours."""

    def __init__(self) -> None:
        self._values: list[float] = []
        self._per_value = 1  # how many were added for each value
        self._sum, self._count = 0.0, 0  # of the value to come

    def add(self, value: float) -> None:
        """Add a value, if it is finite."""
        if not math.isfinite(value):
            return
        self._sum, self._count = self._sum + value, self._count + 1
        if self._count == self._per_value:
            self._values.append(self._sum / self._count)
            self._sum, self._count = 0.0, 0
        if len(self._values) == 2 * MOST:
            self._values = [(a + b) / 2 for a, b in zip(self._values[::2], self._values[1::2], strict=True)]
            self._per_value *= 2

    @property
    def values(self) -> list[float]:
        """The kept values, which stand for all that were added."""
        return [*self._values, *([self._sum / self._count] if self._count else [])]
