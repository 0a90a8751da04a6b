"""What trials are compared by: one metric, or several."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orchestrator.functions import Goal
from orchestrator.spec.strict import MetricForm, SweepMetricForm

Values = tuple[float, ...]  # a value for each objective


@dataclass(frozen=True)
class Objective:
    """A metric, whether more or less of it is better, and which of its values by epoch counts.

    Alone, it counts with its best value. Of several, each counts with its last one, that of the model which the trial
    leaves: bests of different epochs together would be a point that no model ever was.
    """

    name: str
    goal: Goal
    counts_best: bool = True
    target: float | None = None  # the value at which the sweep ends

    @property
    def sign(self) -> int:
        """What to multiply its values with, so that more is better."""
        return 1 if self.goal == "maximize" else -1

    def is_better(self, value: float, other: float) -> bool:
        """Whether a value is better than another; any number is better than none (NaN)."""
        return self.sign * value > self.sign * other or (math.isnan(other) and not math.isnan(value))

    def is_reached(self, value: float | None) -> bool:
        """Whether a value is at least as good as the target."""
        if value is None or self.target is None:
            return False
        return self.sign * value >= self.sign * self.target

    def worst(self, values: Iterable[float]) -> float:
        return min(values, key=lambda value: self.sign * value)


@dataclass
class ObjectiveSoFar:
    """What a trial has reported of an objective, epoch by epoch."""

    objective: Objective
    best: float | None = None
    best_epoch: int = 0
    last: float | None = None
    last_epoch: int = 0
    lost_since: int | None = None  # the epoch from which on it has not been finite

    def take(self, value: float | None, epoch: int) -> None:
        """Take in the value of an epoch, later than those before; None where that epoch has none."""
        if value is None:
            return
        self.last, self.last_epoch, self.lost_since = value, epoch, None
        if self.best is None or self.objective.is_better(value, self.best):
            self.best, self.best_epoch = value, epoch

    def lose(self, epoch: int) -> None:
        """Know that it is not finite in an epoch."""
        self.lost_since = self.lost_since or epoch

    def remark(self, final: float | None = None) -> str | None:
        """Which value counts, in words, where it has not been finite up to the end; `final` as for `value`."""
        if self.lost_since is None or self.last is None:
            return None
        which = f"best value before, of epoch {self.best_epoch}"
        if not self.objective.counts_best:
            if final is not None:
                return None
            which = f"last value before, of epoch {self.last_epoch}"
        return f"{self.objective.name} is not finite from epoch {self.lost_since} on, and counts with its {which}"

    def value(self, final: float | None = None) -> float | None:
        """The value that counts; `final` is what the trial reported at its end, if it did."""
        if self.objective.counts_best:
            return final if self.best is None else self.best
        return self.last if final is None else final


def objectives(metrics: Sequence[MetricForm]) -> tuple[Objective, ...]:
    """The objectives of a sweep file's metrics."""
    targets = [metric.target if isinstance(metric, SweepMetricForm) else None for metric in metrics]
    return tuple(
        Objective(metric.name, metric.goal, counts_best=len(metrics) == 1, target=target)
        for metric, target in zip(metrics, targets, strict=True)
    )


def complete(values: Iterable[float | None]) -> Values | None:
    """The values of all objectives, or None where one is missing."""
    given = tuple(values)
    known = tuple(value for value in given if value is not None)
    return known if len(known) == len(given) else None


def by_names(objectives: Iterable[Objective], joint: str = " and ") -> str:
    """The objectives by their names, for people: "accuracy and latency"."""
    return joint.join(objective.name for objective in objectives)
