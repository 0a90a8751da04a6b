"""The best configuration, in sentences."""

from collections.abc import Callable, Sequence

from orchestrator.comparison.configuration import Configuration
from orchestrator.spec import Objective
from orchestrator.system.figures import precision
from orchestrator.trial import Params

MOST_NAMES = 5
Named = Callable[[Params], str]  # a configuration by what varies


def facts(configuration: Configuration, objectives: Sequence[Objective]) -> list[str]:
    """The results of its seeds: "accuracy 0.85 ± 0.0021 (95%, 3 seeds)", "1 of 4 seeds exploded"."""
    count = len(configuration.values)
    seeds = f"{count} seed{'s' * (count > 1)}"
    texts = []
    for objective, interval in zip(objectives, configuration.intervals, strict=True):
        significant = precision(interval.mean, interval.half_width, least=5)
        if interval.half_width is None:
            texts.append(f"{objective.name} {interval.mean + 0.0:.{significant}g} ({seeds}: no interval)")
        else:
            texts.append(
                f"{objective.name} {interval.mean + 0.0:.{significant}g} ± {interval.half_width:.2g} (95%, {seeds})"
            )
    counts = (
        (configuration.exploded, "exploded"),
        (configuration.infeasible, "infeasible"),
        (configuration.pruned, "were pruned"),
    )
    for number, ending in counts:
        if number:
            texts.append(f"{number} of {configuration.seeds} seeds {ending}")
    return texts


def overlapping(ranked: Sequence[Configuration], named: Named) -> list[str]:
    """The configurations whose intervals overlap that of the best, in a sentence; none where the best has no interval.

    Raises:
        IndexError: the ranking is empty, or there is no objective.
    """
    first = ranked[0]
    if first.intervals[0].half_width is None:
        return []
    names = [named(other.params) for other in ranked[1:] if first.overlaps(other)]
    shown = "; ".join(names[:MOST_NAMES]) + "; ..." * (len(names) > MOST_NAMES)
    return [f"not distinguishable from it with these seeds: {shown}"] if names else []
