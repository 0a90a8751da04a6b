"""The conditions that a sweep file's parameters have: their `when`."""

from collections.abc import Collection, Mapping
from typing import Any

from orchestrator.functions import TrialFunction
from orchestrator.spec.conditions import Conditions, Wanted, in_order
from orchestrator.spec.domains import Choice, Domain, Range
from orchestrator.spec.methods import named
from orchestrator.spec.mistakes import Mistakes
from orchestrator.spec.values import Given, given, row_entries, typed


def conditions_of(
    method: str, parameters: Mapping[str, Given], function: TrialFunction, mistakes: Mistakes
) -> Conditions:
    """Where parameters vary; `parameters` are those that the file does not have set to constants everywhere."""
    wanted: dict[str, Wanted] = {}
    for name, entry in parameters.items():
        when = entry.raw.get("when") if isinstance(entry.raw, dict) else None
        if isinstance(when, dict):
            wanted[name] = _wanted(entry, when, function, mistakes)
    if wanted and named(method).finds_boundary:
        first = parameters[next(iter(wanted))]
        mistakes.note((*first.location, "when"), f"does not work with method {method}")
    try:
        names = in_order(wanted)
    except ValueError as error:
        last = str(error).split(" when ")[0]
        mistakes.note((*parameters[last].location, "when"), f"depends on itself: {error}")
        names = []
    return Conditions({name: wanted[name] for name in names}, function.defaults)


def check_conditions(
    conditions: Conditions,
    parameters: Mapping[str, Given],
    domains: Mapping[str, Domain],
    elsewhere: Collection[str],
    mistakes: Mistakes,
) -> None:
    """Refuse wrong conditions, and warn of those never met; `elsewhere` are parameters that rows may give."""
    for name, wanted in conditions.wanted.items():
        for other, among in wanted.items():
            here = (*parameters[name].location, "when", other)
            domain = domains.get(other, Choice((conditions.defaults.get(other),)))
            if domain.is_continuous:
                where = " between min and max" * isinstance(domain, Range)
                mistakes.note(here, f"{other} may be any number{where}; a condition needs `values`")
            elif other not in {*elsewhere, *conditions.wanted} and not any(map(domain.has, among)):
                mistakes.warn(here, f"is never met, so {name} always has its default")


def _wanted(entry: Given, when: Mapping[str, Any], function: TrialFunction, mistakes: Mistakes) -> Wanted:
    name, here = entry.parameter.name, (*entry.location, "when")
    others = given(row_entries(here, when), function, mistakes)
    if name not in function.defaults:
        mistakes.note(here, f"{name} needs a default, for trials that do not meet this condition")
    if "seed" in (name, *others):
        mistakes.note(here, "a seed cannot have a condition or be part of one: seeds only replicate")
    found: dict[str, tuple[Any, ...]] = {}
    for other, among in others.items():
        is_list = isinstance(among.raw, list)
        values = among.raw if is_list else [among.raw]
        if not values:
            mistakes.note(among.location, "give a value, or a list of values")
        places = [(*among.location, i) if is_list else among.location for i in range(len(values))]
        found[other] = tuple(
            typed(at, value, among.parameter, mistakes) for at, value in zip(places, values, strict=True)
        )
    return found
