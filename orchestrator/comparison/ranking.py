"""Which configurations are best by their objectives, over their seeds."""

from collections.abc import Iterable, Sequence

from orchestrator.comparison.configuration import Configuration
from orchestrator.spec import Objective


def ranking(found: Iterable[Configuration], objectives: Sequence[Objective]) -> list[Configuration]:
    """Those of which a seed has completed, best in the first objective first; last those of which one was pruned."""

    def rank(configuration: Configuration) -> tuple[bool, list[float]]:
        each = zip(objectives, configuration.intervals, strict=True)
        return configuration.pruned > 0, [-objective.sign * interval.mean for objective, interval in each]

    return sorted((configuration for configuration in found if configuration.values), key=rank)


def front(ranked: Iterable[Configuration], objectives: Sequence[Objective]) -> list[Configuration]:
    """Of a ranking the Pareto front: those that no other is as good as in all objectives and better in one.

    What was pruned is not on it, unless nothing else is there: what its seeds would have come to, nobody knows.
    """
    import numpy as np

    found = list(ranked)
    whole = [configuration for configuration in found if not configuration.pruned] or found
    signs = [objective.sign for objective in objectives]
    means = np.array([[one.mean for one in configuration.intervals] for configuration in whole])
    signed = means.reshape(-1, len(signs)) * signs
    kept: list[int] = []
    of_kept = np.empty_like(signed)
    for i, row in enumerate(signed):
        better = of_kept[: len(kept)]  # if any is: what comes later in a ranking is not
        if not ((better >= row).all(axis=1) & (better > row).any(axis=1)).any():
            of_kept[len(kept)] = row
            kept.append(i)
    return [whole[i] for i in kept]
