"""What trials are compared by: one metric, or several."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orchestrator.functions import Goal
from orchestrator.spec.form import MetricForm

Values = tuple[float, ...]  # one for each objective


@dataclass(frozen=True)
class Objective:
    """A metric, whether more or less of it is better, and which of its values by epoch counts.

    Alone, it counts with its best value. Of several, each counts with its last one, that of the model which the trial
    leaves: bests of different epochs together would be a point that no model ever was.
    """

    name: str
    goal: Goal
    counts_best: bool = True

    @property
    def sign(self) -> int:
        """What to multiply its values with, so that more is better."""
        return 1 if self.goal == "maximize" else -1

    def best(self, values: Iterable[float]) -> float:
        return max(values, key=lambda value: self.sign * value)

    def worst(self, values: Iterable[float]) -> float:
        return min(values, key=lambda value: self.sign * value)

    def value(self, by_epoch: Sequence[float], final: float | None) -> float | None:
        """The one that counts, of the values that a trial has told by epoch and at its end."""
        if self.counts_best:
            return self.best(by_epoch) if by_epoch else final
        return by_epoch[-1] if by_epoch and final is None else final


def objectives(metrics: Sequence[MetricForm]) -> tuple[Objective, ...]:
    """The objectives of a sweep file's metrics."""
    return tuple(Objective(metric.name, metric.goal, counts_best=len(metrics) == 1) for metric in metrics)


def complete(values: Iterable[float | None]) -> Values | None:
    """The values of all objectives, or None where one is missing."""
    told = tuple(values)
    known = tuple(value for value in told if value is not None)
    return known if len(known) == len(told) else None


def by_names(objectives: Iterable[Objective], joint: str = " and ") -> str:
    """The objectives by their names, for people: "accuracy and latency"."""
    return joint.join(objective.name for objective in objectives)
