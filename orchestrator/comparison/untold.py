"""Which configurations the seeds do not tell from the best one."""

from orchestrator.comparison.configuration import Configuration
from orchestrator.comparison.paired import Difference, Looks, Seeds, Standing, borrowing
from orchestrator.comparison.ranking import Ranking
from orchestrator.trial import Outcome
from orchestrator.trials.observation import valued


def untold(ranked: Ranking) -> list[Configuration]:
    """Those of a ranking that the seeds do not tell from its first, compared by the seeds that both have.

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
    return [
        other
        for other, difference in zip(others, differences, strict=True)
        if difference is None or difference.standing(looks) is not Standing.APART
    ]


def _valued(configuration: Configuration, worst: float | None) -> Seeds:
    """The first value of each seed that completed; one that exploded or was infeasible has the worst, if any."""
    ended = [seen for seen in configuration.results if seen.outcome.is_bad or seen.outcome is Outcome.COMPLETED]
    return valued({number if seen.seed is None else seen.seed: seen for number, seen in enumerate(ended)}, worst)
