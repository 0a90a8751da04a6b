"""The best configuration, in sentences."""

from collections.abc import Callable, Sequence

from orchestrator.comparison.configuration import Configuration
from orchestrator.comparison.untold import untold
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
    for number, ending in ((configuration.exploded, "exploded"), (configuration.pruned, "were pruned")):
        if number:
            texts.append(f"{number} of {configuration.seeds} seeds {ending}")
    return texts


def undistinguished(ranked: Sequence[Configuration], named: Named, objective: Objective) -> list[str]:
    """The configurations that seeds do not tell from the best, in a sentence; none where the best has a single seed.

    Raises:
        IndexError: the ranking is empty, or there is no objective.
    """
    first = ranked[0]
    if first.intervals[0].half_width is None:
        return []
    names = [named(other.params) for other in untold(ranked, objective)]
    shown = "; ".join(names[:MOST_NAMES]) + "; ..." * (len(names) > MOST_NAMES)
    return [f"not distinguishable from it with these seeds: {shown}"] if names else []
