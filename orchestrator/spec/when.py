"""The conditions that a sweep file's parameters have: their `when`."""

from collections.abc import Collection, Mapping
from typing import Any

from orchestrator.functions import TrialFunction
from orchestrator.spec.conditions import Conditions, Wanted, in_order
from orchestrator.spec.domains import Choice, Domain, Range
from orchestrator.spec.form import SweepFile
from orchestrator.spec.methods import named
from orchestrator.spec.mistakes import Mistakes
from orchestrator.spec.source import Location
from orchestrator.spec.values import parameter_named, typed


def conditions_of(
    form: SweepFile, function: TrialFunction, constants: Collection[str], mistakes: Mistakes
) -> Conditions:
    """Where parameters vary; a parameter that was set to a constant is constant everywhere."""
    wanted: dict[str, Wanted] = {}
    for name, raw in form.parameters.items():
        when = raw.get("when") if isinstance(raw, dict) and name not in constants else None
        if isinstance(when, dict) and name in function.parameters:
            wanted[name] = _wanted(name, when, function, mistakes)
    if wanted and named(form.method).finds_boundary:
        mistakes.note(("parameters", next(iter(wanted)), "when"), f"does not work with method {form.method}")
    try:
        names = in_order(wanted)
    except ValueError as error:
        last = str(error).split(" when ")[0]
        mistakes.note(("parameters", last, "when"), f"depends on itself: {error}")
        names = []
    return Conditions({name: wanted[name] for name in names}, function.defaults)


def check_conditions(
    conditions: Conditions, domains: Mapping[str, Domain], elsewhere: Collection[str], mistakes: Mistakes
) -> None:
    """Refuse wrong conditions, and warn of those never met; `elsewhere` are parameters that rows may give."""
    for name, wanted in conditions.wanted.items():
        for other, among in wanted.items():
            here = ("parameters", name, "when", other)
            domain = domains.get(other, Choice((conditions.defaults.get(other),)))
            if domain.is_continuous:
                where = " between min and max" * isinstance(domain, Range)
                mistakes.note(here, f"{other} may be any number{where}; a condition needs `values`")
            elif other not in {*elsewhere, *conditions.wanted} and not any(map(domain.has, among)):
                mistakes.warn(here, f"is never met, so {name} always has its default")


def _wanted(name: str, when: Mapping[str, Any], function: TrialFunction, mistakes: Mistakes) -> Wanted:
    here: Location = ("parameters", name, "when")
    if name not in function.defaults:
        mistakes.note(here, f"{name} needs a default, for trials that do not meet this condition")
    if "seed" in (name, *when):
        mistakes.note(here, "a seed cannot have a condition or be part of one: seeds only replicate")
    found: dict[str, tuple[Any, ...]] = {}
    for other, among in when.items():
        parameter = parameter_named((*here, other), other, function, mistakes)
        values = among if isinstance(among, list) else [among]
        if not values:
            mistakes.note((*here, other), "give a value, or a list of values")
        if parameter is not None:
            places = [(*here, other, i) if isinstance(among, list) else (*here, other) for i in range(len(values))]
            found[other] = tuple(
                typed(at, value, parameter, mistakes) for at, value in zip(places, values, strict=True)
            )
    return found
