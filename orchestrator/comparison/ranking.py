"""Which configurations are best by their objectives, over their seeds."""

from collections.abc import Iterable, Sequence

from orchestrator.comparison.configuration import Configuration
from orchestrator.spec import Objective


def ranking(configurations: Iterable[Configuration], objectives: Sequence[Objective]) -> list[Configuration]:
    """Those of which a seed has completed, best in the first objective first; those with pruned seeds come last.

    Behind all of them come those that break a constraint.
    """

    def rank(configuration: Configuration) -> tuple[bool, bool, list[float]]:
        pairs = zip(objectives, configuration.means, strict=True)
        return (
            bool(configuration.broken),
            configuration.pruned > 0,
            [-objective.sign * mean for objective, mean in pairs],
        )

    return sorted((configuration for configuration in configurations if configuration.values), key=rank)


def front(ranked: Iterable[Configuration], objectives: Sequence[Objective]) -> list[Configuration]:
    """The Pareto front of a ranking: no other configuration is as good in all objectives and better in one.

    Configurations with pruned seeds are not on it, unless there are no others: their final values are unknown. None is
    on it that breaks a constraint.
    """
    import numpy as np

    ranked = [configuration for configuration in ranked if not configuration.broken]
    whole = [configuration for configuration in ranked if not configuration.pruned] or ranked
    signs = [objective.sign for objective in objectives]
    means = np.array([configuration.means for configuration in whole])
    signed = means.reshape(-1, len(signs)) * signs
    kept: list[int] = []
    on_front = np.empty_like(signed)
    for i, row in enumerate(signed):
        better = on_front[: len(kept)]  # none that comes later in a ranking can be better
        if not ((better >= row).all(axis=1) & (better > row).any(axis=1)).any():
            on_front[len(kept)] = row
            kept.append(i)
    return [whole[i] for i in kept]
