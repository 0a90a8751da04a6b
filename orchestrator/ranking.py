"""Configurations of a sweep by their metric, over their seeds."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from scipy.special import ndtri, stdtrit

from orchestrator.record import Record
from orchestrator.spec.form import Metric
from orchestrator.trial import Outcome, Params

CONFIDENCE = 0.95


def half_width(values: Sequence[float]) -> float | None:
    """Half of the mean's 95% interval, by Student's t; None of a single value."""
    n = len(values)
    if n < 2:
        return None
    return float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * stdev(values) / math.sqrt(n)


def wilson(count: int, total: int) -> tuple[float, float]:
    """The 95% interval of a rate of which count of total were seen (E. B. Wilson, JASA 22:209, 1927)."""
    z = float(ndtri((1 + CONFIDENCE) / 2))
    centre = count + z * z / 2
    half = z * math.sqrt(count * (total - count) / total + z * z / 4)
    return max(0.0, (centre - half) / (total + z * z)), min(1.0, (centre + half) / (total + z * z))


@dataclass(frozen=True)
class Standing:
    """A configuration, and what its seeds came to."""

    params: Params
    values: Sequence[float]  # of the metric, of the seeds that completed
    exploded: int
    pruned: int = 0

    @property
    def mean(self) -> float:
        return fmean(self.values)

    @property
    def half_width(self) -> float | None:
        """Half of the mean's 95% interval; None of a single seed."""
        return half_width(self.values)

    def overlaps(self, other: "Standing") -> bool:
        """Whether seeds do not tell the two apart: their intervals meet, or one of them has none."""
        if self.half_width is None or other.half_width is None:
            return True
        return abs(self.mean - other.mean) <= self.half_width + other.half_width


def ranking(records: Iterable[Record], metric: Metric) -> list[Standing]:
    """The configurations of which a seed has completed, best first; last those of which another was pruned.

    What the pruned seeds would have come to is not in the mean.
    """
    by_config: dict[str, list[Record]] = {}
    for record in records:
        if record.outcome and record.outcome.is_result:
            by_config.setdefault(record.tags["config_key"], []).append(record)
    standings = []
    for replicates in by_config.values():
        completed = [record for record in replicates if record.outcome is Outcome.COMPLETED]
        values = [value for record in completed if (value := record.value(metric)) is not None]
        if values:
            count = Counter(record.outcome for record in replicates)
            standings.append(Standing(replicates[0].params, values, count[Outcome.EXPLODED], count[Outcome.PRUNED]))
    sign = -1 if metric.goal == "maximize" else 1
    return sorted(standings, key=lambda standing: (standing.pruned > 0, sign * standing.mean))
