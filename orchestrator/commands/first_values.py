"""What a first sweep varies: a few values of a parameter that is likely to matter."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from orchestrator.functions import Parameter
from orchestrator.functions.fields import MISSING

LEARNING_RATE = re.compile(r"(.*[._-])?(lr|learning[_-]?rate|eta)(_init)?", re.IGNORECASE)
NEVER = re.compile(r"(.*[._-])?(seed|random[_-]?state|epochs?|n[_-]epochs|workers|num[_-]?workers)", re.IGNORECASE)
AROUND = (0.5, 1.0, 2.0)  # times the default
SMALL = (0.001, 0.01)  # where a learning rate has no default
GUESSES: tuple[Any, ...] = (1, 0.1, "", False, [], None)  # for a parameter that has no default, whatever it takes first


def first_values(known: Mapping[str, Parameter], accepts: Callable[[Mapping[str, Any]], bool]) -> dict[str, Any]:
    """The `parameters` of a first sweep: a few values of one, and a value of each that has no default.

    Args:
        known: the parameters that there are.
        accepts: whether a configuration of these values can be.
    """
    constants = {name: _guess(parameter) for name, parameter in known.items() if parameter.default is MISSING}
    for name, values in _varied(known):
        possible = [value for value in values if accepts({**constants, name: value})]
        if len(possible) > 1:
            return {name: {"values": possible}} | {key: value for key, value in constants.items() if key != name}
    return constants or {name: parameter.default for name, parameter in [*known.items()][:1]}


def _varied(known: Mapping[str, Parameter]) -> Iterator[tuple[str, list[Any]]]:
    """What may be varied, from what is most likely to matter on."""
    others = {name: parameter for name, parameter in known.items() if not NEVER.fullmatch(name)}
    rates = [parameter for name, parameter in others.items() if LEARNING_RATE.fullmatch(name)]
    numbers = [parameter for parameter in others.values() if _number(parameter)]
    whole = [parameter for parameter in numbers if isinstance(parameter.default, int)]
    for parameter in (*rates, *(one for one in numbers if one not in whole), *whole):
        if values := _around(parameter):
            yield parameter.name, values
    for parameter in others.values():
        choices = [False, True] if parameter.schema.get("type") == "boolean" else parameter.schema.get("enum", [])
        yield parameter.name, [*choices]


def _number(parameter: Parameter) -> float:
    """The default, if it is a number; else 0."""
    is_number = isinstance(parameter.default, int | float) and not isinstance(parameter.default, bool)
    return parameter.default if is_number and parameter.is_number else 0


def _around(parameter: Parameter) -> list[Any]:
    """Values around the default, as far as the parameter takes them."""
    default = _number(parameter)
    if not default and parameter.default in (MISSING, None) and parameter.is_number:
        return [value for value in SMALL if _takes(parameter, value)]
    values = [default if times == 1 else float(f"{default * times:.3g}") for times in AROUND] if default else []
    if isinstance(default, int):
        values = [max(1, round(value)) if default > 0 else round(value) for value in values]
    return sorted({value for value in values if _takes(parameter, value)})


def _takes(parameter: Parameter, value: Any) -> bool:
    with suppress(ValueError):
        parameter.validate(value)
        return True
    return False


def _guess(parameter: Parameter) -> Any:
    """A value for a parameter without a default, that it takes."""
    if LEARNING_RATE.fullmatch(parameter.name) and _takes(parameter, SMALL[0]):
        return SMALL[0]
    guesses = [*parameter.schema.get("enum", []), *GUESSES]
    return next((guess for guess in guesses if _takes(parameter, guess)), None)
