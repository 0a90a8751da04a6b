"""The configurations that a search tries first."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.trial import Params
from orchestrator.trials.labels import listed
from orchestrator.trials.search_space import SearchSpace, has_values


@dataclass
class Starts:
    """Configurations that are to be tried first, or parts of them, until a trial has their values.

    So none is tried twice, whatever the list was in an earlier launch.
    """

    space: SearchSpace
    waiting: list[Params] = field(default_factory=list)

    @classmethod
    def of(cls, space: SearchSpace, begun: Iterable[Params] = ()) -> "Starts":
        """Those of a file that no configuration has which was begun."""
        starts = cls(space, list(space.spec.start_with))
        for params in begun:
            starts.take(params)
        return starts

    @property
    def next(self) -> dict[str, Any] | None:
        """The part of a proposal that the next of them is."""
        return self.space.part(self.waiting[0]) if self.waiting else None

    def add(self, further: Sequence[Params]) -> None:
        """Have these tried, too, after the others."""
        self.waiting += further

    def take(self, params: Params) -> bool:
        """Take in the parameters of a configuration that is tried; returns whether one that waited has them."""
        left = [values for values in self.waiting if not has_values(params, values)]
        is_one, self.waiting = len(left) < len(self.waiting), left
        return is_one

    @property
    def in_words(self) -> list[str]:
        """Those that wait, as people read them."""
        return [self._in_words(values) for values in self.waiting]

    def without_room(self, trials: int) -> str:
        """That some of them do not fit into so many further trials, in a line; or nothing."""
        room = -(-trials // len(self.space.seeds))
        count = sum(values in self.space.spec.start_with for values in self.waiting[room:])
        return f"run_cap leaves no room for {count} of start_with; a larger one has them tried" if count else ""

    def _in_words(self, values: Params) -> str:
        text, part = listed(values, values), self.space.part(values)
        known: dict[str, Any] = {}
        for name in self.space.domains:
            if self.space.varies(name, known):
                if name not in part:
                    return f"{text}, and what is proposed of the rest"
                known[name] = part[name]
        return text
