"""How far others are from the best configuration, and which of them the seeds do not tell from it."""

from collections.abc import Sequence

from orchestrator.comparison.configuration import Configuration
from orchestrator.comparison.paired import Difference, Looks, Seeds, Standing, borrowing
from orchestrator.comparison.ranking import Ranking
from orchestrator.trial import Outcome
from orchestrator.trials.observation import valued

Compared = Sequence[tuple[Configuration, Difference | None]]  # with how much better the best is; None where unknown


def from_best(ranked: Ranking) -> tuple[Compared, Looks]:
    """How much better the first of a ranking is than the others, by the seeds that both have, and at which looks.

    Where all have equally many seeds, they are looked at once. Where some have more, seeds were added by results: then
    the looks from the fewest to the most share the error. Those that rank behind because most of their seeds were lost,
    or because they break a constraint, are not among them. They are compared by the first objective.

    Raises:
        IndexError: the ranking is empty, or there is no objective.
    """
    objective, best = ranked.objectives[0], ranked[0]
    others = [other for other in ranked[1:] if not (ranked.is_last(other) or other.broken)]
    worst = None if ranked.survivors else objective.worst(values[0] for one in ranked for values in one.values)
    seeds = [one.seeds for one in (best, *others)]
    looks = Looks(max(seeds), min(seeds), max(1, len(others)))
    leading = _valued(best, worst)
    differences = borrowing([Difference.of(leading, _valued(other, worst), objective.sign) for other in others])
    return list(zip(others, differences, strict=True)), looks


def untold(ranked: Ranking) -> list[Configuration]:
    """Those of a ranking that the seeds do not tell from its first.

    Raises:
        IndexError: the ranking is empty, or there is no objective.
    """
    compared, looks = from_best(ranked)
    return [
        other
        for other, difference in compared
        if difference is None or difference.standing(looks) is not Standing.APART
    ]


def _valued(configuration: Configuration, worst: float | None) -> Seeds:
    """The first value of each seed that completed; one that exploded or was infeasible has the worst, if any."""
    ended = [seen for seen in configuration.results if seen.outcome.is_bad or seen.outcome is Outcome.COMPLETED]
    return valued({number if seen.seed is None else seen.seed: seen for number, seen in enumerate(ended)}, worst)
