"""Which members of a Pareto front may be dominated, as far as their seeds tell."""

from collections.abc import Iterable

from orchestrator.comparison.configuration import Configuration
from orchestrator.comparison.ranking import Ranking


def may_be_dominated(front: Iterable[Configuration], ranked: Ranking) -> set[str]:
    """The config_keys of members that may not belong to the front.

    A member belongs to it for certain if there is an objective for each other configuration in which it is better by
    more than chance: by more than the 95% interval of the difference, the root of the sum of both squared half widths
    (as if seeds were independent; those that are shared make it too wide). Configurations of a single seed tell
    nothing of chance: they are left out, as members and as rivals.
    """
    import numpy as np

    known = [one for one in ranked if len(one.values) > 1 and not (ranked.is_last(one) or one.broken)]
    signs = [objective.sign for objective in ranked.objectives]
    values = np.array([ranked.expected(one) for one in known]).reshape(-1, len(signs)) * signs
    half = np.array([[interval.half_width for interval in one.intervals] for one in known], dtype=float)
    half = half.reshape(values.shape)
    places = {one.config_key: place for place, one in enumerate(known)}
    doubtful = set()
    for place in (places[one.config_key] for one in front if one.config_key in places):
        is_better = values[place] - values > np.hypot(half[place], half)
        is_better[place] = True  # than itself it need not be
        if not is_better.any(axis=1).all():
            doubtful.add(known[place].config_key)
    return doubtful
