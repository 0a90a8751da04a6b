"""What there is to say of the best configuration, for people."""

from collections.abc import Callable, Sequence

from orchestrator.comparison.configuration import Configuration
from orchestrator.spec import Objective
from orchestrator.trial import Params

MOST_NEAR = 5
Named = Callable[[Params], str]  # a configuration by what varies


def facts(configuration: Configuration, objectives: Sequence[Objective]) -> list[str]:
    """What its seeds came to: "accuracy 0.85 ± 0.0021 (95%, 3 seeds)", "1 of 4 seeds exploded"."""
    count = len(configuration.values)
    seeds = f"{count} seed{'s' * (count > 1)}"
    found = []
    for objective, interval in zip(objectives, configuration.intervals, strict=True):
        if interval.half_width is None:
            found.append(f"{objective.name} {interval.mean:.5g} ({seeds}: no interval)")
        else:
            found.append(f"{objective.name} {interval.mean:.5g} ± {interval.half_width:.2g} (95%, {seeds})")
    for number, what in ((configuration.exploded, "exploded"), (configuration.pruned, "were pruned")):
        if number:
            found.append(f"{number} of {configuration.seeds} seeds {what}")
    return found


def near(ranked: Sequence[Configuration], named: Named) -> list[str]:
    """Which configurations seeds do not tell from the first of a ranking, in a sentence; none where it has no interval.

    Raises:
        IndexError: the ranking is empty, or compares nothing.
    """
    first = ranked[0]
    if first.intervals[0].half_width is None:
        return []
    found = [named(one.params) for one in ranked[1:] if first.overlaps(one)]
    those = "; ".join(found[:MOST_NEAR]) + "; ..." * (len(found) > MOST_NEAR)
    return [f"not distinguishable from it with these seeds: {those}"] if found else []
