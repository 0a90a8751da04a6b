"""A configuration, and the results of its seeds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

from orchestrator.comparison.intervals import Interval
from orchestrator.spec import Objective, Values
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

    @cached_property
    def values(self) -> tuple[Values, ...]:
        """Of the seeds that completed, by objective; without seeds that lack a value."""
        return self.values_of(Outcome.COMPLETED)

    @cached_property
    def exploded(self) -> int:
        """How many seeds exploded."""
        return self._count(Outcome.EXPLODED)

    @cached_property
    def pruned(self) -> int:
        """How many seeds were pruned."""
        return self._count(Outcome.PRUNED)

    @property
    def seeds(self) -> int:
        """How many seeds have completed with values, exploded, or been pruned."""
        return len(self.values) + self.exploded + self.pruned

    @cached_property
    def means(self) -> tuple[float, ...]:
        """Over the seeds that completed, for each objective; none where no seed has completed."""
        return tuple(map(fmean, zip(*self.values, strict=True)))

    @cached_property
    def intervals(self) -> tuple[Interval, ...]:
        """An interval for each objective; none where no seed has completed. Pruned seeds are not counted."""
        return tuple(map(Interval.of, zip(*self.values, strict=True)))

    def values_of(self, outcome: Outcome) -> tuple[Values, ...]:
        """Of the seeds with an outcome, by objective; without seeds that lack a value."""
        return tuple(seed.values for seed in self.results if seed.outcome is outcome and seed.values is not None)

    def _count(self, outcome: Outcome) -> int:
        return sum(seed.outcome is outcome for seed in self.results)


def configurations(records: Iterable[Record], objectives: Sequence[Objective]) -> list[Configuration]:
    """The configurations of which a seed has a result, in the order of the records."""
    by_key: dict[str, Configuration] = {}
    for record in records:
        observation = Observation.of_record(objectives, record)
        if observation is not None:
            key = record.tags["config_key"]
            by_key[key] = by_key.get(key, Configuration(key, record.params)).after(observation)
    return [*by_key.values()]
