"""The configurations that a sweep file has tried first: its `start_with`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.functions import TrialFunction
from orchestrator.functions.fields import MISSING
from orchestrator.spec.domains import Choice, Domain
from orchestrator.spec.form import SweepFile
from orchestrator.spec.methods import METHODS, Method, named
from orchestrator.spec.metrics import listed
from orchestrator.spec.mistakes import Mistakes, nearest
from orchestrator.spec.parameters import Space
from orchestrator.spec.source import Location, place_of, scalar
from orchestrator.spec.values import Given, given, refuse_repeats, row_entries, typed_row
from orchestrator.trial import Params

KEY = "start_with"


@dataclass(frozen=True)
class MistakesOfSetting(Mistakes):
    """Mistakes in what `--set` gave, rather than in the file."""

    def note(self, location: Location, message: str) -> None:
        self.note_setting(place_of(location), message)


def with_setting(
    form: SweepFile, overrides: Sequence[str], mistakes: Mistakes
) -> tuple[SweepFile, Sequence[str], Mistakes]:
    """The file's shape with the `start_with` of `--set`, where a parameter of that name is not meant.

    Returns:
        The shape, the settings that are left, and where what is wrong with `start_with` is noted.
    """
    own = [text for text in overrides if text.partition("=")[0] == KEY and KEY not in form.parameters]
    if not own:
        return form, overrides, mistakes
    of_setting = MistakesOfSetting(mistakes.source, mistakes.lines, mistakes.warnings)
    shape = of_setting.validated(SweepFile, {KEY: scalar(own[-1].partition("=")[2])}, ())
    rows = shape.start_with if shape else []
    return form.model_copy(update={KEY: rows}), [text for text in overrides if text not in own], of_setting


def starts_of(
    method: Method, form: SweepFile, space: Space, function: TrialFunction, mistakes: Mistakes
) -> tuple[Params, ...]:
    """The values that the rows give parameters which the sweep varies; constants are left out.

    Args:
        method: that runs.
        form: the file's shape.
        space: what it varies.
        function: whose parameters these are.
        mistakes: where what is wrong with them is noted.
    """
    if not form.start_with:
        return ()
    if not named(form.method).takes_starts:
        suitable = listed([known.name for known in METHODS.values() if known.takes_starts], "or")
        mistakes.note((KEY,), f"does not work with method {form.method}, which tries what it tries; use {suitable}")
        return ()
    if not space.is_known:  # what is wrong with the parameters is said, and would be said once more
        return ()
    found = []
    for i, values in enumerate(form.start_with):
        if not values:
            mistakes.note((KEY, i), "is empty; give it parameters, or delete it")
        entries = given(row_entries((KEY, i), values), function, mistakes)
        found.append(StartRow(i, entries, typed_row(entries, mistakes), space, function))
    refuse_repeats((KEY,), [row.values or None for row in found], mistakes)
    for row in found:
        for location, message in row.mistakes():
            mistakes.note(location, message)
    starts = {repr(row.start): row.start for row in found if row.start}  # settings may have made two of them alike
    return tuple(starts.values()) if method.takes_starts else ()


@dataclass(frozen=True)
class StartRow:
    """An entry of the list, and what is wrong with it."""

    number: int
    given: Mapping[str, Given]
    values: Params
    space: Space
    function: TrialFunction

    @property
    def start(self) -> Params:
        """The values of what varies, but for what was set to a constant."""
        return {name: value for name, value in self.values.items() if name in self.space.varying}

    def mistakes(self) -> Iterator[tuple[Location, str]]:
        """What is wrong with the values, and where; those of the wrong type were noted already."""
        if any(value is None for value in self.values.values()):
            return
        found = [
            (entry.location, problem)
            for name, entry in self.given.items()
            if name not in self.space.constants and (problem := self._problem(name, self.values[name]))
        ]
        found += self._of_rows("zip", self.space.zipped) + self._of_rows("configs", self.space.configs)
        yield from found
        if not found and (problem := self._together()):
            yield (KEY, self.number), problem

    def _problem(self, name: str, value: Any) -> str:
        domain = self.space.domains.get(name)
        if name == "seed" and name not in self.space.searched:
            return "a seed is no part of a configuration; list seeds as `seeds: [...]`"
        if domain is not None and not domain.is_constant:
            return outside(domain, value) or self._condition(name)
        if name in self.space.searched or any(name in row for row in self._rows):
            return ""
        constant = domain.examples()[0] if domain else self.function.defaults.get(name, MISSING)
        if repr(constant) == repr(value):
            return ""
        is_here = "has no value" if constant is MISSING else f"is {constant}"
        return f"{name} does not vary in this sweep, where it {is_here}; delete it here, or have it vary"

    def _condition(self, name: str) -> str:
        """That a parameter is not varied where the others have these values, or that this is not known."""
        conditions, values = self.space.conditions, {**self._constants, **self.values}
        for other, among in conditions.wanted.get(name, {}).items():
            is_open = other in self.space.searched and other not in values and conditions.holds(other, values)
            where = f"{name} varies only where {other} is {listed([str(value) for value in among], 'or')}"
            if is_open:
                return f"{where}; give {other}, too"
            if repr(values.get(other, conditions.defaults.get(other))) not in map(repr, among):
                return f"{where}; delete it here"
        return ""

    def _of_rows(self, key: str, rows: Sequence[Params]) -> list[tuple[Location, str]]:
        """That no row of `zip` or `configs` has what is given of it."""
        names = {name for row in rows for name in row} & self.values.keys()
        wanted = {name: value for name, value in self.values.items() if name in names}
        whole = ({**self.function.defaults, **row} for row in rows)
        if not names or any(_fits(wanted, row) for row in whole):
            return []
        first = min(names, key=[*self.given].index)
        return [(self.given[first].location, f"no row of `{key}` has {self._in_words(wanted)}")]

    def _together(self) -> str:
        """Why the function refuses the values, where all are given."""
        values = self.space.conditions.kept({**self._constants, **self.start})
        if any(self.space.conditions.holds(name, values) and name not in values for name in self.space.searched):
            return ""
        try:
            self.function.resolve(values)
        except ValueError as error:
            return str(error)
        return ""

    @property
    def _rows(self) -> Sequence[Params]:
        return (*self.space.zipped, *self.space.configs)

    @property
    def _constants(self) -> dict[str, Any]:
        return {name: domain.examples()[0] for name, domain in self.space.domains.items() if domain.is_constant}

    def _in_words(self, values: Params) -> str:
        return listed([f"{name} {value}" for name, value in values.items()], "and")


def outside(domain: Domain, value: Any) -> str:
    """Why a value is none of a domain's, in words; nothing where it is one."""
    if isinstance(domain, Choice):
        return "" if domain.has(value) else f"{value} is not among its values; {_nearest(value, domain.values)}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"must be a number, not {value!r}"
    least, most = domain.ends
    if not least <= value <= most:
        return f"{value:g} is outside of its range, {domain.words}"
    if not domain.is_continuous and (rounded := domain.decoded(domain.encoded(value))) != value:
        return f"{value:g} is between its steps; the nearest is {rounded:g}"
    return ""


def _nearest(value: Any, values: Sequence[Any]) -> str:
    return nearest(str(value), [str(other) for other in values])


def _fits(wanted: Params, row: Params) -> bool:
    return all(name in row and repr(row[name]) == repr(value) for name, value in wanted.items())
