"""Which configurations are best by what their objectives can be expected to be, over their seeds."""

from collections.abc import Iterable, Iterator, Sequence
from typing import overload

from orchestrator.comparison.configuration import Configuration, configurations
from orchestrator.spec import Objective, SweepSpec, Values
from orchestrator.trials.record import Record


class Ranking(Sequence[Configuration]):
    """The configurations of which a seed has completed, best in the first objective first.

    They are ranked by what who trains one of them once has to expect (`Configuration.expected`). Those of which at
    least half of the seeds exploded or were infeasible come last, whatever the others came to. With `survivors`, such
    seeds do not count. Behind all of them come those that break a constraint.
    """

    def __init__(
        self, configurations: Iterable[Configuration], objectives: Sequence[Objective], survivors: bool = False
    ) -> None:
        self.objectives, self.survivors = tuple(objectives), survivors
        self._signs = [objective.sign for objective in objectives]
        completed = [configuration for configuration in configurations if configuration.values]
        self.worst = worst_of((values for one in completed for values in one.values), objectives)
        expected = ((one, one.expected(objectives, self.worst, survivors) or ()) for one in completed)
        self._ranked = sorted(expected, key=self._rank)
        self._expected = {configuration.config_key: values for configuration, values in self._ranked}

    @overload
    def __getitem__(self, place: int) -> Configuration: ...

    @overload
    def __getitem__(self, place: slice) -> list[Configuration]: ...

    def __getitem__(self, place: int | slice) -> Configuration | list[Configuration]:
        if isinstance(place, slice):
            return [configuration for configuration, _ in self._ranked[place]]
        return self._ranked[place][0]

    def __len__(self) -> int:
        return len(self._ranked)

    def __iter__(self) -> Iterator[Configuration]:
        return (configuration for configuration, _ in self._ranked)

    def expected(self, configuration: Configuration) -> Values:
        """By which one of them is ranked, for each objective."""
        return self._expected[configuration.config_key]

    def is_last(self, configuration: Configuration) -> bool:
        """Whether it ranks behind the others because most of its seeds were lost."""
        return configuration.is_mostly_bad and not self.survivors

    @property
    def front(self) -> list[Configuration]:
        """The Pareto front: no other configuration is as good in all objectives and better in one.

        Those that rank behind the others are not on it, unless there are no others; none is that breaks a constraint.
        """
        import numpy as np

        kept_to = [pair for pair in self._ranked if not pair[0].broken]
        whole = [pair for pair in kept_to if not self.is_last(pair[0])] or kept_to
        signed = np.array([values for _, values in whole]).reshape(-1, len(self._signs)) * self._signs
        kept: list[int] = []
        on_front = np.empty_like(signed)
        for i, row in enumerate(signed):
            better = on_front[: len(kept)]  # none that comes later in a ranking can be better
            if not ((better >= row).all(axis=1) & (better > row).any(axis=1)).any():
                on_front[len(kept)] = row
                kept.append(i)
        return [whole[i][0] for i in kept]

    def _rank(self, ranked: tuple[Configuration, Values]) -> tuple[bool, bool, list[float], float]:
        configuration, values = ranked
        signed = [-sign * value for sign, value in zip(self._signs, values, strict=True)]
        if self.survivors or len(configuration.values) == len(configuration.results):
            return bool(configuration.broken), False, signed, 0.0
        is_last = self.is_last(configuration)
        return bool(configuration.broken), is_last, signed, 1 - len(configuration.values) / configuration.seeds


def ranking_of(spec: SweepSpec, records: Iterable[Record], objectives: Sequence[Objective]) -> Ranking:
    """The ranking of a sweep's trials by these objectives, with the constraints of its file."""
    return Ranking(configurations(records, objectives, spec.constraints), objectives, spec.survivors)


def worst_of(values: Iterable[Values], objectives: Sequence[Objective]) -> Values | None:
    """The worst value of each objective; None where there are none."""
    columns = [*zip(*values, strict=True)]
    return tuple(aim.worst(column) for aim, column in zip(objectives, columns, strict=True)) if columns else None
