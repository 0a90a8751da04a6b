"""A configuration, and the results of its seeds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from orchestrator.comparison.intervals import Interval
from orchestrator.spec import Objective, Values
from orchestrator.spec.constraint import Constraint
from orchestrator.system.averages import average
from orchestrator.trial import Outcome, Params
from orchestrator.trials.observation import Observation
from orchestrator.trials.record import Record


@dataclass(frozen=True)
class Configuration:
    """A configuration, and the results of its seeds. It does not change, so derived values are cached."""

    config_key: str
    params: Params  # of one of its trials
    results: tuple[Observation, ...] = ()  # of the seeds, in the order in which they ended

    def after(self, observation: Observation) -> "Configuration":
        """The same with one more seed, if that has a result."""
        if not observation.outcome.is_result:
            return self
        return Configuration(self.config_key, self.params, (*self.results, observation))

    def without(self, observation: Observation) -> "Configuration":
        """The same without one of the seeds that were taken in."""
        results = tuple(seed for seed in self.results if seed is not observation)
        return Configuration(self.config_key, self.params, results)

    @cached_property
    def values(self) -> tuple[Values, ...]:
        """Of the seeds that completed, by objective; without seeds that lack a value."""
        return self.values_of(Outcome.COMPLETED)

    @cached_property
    def exploded(self) -> int:
        """How many seeds exploded."""
        return self._count(Outcome.EXPLODED)

    @cached_property
    def infeasible(self) -> int:
        """How many seeds were infeasible."""
        return self._count(Outcome.INFEASIBLE)

    @cached_property
    def margins(self) -> Mapping[str, float]:
        """By constraint of the file, how far beyond it the seeds were on average, of those that told of it."""
        names = dict.fromkeys(name for seed in self.results for name in seed.margins)
        return {name: average(seed.margins[name] for seed in self.results if name in seed.margins) for name in names}

    @property
    def broken(self) -> list[str]:
        """The constraints that it breaks, over its seeds."""
        return [name for name, margin in self.margins.items() if margin > 0]

    @cached_property
    def pruned(self) -> int:
        """How many seeds were pruned."""
        return self._count(Outcome.PRUNED)

    @cached_property
    def without_value(self) -> int:
        """How many seeds completed without a value of each objective."""
        return self._count(Outcome.COMPLETED) - len(self.values)

    @property
    def seeds(self) -> int:
        """How many seeds have a result."""
        return len(self.results)

    @property
    def is_mostly_bad(self) -> bool:
        """Whether at least half of the seeds exploded or were infeasible."""
        return self.seeds > 0 and 2 * (self.exploded + self.infeasible) >= self.seeds

    @cached_property
    def means(self) -> tuple[float, ...]:
        """Over the seeds that completed, for each objective; none where no seed has completed."""
        return tuple(map(average, zip(*self.values, strict=True)))

    @cached_property
    def intervals(self) -> tuple[Interval, ...]:
        """An interval for each objective; none where no seed has completed. Pruned seeds are not counted."""
        return tuple(map(Interval.of, zip(*self.values, strict=True)))

    def expected(self, objectives: Sequence[Objective], worst: Values | None, survivors: bool = False) -> Values | None:
        """What who trains it once has to expect of each objective, which is what it is compared by.

        The mean over its seeds. One that exploded, was infeasible or has no value counts as the worst of the sweep; one
        that was pruned as what it had by then, but never for the better.

        Args:
            objectives: by which configurations are compared.
            worst: completed value of each that is known; None where there is none.
            survivors: whether seeds without a value do not count.

        Returns:
            None where no seed completed or was pruned with a value.
        """
        if self.values and len(self.values) == len(self.results):
            return self.means
        pruned = self.values_of(Outcome.PRUNED)
        if not (self.values or pruned):
            return None
        stands_in = [] if worst is None or survivors else [worst]
        lost = stands_in * (self.seeds - len(self.values) - self.pruned)
        ended = [*self.values, *lost] if self.values else []
        all_seeds = [*self.values, *lost, *pruned, *stands_in * (self.pruned - len(pruned))]
        means = [tuple(map(average, zip(*seeds, strict=True))) for seeds in (ended, all_seeds) if seeds]
        return tuple(objective.worst(pair) for objective, *pair in zip(objectives, *means, strict=True))

    def values_of(self, outcome: Outcome) -> tuple[Values, ...]:
        """Of the seeds with an outcome, by objective; without seeds that lack a value."""
        return tuple(seed.values for seed in self.results if seed.outcome is outcome and seed.values is not None)

    def _count(self, outcome: Outcome) -> int:
        return sum(seed.outcome is outcome for seed in self.results)


def configurations(
    records: Iterable[Record], objectives: Sequence[Objective], constraints: Sequence[Constraint] = ()
) -> list[Configuration]:
    """The configurations of which a seed has a result, in the order of the records."""
    by_key: dict[str, Configuration] = {}
    for record in records:
        observation = Observation.of_record(objectives, record, constraints)
        if observation is not None:
            key = record.tags["config_key"]
            by_key[key] = by_key.get(key, Configuration(key, record.params)).after(observation)
    return [*by_key.values()]
