"""Single values that a sweep file has, as those of the parameters that it gives them to."""

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.functions import Parameter, TrialFunction
from orchestrator.spec.mistakes import Mistakes, nearest
from orchestrator.spec.source import Location
from orchestrator.trial import Params


def parameter_named(location: Location, name: str, function: TrialFunction, mistakes: Mistakes) -> Parameter | None:
    """The function's parameter of this name; None, and a mistake, where it has none."""
    if name in function.parameters:
        return function.parameters[name]
    mistakes.note(location, f"unknown parameter of {function.name}; {nearest(name, function.parameters)}")
    return None


def typed(location: Location, value: Any, parameter: Parameter, mistakes: Mistakes) -> Any:
    """The value in its parameter's type; None, and a mistake, where the parameter cannot have it."""
    try:
        return parameter.validate(value)
    except ValueError as error:
        names = parameter.schema.get("enum", [])
        hint = f"; {nearest(str(value), names)}" if names else ""
        mistakes.note(location, f"{error}{hint}")
        return None


def typed_row(location: Location, row: Mapping[str, Any], function: TrialFunction, mistakes: Mistakes) -> Params:
    """The values of several parameters, each in its type."""
    return {
        name: typed((*location, name), value, parameter, mistakes)
        for name, value in row.items()
        if (parameter := parameter_named((*location, name), name, function, mistakes))
    }


def refuse_repeats(location: Location, values: Sequence[Any], mistakes: Mistakes) -> None:
    """Note each value that came before; those that no parameter can have were noted already."""
    seen: set[str] = set()
    for i, value in enumerate(values):
        if value is not None and repr(value) in seen:
            mistakes.note((*location, i), f"{value} appears twice")
        seen.add(repr(value))
