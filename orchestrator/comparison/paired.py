"""Two configurations compared by seed, while seeds are added: is one better, and by how much?"""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import cache
from statistics import fmean, median

from orchestrator.comparison.intervals import CONFIDENCE
from orchestrator.system.averages import power_of, times, variance

FEWEST = 2  # seeds that have a scatter
HOPELESS = 0.1  # chance of a difference below which no further seed is spent
BORROWED = 2  # seeds that the spread of other pairs is worth
POWER = 0.8  # with which so many seeds are needed
MOST_NEEDED = 1000  # seeds; beyond, nobody asks how many
ROUNDING = 1e-6  # of the largest value: values that are closer are one

Seeds = Mapping[int, float]  # the value of each seed


class Standing(Enum):
    """What is known of two configurations."""

    APART = auto()  # one is better
    ALIKE = auto()  # they differ by less than matters
    OPEN = auto()  # further seeds may tell
    HOPELESS = auto()  # those that may still come are too few to tell


@dataclass(frozen=True)
class Looks:
    """When two configurations are compared, and how much of the error each time may take.

    Whoever looks after every seed, at 5% each time, finds a difference where there is none in far more than 5%. So the
    looks share the 5%, and later ones have more of it: up to n seeds, ((n - 1) / (most - 1))² of it is spent. Spending
    functions of such powers are those of Kim and DeMets (Biometrika 74:149, 1987). Each look is a test of its own at
    its share (Bonferroni), so the shares hold whatever the noise, where a single test holds.
    """

    most: int  # seeds at the last look
    first: int = FEWEST  # seeds at the first one
    comparisons: int = 1  # how many configurations a configuration is compared with

    def level(self, seeds: int) -> float:
        """The error that a look at so many seeds may take, of both directions together."""
        most, first = max(self.most, seeds), max(self.first, FEWEST)
        if seeds < first:
            return 0.0
        before = 0.0 if seeds == first else ((seeds - 2) / (most - 1)) ** 2
        return (1 - CONFIDENCE) * (((seeds - 1) / (most - 1)) ** 2 - before) / self.comparisons

    def quantile(self, seeds: int, freedom: float) -> float:
        """By how many standard errors a difference has to lie from 0 at this look."""
        return _quantile(self.level(seeds), freedom)


@dataclass(frozen=True)
class Difference:
    """How much better one configuration is than another, on average over seeds; above 0 where it is better.

    Seeds share initial weights, the order of the data and noise; so differences by seed scatter less than values do.
    """

    mean: float
    spread: float  # the standard deviation of the difference at a seed
    error: float  # the standard error of the mean
    freedom: float  # degrees of freedom of the standard error
    seeds: int  # that both have; where they are not paired, of the one that has fewer
    is_paired: bool

    @classmethod
    def of(cls, one: Seeds, other: Seeds, sign: int) -> "Difference | None":
        """By the seeds that both have (paired t); where these are fewer than two, by all that each has (Welch's t).

        Values that are known to a few figures alone may agree by chance; so the spread is at least that of rounding.

        Args:
            one: its values.
            other: those of the other one.
            sign: what to multiply values with, so that more is better.

        Returns:
            None where one of them has a single seed, or none, and there are no two that both have.
        """
        shared = [seed for seed in one if seed in other]
        if len(shared) < FEWEST and min(len(one), len(other)) < FEWEST:
            return None
        power = power_of((*one.values(), *other.values()))
        if power:
            one, other = ({seed: times(value, -power) for seed, value in values.items()} for values in (one, other))
        found = cls._paired(one, other, shared) if len(shared) >= FEWEST else cls._unpaired(one, other)
        mean, spread, error = (times(of, power) for of in (sign * found.mean, found.spread, found.error))
        return replace(found, mean=mean, spread=spread, error=error)

    @classmethod
    def _paired(cls, one: Seeds, other: Seeds, shared: Sequence[int]) -> "Difference":
        differences = [one[seed] - other[seed] for seed in shared]
        values = (values[seed] for values in (one, other) for seed in shared)
        n, spread = len(shared), max(math.sqrt(variance(differences)), _of_rounding(values))
        mean = fmean(differences) if spread else 0.0
        return cls(mean, spread, spread / math.sqrt(n), n - 1, n, is_paired=True)

    @classmethod
    def _unpaired(cls, one: Seeds, other: Seeds) -> "Difference":
        least = _of_rounding((*one.values(), *other.values())) ** 2 / 2
        variances = [max(variance(values.values()), least) for values in (one, other)]
        parts = [of / len(values) for of, values in zip(variances, (one, other), strict=True)]
        below = sum(part**2 / (len(values) - 1) for part, values in zip(parts, (one, other), strict=True))
        return cls(
            fmean(one.values()) - fmean(other.values()),
            math.sqrt(sum(variances)),
            math.sqrt(sum(parts)),
            sum(parts) ** 2 / below if below else math.inf,
            min(len(one), len(other)),
            is_paired=False,
        )

    def beside(self, spread: float) -> "Difference":
        """The same with its spread drawn to another one, as if two more of its seeds had that."""
        freedom = self.freedom + BORROWED
        parts = (math.sqrt(share / freedom) * of for share, of in ((BORROWED, spread), (self.freedom, self.spread)))
        spread = math.hypot(*parts)
        return replace(self, spread=spread, error=spread / math.sqrt(self.seeds), freedom=freedom)

    def half_width(self, looks: Looks) -> float:
        """Half of the interval that this look gives: those of all looks hold together in 95%."""
        return looks.quantile(self.seeds, self.freedom) * self.error if self.error else 0.0

    def p(self, looks: Looks) -> float:
        """The chance, over all looks, of a difference as clear as this one where there is none."""
        level = looks.level(self.seeds)
        if not self.mean or not level:
            return 1.0
        from scipy.special import stdtr  # takes longer to import than a plan to make

        alone = 2 * float(stdtr(self.freedom, -abs(self.mean) / self.error)) if self.error else 0.0
        return min(1.0, alone * (1 - CONFIDENCE) / level)

    def standing(self, looks: Looks, indifferent: float = 0.0) -> Standing:
        """What is known now. A difference of at most `indifferent` does not matter."""
        half_width = self.half_width(looks)
        if abs(self.mean) > half_width:
            return Standing.APART
        if abs(self.mean) + half_width <= indifferent:
            return Standing.ALIKE
        is_hopeless = self.seeds >= looks.most or self._chance(looks, indifferent) < HOPELESS
        return Standing.HOPELESS if is_hopeless else Standing.OPEN

    def needed(self, looks: Looks) -> int | None:
        """How many seeds beside these would tell the two apart in 8 of 10 cases, if mean and spread stay as they are.

        Returns:
            None where there is no difference, or more than a thousand would be needed.
        """
        if self.half_width(looks) < abs(self.mean):
            return 0
        if not self.spread:
            return None
        for seeds in range(self.seeds + 1, MOST_NEEDED + 1):
            freedom = self.freedom + seeds - self.seeds
            quantile = looks.quantile(seeds, freedom) + _quantile(2 * (1 - POWER), freedom)
            if abs(self.mean) / self.spread > quantile / math.sqrt(seeds):
                return seeds - self.seeds
        return None

    def _chance(self, looks: Looks, indifferent: float) -> float:
        """The chance that the last look finds a difference that matters, given what is known (predictive power).

        Spiegelhalter, Freedman and Blackburn, Controlled Clinical Trials 7:8 (1986).
        """
        if not self.spread:
            return 0.0
        from scipy.special import stdtr

        most, freedom = looks.most, self.freedom
        half_width = looks.quantile(most, freedom + most - self.seeds) * self.spread / math.sqrt(most)
        ahead = self.spread * math.sqrt(1 / self.seeds - 1 / most)  # how far the mean may still move
        least = max(half_width, indifferent)  # at which a difference is found, and matters
        return float(stdtr(freedom, (self.mean - least) / ahead) + stdtr(freedom, (-least - self.mean) / ahead))


def borrowing(differences: Sequence[Difference | None]) -> list[Difference | None]:
    """Differences of one configuration from several, each with its spread drawn to the median of all.

    Of two or three seeds nobody knows how far they scatter; of ten configurations together one does. Smyth (Statistical
    Applications in Genetics and Molecular Biology 3:3, 2004) calls this a moderated t. The median of sample variances
    lies below the true one by the factor of Wilson and Hilferty (PNAS 17:684, 1931).

    How much is borrowed is fixed, and not estimated as for the interval of the best (`winner.shrunk`): looks are many,
    and begin with two seeds, of which an estimate would often pool spreads that are none of each other.
    """
    paired = [difference for difference in differences if difference is not None and difference.is_paired]
    if len(paired) < FEWEST:
        return list(differences)
    power = power_of(difference.spread for difference in paired)
    squares = (times(one.spread, -power) ** 2 / (1 - 2 / (9 * one.freedom)) ** 3 for one in paired)
    typical = times(math.sqrt(median(squares)), power)
    return [one.beside(typical) if one is not None and one.is_paired and one.spread else one for one in differences]


@cache
def _quantile(level: float, freedom: float) -> float:
    """Student's t that is exceeded, in either direction, with the probability `level`."""
    if level <= 0:
        return math.inf
    from scipy.special import stdtrit

    return -float(stdtrit(freedom, level / 2))


def _of_rounding(values: Iterable[float]) -> float:
    """The standard deviation that rounding gives to the difference of two values; 0 where all are one."""
    known = sorted(values)
    least = ROUNDING * max(map(abs, known))
    gaps = [after - before for before, after in itertools.pairwise(known) if after - before > least]
    return min(gaps, default=0.0) / math.sqrt(6)
