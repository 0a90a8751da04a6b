"""The best configuration, in sentences."""

import math
from collections.abc import Callable, Sequence

from orchestrator.comparison.configuration import Configuration
from orchestrator.comparison.ranking import Ranking
from orchestrator.comparison.untold import from_best, untold
from orchestrator.comparison.winner import corrected
from orchestrator.spec.objective import by_names
from orchestrator.system.averages import within
from orchestrator.system.figures import compared, numbered, precision

MOST_NAMES = 5
Named = Callable[[Configuration], str]  # by what varies


def facts(configuration: Configuration, ranked: Ranking) -> list[str]:
    """The results of its seeds: "accuracy 0.85 ± 0.0021 (95%, 3 seeds)", "1 of 4 seeds exploded; counted as ..."."""
    count = len(configuration.values)
    seeds = numbered(count, "seed")
    texts = []
    for objective, interval in zip(ranked.objectives, configuration.intervals, strict=True):
        significant = precision(interval.mean, interval.half_width, least=5)
        if interval.half_width is None:
            texts.append(f"{objective.name} {interval.mean + 0.0:.{significant}g} ({seeds}: no interval)")
        else:
            texts.append(
                f"{objective.name} {interval.mean + 0.0:.{significant}g} ± {interval.half_width:.2g} (95%, {seeds})"
            )
    return texts + _not_completed(configuration, ranked)


def _not_completed(configuration: Configuration, ranked: Ranking) -> list[str]:
    """What other seeds count as, and what comes of that."""
    worst = by_figures(ranked.worst or ())
    counted = "not counted" if ranked.survivors else f"counted as {worst}, the worst of the sweep"
    endings = [
        (configuration.exploded, "exploded", counted),
        (configuration.infeasible, "were infeasible", counted),
        (configuration.without_value, f"have no {by_names(ranked.objectives, ' or ')}", counted),
        (configuration.pruned, "were pruned", "counted as what they had by then, but not for the better"),
    ]
    texts = [f"{count} of {configuration.seeds} seeds {ending}; {how}" for count, ending, how in endings if count]
    expected = ranked.expected(configuration)
    if expected != configuration.means:
        texts.append(f"all seeds together, by which it is ranked: {by_figures(expected)}")
    return texts


def by_figures(values: tuple[float, ...]) -> str:
    """Values of the objectives, in a few figures."""
    return ", ".join(f"{value + 0.0:.5g}" for value in values)


def interval_as_winner(ranked: Ranking) -> tuple[float, float] | None:
    """The interval of the best of several, with its luck counted in.

    None where the best has no interval, there are no others, all are equal, or values do not scatter.
    """
    if len(equal(ranked)) == len(ranked) - 1:
        return None
    samples = [[values[0] for values in one.values] for one in ranked]
    ends = corrected(samples, ranked.objectives[0].sign)
    return None if ends is None or ends[0] == ends[1] else ends


def as_winner(ranked: Ranking) -> list[str]:
    """In a sentence, that the best of several is likely to have been lucky, and that interval, where it has one."""
    ends = interval_as_winner(ranked)
    if ends is None:
        return []
    low, high = compared(*ends)
    return [f"the best of {len(ranked)} is likely to have been lucky; corrected for that: {low} to {high} (95%)"]


def ahead(ranked: Ranking, named: Named) -> list[str]:
    """By how much the best is better than the second, in a sentence, with the interval where both have several seeds.

    The interval holds for all others at once. Where the second is equal to the best, there is nothing to say.
    """
    second = next((one for one in ranked[1:] if not (ranked.is_last(one) or one.broken)), None)
    if second is None or equal(ranked):
        return []
    mean = within(ranked.objectives[0].sign * (ranked.expected(ranked[0])[0] - ranked.expected(second)[0]))
    by, how = f"{mean:.2g}", "no interval, which takes several seeds that both have"
    others, looks = from_best(ranked) if ranked[0].intervals[0].half_width is not None else ((), None)
    difference = next((difference for other, difference in others if other is second), None)
    half_width = difference.half_width(looks) if difference and looks else math.inf
    if difference and difference.mean > 0 and math.isfinite(half_width):  # else the seeds that both have do not say it
        by = f"{difference.mean:.{precision(difference.mean, half_width, least=2)}g} ± {half_width:.2g}"
        how = f"by the {difference.seeds} seeds that both have" if difference.is_paired else "by the seeds of each"
        how = f"95%, {how}{f', for all {len(others)} others at once' * (len(others) > 1)}"
    return [f"ahead of the second, {named(second)}, by {by} ({how})"]


def equal(ranked: Ranking) -> list[Configuration]:
    """The configurations that are ranked by the same values as the best.

    Those that rank behind the others because most of their seeds were lost, or that break a constraint, are not among
    them.
    """
    values = [ranked.expected(one) for one in ranked]
    return [
        one
        for one, own in zip(ranked[1:], values[1:], strict=True)
        if own == values[0] and not (ranked.is_last(one) or one.broken)
    ]


def as_good(ranked: Ranking, named: Named) -> list[str]:
    """The configurations that are equal to the best, in a sentence."""
    others = equal(ranked)
    return [f"equal to it: {_listed(others, named)}"] if others else []


def as_far_as_known(ranked: Ranking) -> list[Configuration]:
    """The configurations that seeds do not tell from the best; none where the best has a single seed.

    Those that are equal to it, or rank behind the others because most of their seeds were lost, are not among them.

    Raises:
        IndexError: the ranking is empty, or there is no objective.
    """
    if ranked[0].intervals[0].half_width is None:
        return []
    same = {one.config_key for one in equal(ranked)}
    return [other for other in untold(ranked) if other.config_key not in same]


def undistinguished(ranked: Ranking, named: Named) -> list[str]:
    """These configurations, in a sentence."""
    others = as_far_as_known(ranked)
    return [f"not distinguishable from it with these seeds: {_listed(others, named)}"] if others else []


def _listed(others: Sequence[Configuration], named: Named) -> str:
    names = [named(other) for other in others[:MOST_NAMES]]
    more = f"; and {len(others) - MOST_NAMES} more" if len(others) > MOST_NAMES else ""
    return "; ".join(names) + more
