"""Rates of an event along a range from 0 to 1, for judging how a boundary is found; each seed has a curve of its own.

Written down before the model that they judge. Seeds from JUDGED on are for judging alone: choices were made on others.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log

JUDGED = 4000  # the first seed of those that nobody has tuned on
STEPS = 400  # where the greatest rate of a region is looked for


@dataclass(frozen=True)
class Rate:
    """P(event) along the range: between two asymptotes, it passes halfway at each edge.

    Args:
        edges: positions, from the least on; none where the rate is the same everywhere.
        rises_first: whether the event becomes more frequent at the first edge; at a second one, it is the other way.
        spread: the length over which the rate goes from 10% to 90% of the way.
        least: the lower asymptote.
        greatest: the upper asymptote.
    """

    edges: Sequence[float]
    rises_first: bool = True
    spread: float = 0.2
    least: float = 0.0
    greatest: float = 1.0

    def at(self, position: float) -> float:
        """The rate at a position."""
        below, above = (self.least, self.greatest) if self.rises_first else (self.greatest, self.least)
        share, sign = 0.0, 1
        for edge in self.edges:
            share += sign * _logistic((position - edge) * 2 * log(9) / self.spread)
            sign = -sign
        return below + (above - below) * share

    def most(self, low: float, high: float) -> float:
        """The greatest rate of a region."""
        return max(self.at(low + (high - low) * step / STEPS) for step in range(STEPS + 1))


def _logistic(z: float) -> float:
    return 1 / (1 + exp(-min(max(z, -500), 500)))


def _edge(spread: float, least: float = 0.0, greatest: float = 1.0) -> Callable[[random.Random], Rate]:
    """A single edge anywhere on the inner 70% of the range, in either direction."""
    return lambda rng: Rate([rng.uniform(0.15, 0.85)], rng.random() < 0.5, spread, least, greatest)


def _island(rng: random.Random) -> Rate:
    return Rate([rng.uniform(0.1, 0.35), rng.uniform(0.65, 0.9)], rises_first=False, spread=0.05)


def _narrow_island(rng: random.Random) -> Rate:
    first = rng.uniform(0.15, 0.65)
    return Rate([first, first + 0.2], rises_first=False, spread=0.05)


def _band(rng: random.Random) -> Rate:
    return Rate([rng.uniform(0.15, 0.4), rng.uniform(0.6, 0.85)], rises_first=True, spread=0.05)


def _flat(rate: float) -> Callable[[random.Random], Rate]:
    return lambda rng: Rate([], least=rate)


KINDS: Mapping[str, Callable[[random.Random], Rate]] = {
    "spread 0.1": _edge(0.1),
    "spread 0.4": _edge(0.4),
    "spread 1": _edge(1.0),
    "spread 4": _edge(4.0),
    "5% anywhere": _edge(0.2, least=0.05),
    "10% anywhere": _edge(0.2, least=0.1),
    "30% anywhere": _edge(0.2, least=0.3),
    "70% at most": _edge(0.2, greatest=0.7),
    "5% anywhere, 85% at most": _edge(0.4, least=0.05, greatest=0.85),
    "island": _island,
    "narrow island": _narrow_island,
    "band": _band,
    "never": _flat(0.0),
    "10%, flat": _flat(0.1),
    "30%, flat": _flat(0.3),
}


def rate_of(kind: str, seed: int) -> Rate:
    """The curve of a kind for a seed."""
    return KINDS[kind](random.Random(f"{kind} {seed}"))
