"""A configuration and its seeds: what those of its trials came to that have a result."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from orchestrator.comparison.intervals import Interval
from orchestrator.spec import Objective, Values
from orchestrator.trial import Outcome, Params
from orchestrator.trials.observation import Observation
from orchestrator.trials.record import Record


@dataclass(frozen=True)
class Configuration:
    """A configuration, and the results of its seeds. It does not change, so that what it is asked for is kept."""

    config_key: str
    params: Params  # of one of its trials
    results: tuple[Observation, ...] = ()  # of the seeds, in the order in which they came to be known

    def after(self, observation: Observation) -> "Configuration":
        """The same with one more seed, if that has a result."""
        if not observation.outcome.is_result:
            return self
        return Configuration(self.config_key, self.params, (*self.results, observation))

    @cached_property
    def values(self) -> tuple[Values, ...]:
        """Of the seeds that completed, by objective; without those that lack one."""
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
        """How many have a result to compare by: values, an explosion, or that they were pruned."""
        return len(self.values) + self.exploded + self.pruned

    @cached_property
    def intervals(self) -> tuple[Interval, ...]:
        """One for each objective; none where no seed has completed. What was pruned is not in them."""
        return tuple(map(Interval.of, zip(*self.values, strict=True)))

    def values_of(self, outcome: Outcome) -> tuple[Values, ...]:
        """Of the seeds that ended so, by objective; without those that lack one."""
        return tuple(one.values for one in self.results if one.outcome is outcome and one.values is not None)

    def overlaps(self, other: "Configuration") -> bool:
        """Whether seeds do not tell the two apart in the first objective."""
        return bool(self.intervals and other.intervals) and self.intervals[0].overlaps(other.intervals[0])

    def _count(self, outcome: Outcome) -> int:
        return sum(one.outcome is outcome for one in self.results)


def configurations(records: Iterable[Record], objectives: Sequence[Objective]) -> list[Configuration]:
    """The configurations of which a seed has a result, in their order."""
    found: dict[str, Configuration] = {}
    for record in records:
        observation = Observation.of_record(objectives, record)
        if observation is not None:
            key = record.tags["config_key"]
            found[key] = found.get(key, Configuration(key, record.params)).after(observation)
    return [*found.values()]
