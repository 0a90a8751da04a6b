"""Parameters that are varied only where others have certain values; elsewhere they have their defaults."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any

from orchestrator.trial import Params

Wanted = Mapping[str, tuple[Any, ...]]  # by parameter, the values of which it has to have one


@dataclass(frozen=True)
class Conditions:
    """The conditions of a sweep file. Each comes after those of the parameters that it names."""

    wanted: Mapping[str, Wanted] = field(default_factory=dict)  # by the parameter that is varied where they hold
    defaults: Params = field(default_factory=dict)  # of all parameters

    def holds(self, name: str, values: Params) -> bool:
        """Whether a parameter is varied where others have these values; what is not given has its default."""
        if name not in self.wanted:
            return True
        known = {**self.defaults, **values}
        return all(repr(known.get(other)) in map(repr, among) for other, among in self.wanted[name].items())

    def active(self, names: Iterable[str], params: Params) -> list[str]:
        """Those of some parameters that are varied where all have these values."""
        return [name for name in names if self.holds(name, params)]

    def kept(self, values: Params) -> dict[str, Any]:
        """The values without those of parameters that are not varied where the others have theirs."""
        kept = dict(values)
        for name in self.wanted:
            if not self.holds(name, kept):
                kept.pop(name, None)
        return kept


def in_order(wanted: Mapping[str, Wanted]) -> list[str]:
    """The parameters that have conditions, each after those that its own names.

    Raises:
        ValueError: that cannot be, since conditions come back to themselves; the message says along which parameters.
    """
    try:
        TopologicalSorter(wanted).prepare()
    except CycleError as error:
        raise ValueError(" when ".join(reversed(error.args[1]))) from error
    found: list[str] = []

    def add(name: str) -> None:
        if name in wanted and name not in found:
            for other in wanted[name]:
                add(other)
            found.append(name)

    for name in wanted:  # and not by levels, as the sorter would go: what a search proposes hangs on the order
        add(name)
    return found
