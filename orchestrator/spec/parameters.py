"""What a sweep file gives the parameters: constants, lists, ranges, rows and seeds."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isclose
from typing import Any, TypeVar, get_args

from orchestrator.functions import Parameter, TrialFunction
from orchestrator.spec.conditions import Conditions
from orchestrator.spec.densities import density_of
from orchestrator.spec.domains import Choice, Domain, domain_of
from orchestrator.spec.form import SweepFile
from orchestrator.spec.mistakes import Mistakes, nearest
from orchestrator.spec.parameter_forms import (
    BetaForm,
    BetaName,
    NormalForm,
    NormalName,
    RangeForm,
    RangeName,
    ValueForm,
    ValuesForm,
)
from orchestrator.spec.source import Location, scalar
from orchestrator.spec.values import Given, flattened, given, refuse_repeats, row_entries, typed, typed_row
from orchestrator.spec.when import check_conditions, conditions_of
from orchestrator.trial import Params

T = TypeVar("T")
LISTED = ("constant", "categorical", "categorical_w_probabilities")
BY_NAME: Mapping[str, type[RangeForm | NormalForm | BetaForm]] = {
    **dict.fromkeys(get_args(RangeName), RangeForm),
    **dict.fromkeys(get_args(NormalName), NormalForm),
    **dict.fromkeys(get_args(BetaName), BetaForm),
}  # the distributions of numbers


@dataclass(frozen=True)
class Space:
    """All values that the configurations of a sweep may have."""

    constants: Params  # of --set; they stand in `domains` too, and nowhere else
    domains: Mapping[str, Domain]
    zipped: tuple[Params, ...]
    configs: tuple[Params, ...]
    seeds: tuple[int, ...]
    conditions: Conditions
    places: Mapping[str, Location]  # of what the file's `parameters` gives, by name
    given: frozenset[str]  # the parameters that the file gives at all

    @property
    def is_known(self) -> bool:
        """Whether there was nothing wrong with what the file's `parameters` gives, so that it can be counted."""
        return self.places.keys() <= self.domains.keys()

    @cached_property
    def searched(self) -> frozenset[str]:
        """The parameters that have more than one value to choose from."""
        varied = {name for name, domain in self.domains.items() if not domain.is_constant}
        return frozenset(varied | self.differing(self.zipped) | self.differing(self.configs))

    @property
    def varying(self) -> frozenset[str]:
        """The parameters that may differ between configurations: a condition lets one have its default as well."""
        return self.searched | self.conditions.wanted.keys()

    def differing(self, rows: Sequence[Params]) -> set[str]:
        """The parameters that rows give several values; a row that leaves one out has its default."""
        names = {name for row in rows for name in row}
        whole = [{**self.conditions.defaults, **row} for row in rows]
        return {name for name in names if len({repr(row.get(name)) for row in whole}) > 1}


def space_of(form: SweepFile, function: TrialFunction, overrides: Sequence[str], mistakes: Mistakes) -> Space:
    """What the file varies, where `overrides` (`NAME=VALUE`) take precedence over it."""
    constants = _constants(overrides, function, mistakes)
    entries = [flattened(form.parameters, mistakes), row_entries(("zip",), form.zip)]
    entries += [row_entries(("configs", i), config) for i, config in enumerate(form.configs)]
    found = [given(part, function, mistakes) for part in entries]
    parameters, lists, *rows = (_without(constants, part) for part in found)
    domains, zipped = _domains(parameters, mistakes), _zipped(lists, mistakes)
    configs = tuple(typed_row(row, mistakes) for row in rows)
    seeds = _seeds(form.seeds, function, mistakes) if "seed" not in constants else ()
    _refuse_overlaps(form.seeds, parameters, lists, rows, mistakes)
    domains |= {name: Choice((value,)) for name, value in constants.items()}
    conditions = conditions_of(form.method, parameters, function, mistakes)
    from_rows = {name for row in (*zipped, *configs) for name in row}
    check_conditions(conditions, parameters, domains, from_rows | constants.keys(), mistakes)
    places = {name: entry.location for name, entry in parameters.items()}
    names = frozenset(name for part in found for name in part) | {"seed" for _ in form.seeds}
    return Space(constants, domains, zipped, configs, seeds, conditions, places, names)


def _constants(overrides: Sequence[str], function: TrialFunction, mistakes: Mistakes) -> dict[str, Any]:
    constants: dict[str, Any] = {}
    for text in overrides:
        name, equals, value = text.partition("=")
        parameter = function.named(name)
        if not equals:
            mistakes.note_setting(text, "write NAME=VALUE")
        elif parameter is None:
            mistakes.note_setting(text, f"unknown parameter {name}; {nearest(name, function.parameters)}")
        elif parameter.name in constants:
            mistakes.note_setting(text, f"{parameter.name} is set twice")
        else:
            try:
                constants[parameter.name] = parameter.validate(scalar(value))
            except ValueError as error:
                mistakes.note_setting(text, str(error))
    return constants


def _without(constants: Collection[str], given: Mapping[str, T]) -> dict[str, T]:
    return {name: value for name, value in given.items() if name not in constants}


def _domains(parameters: Mapping[str, Given], mistakes: Mistakes) -> dict[str, Domain]:
    found = {name: _domain(entry, mistakes) for name, entry in parameters.items()}
    return {name: domain for name, domain in found.items() if domain is not None}


def _domain(entry: Given, mistakes: Mistakes) -> Domain | None:
    location, parameter, raw = entry.location, entry.parameter, entry.raw
    if isinstance(raw, list) and parameter.schema.get("type") != "array":
        mistakes.note(location, "write a list of values to try as {values: [...]}")
        return None
    if not isinstance(raw, dict):
        return Choice((typed(location, raw, parameter, mistakes),))
    if "value" in raw and "values" in raw:
        mistakes.note(location, "give `value` or `values`, not both")
        return None
    if "value" in raw:
        constant = mistakes.validated(ValueForm, raw, location)
        return Choice((typed((*location, "value"), constant.value, parameter, mistakes),)) if constant else None
    if "values" in raw:
        return _choice(location, raw, parameter, mistakes)
    return _numbers(location, raw, parameter, mistakes)


def _numbers(location: Location, raw: Mapping[str, Any], parameter: Parameter, mistakes: Mistakes) -> Domain | None:
    """A distribution of numbers, by its name; a range where it has none."""
    name = raw.get("distribution")
    if name in LISTED:
        mistakes.note((*location, "distribution"), f"{name} takes `value` or `values`")
        return None
    if isinstance(name, str) and name not in BY_NAME:
        mistakes.note((*location, "distribution"), f"unknown distribution {name}; {nearest(name, [*BY_NAME, *LISTED])}")
        return None
    kind = BY_NAME[name] if isinstance(name, str) else RangeForm
    form = mistakes.validated(kind, raw, location)
    if form is None:
        return None
    try:
        return domain_of(form, parameter) if isinstance(form, RangeForm) else density_of(form, parameter)
    except ValueError as error:
        mistakes.note(location, str(error))
        return None


def _choice(location: Location, raw: Any, parameter: Parameter, mistakes: Mistakes) -> Choice | None:
    form = mistakes.validated(ValuesForm, raw, location)
    if form is None:
        return None
    values = [typed((*location, "values", i), value, parameter, mistakes) for i, value in enumerate(form.values)]
    if not parameter.is_open:  # a program may be given one twice, as in W&B, to have it drawn more
        refuse_repeats((*location, "values"), values, mistakes)
    if form.probabilities is None:
        return Choice(tuple(values))
    if len(form.probabilities) != len(values) or not isclose(sum(form.probabilities), 1, rel_tol=1e-5):
        mistakes.note((*location, "probabilities"), "give one probability for each value; they must add up to 1")
    return Choice(tuple(values), tuple(form.probabilities))


def _zipped(lists: Mapping[str, Given], mistakes: Mistakes) -> tuple[Params, ...]:
    lengths = {name: len(entry.raw) for name, entry in lists.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        mistakes.note(("zip",), f"the lists must be of equal length: {counts}")
        return ()
    columns = {
        name: [typed((*entry.location, i), value, entry.parameter, mistakes) for i, value in enumerate(entry.raw)]
        for name, entry in lists.items()
    }
    return tuple(dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))


def _seeds(seeds: Sequence[int], function: TrialFunction, mistakes: Mistakes) -> tuple[int, ...]:
    if seeds and "seed" not in function.parameters:
        mistakes.note(("seeds",), f"{function.title} has no parameter named seed")
        return ()
    refuse_repeats(("seeds",), seeds, mistakes)
    return tuple(typed(("seeds", i), seed, function.parameters["seed"], mistakes) for i, seed in enumerate(seeds))


def _refuse_overlaps(
    seeds: Sequence[int],
    parameters: Mapping[str, Given],
    lists: Mapping[str, Given],
    rows: Sequence[Mapping[str, Given]],
    mistakes: Mistakes,
) -> None:
    owners: dict[str, str] = {"seed": "seeds"} if seeds else {}
    places = [(entry.location, name) for entries in (parameters, lists) for name, entry in entries.items()]
    for location, name in sorted(places, key=lambda place: mistakes.source.lines.get(place[0], 0)):
        if owners.setdefault(name, str(location[0])) != location[0]:
            mistakes.note(location, f"is also given under {owners[name]}; give it once")
    for row in rows:
        for name, entry in row.items():
            if name in owners:
                mistakes.note(entry.location, f"is also given under {owners[name]}; give it once")
