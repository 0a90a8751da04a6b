"""Configurations of a sweep by their objectives, over their seeds."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean, stdev

from orchestrator.spec import Objective, Values
from orchestrator.trial import Outcome, Params
from orchestrator.trials.record import Record

CONFIDENCE = 0.95


def half_width(values: Sequence[float]) -> float | None:
    """Half of the mean's 95% interval, by Student's t; None of a single value."""
    n = len(values)
    if n < 2:
        return None
    from scipy.special import stdtrit  # takes longer to import than a plan to make

    return float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * stdev(values) / math.sqrt(n)


def wilson(count: int, total: int) -> tuple[float, float]:
    """The 95% interval of a rate of which count of total were seen (E. B. Wilson, JASA 22:209, 1927)."""
    from scipy.special import ndtri

    z = float(ndtri((1 + CONFIDENCE) / 2))
    centre = count + z * z / 2
    half = z * math.sqrt(count * (total - count) / total + z * z / 4)
    return max(0.0, (centre - half) / (total + z * z)), min(1.0, (centre + half) / (total + z * z))


@dataclass(frozen=True)
class Interval:
    """A mean over seeds, and half of its 95% interval by Student's t; None of a single seed."""

    mean: float
    half_width: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> "Interval":
        return cls(fmean(values), half_width(values))

    def overlaps(self, other: "Interval") -> bool:
        """Whether seeds do not tell the two apart: they meet, or one of them has no width."""
        if self.half_width is None or other.half_width is None:
            return True
        return abs(self.mean - other.mean) <= self.half_width + other.half_width


@dataclass(frozen=True)
class Standing:
    """A configuration, and what its seeds came to."""

    config_key: str
    params: Params
    values: Sequence[Values] = ()  # of the seeds that completed
    exploded: int = 0
    pruned: int = 0

    @property
    def seeds(self) -> int:
        """How many have a result."""
        return len(self.values) + self.exploded + self.pruned

    @cached_property
    def intervals(self) -> tuple[Interval, ...]:
        """One for each objective; none where no seed has completed. What was pruned is not in them."""
        return tuple(map(Interval.of, zip(*self.values, strict=True)))

    def after(self, record: Record, objectives: Sequence[Objective]) -> "Standing":
        """How it stands with one more seed, which has a result."""
        values = record.values(objectives) if record.outcome is Outcome.COMPLETED else None
        return replace(
            self,
            values=self.values if values is None else (*self.values, values),
            exploded=self.exploded + (record.outcome is Outcome.EXPLODED),
            pruned=self.pruned + (record.outcome is Outcome.PRUNED),
        )


def standings(records: Iterable[Record], objectives: Sequence[Objective]) -> list[Standing]:
    """The configurations of which a seed has a result, in their order."""
    found: dict[str, Standing] = {}
    for record in records:
        if record.outcome and record.outcome.is_result:
            key = record.tags["config_key"]
            found[key] = found.get(key, Standing(key, record.params)).after(record, objectives)
    return [*found.values()]


def ranking(found: Iterable[Standing], objectives: Sequence[Objective]) -> list[Standing]:
    """Those of which a seed has completed, best in the first objective first; last those of which one was pruned."""

    def rank(standing: Standing) -> tuple[bool, list[float]]:
        each = zip(objectives, standing.intervals, strict=True)
        return standing.pruned > 0, [-objective.sign * interval.mean for objective, interval in each]

    return sorted((standing for standing in found if standing.values), key=rank)


def front(ranked: Iterable[Standing], objectives: Sequence[Objective]) -> list[Standing]:
    """Of a ranking the Pareto front: those that no other is as good as in all objectives and better in one.

    What was pruned is not on it, unless nothing else is there: what its seeds would have come to, nobody knows.
    """
    import numpy as np

    found = list(ranked)
    whole = [standing for standing in found if not standing.pruned] or found
    signs = [objective.sign for objective in objectives]
    means = np.array([[one.mean for one in standing.intervals] for standing in whole]).reshape(-1, len(signs)) * signs
    kept: list[int] = []
    of_kept = np.empty_like(means)
    for i, row in enumerate(means):
        better = of_kept[: len(kept)]  # if any is: what comes later in a ranking is not
        if not ((better >= row).all(axis=1) & (better > row).any(axis=1)).any():
            of_kept[len(kept)] = row
            kept.append(i)
    return [whole[i] for i in kept]
