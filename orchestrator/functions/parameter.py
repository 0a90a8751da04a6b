"""A parameter of a trial function, and those that a configuration has."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import TypeAdapter, ValidationError

from orchestrator.functions import refusal
from orchestrator.functions.call_form import CallForm, FunctionError
from orchestrator.functions.fields import MISSING, NOT_PLAIN, ConfigField, adapter_of, fields_of, is_config

LONGEST_SHOWN = 200  # characters of a value, in a mistake


@dataclass(frozen=True)
class Parameter:
    """A field of a configuration: its values and its default. One within another field is named `outer.inner`."""

    name: str
    adapter: TypeAdapter[Any]
    default: Any  # or MISSING
    aliases: tuple[str, ...] = ()  # other names that a sweep file may give it

    is_open = False  # whether nothing is known of its values

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of its values."""
        return self.adapter.json_schema()

    @property
    def is_integer(self) -> bool:
        return self.schema.get("type") == "integer"

    @property
    def is_number(self) -> bool:
        return self.schema.get("type") in ("integer", "number")

    def validate(self, value: Any) -> Any:
        """The value as plain JSON, in the field's type.

        Raises:
            ValueError: it is of another type or out of range.
        """
        if self.is_integer and isinstance(value, float) and value.is_integer():
            value = int(value)
        try:
            typed = self.adapter.validate_json(json.dumps(value), strict=True)
        except ValidationError as error:
            problem = error.errors()[0]
            shown = "" if problem["type"] in refusal.LENGTHS else f", not {_short(value)}"
            raise ValueError(f"{refusal.in_words(problem)}{shown}") from error
        return self.adapter.dump_python(typed, mode="json")


class OpenParameter(Parameter):
    """A parameter of which nothing is known: whoever trains with it refuses what it does not take."""

    is_number = is_open = True

    def validate(self, value: Any) -> Any:
        """The value, which must be plain JSON.

        Raises:
            ValueError: it is not.
        """
        try:
            return json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"must be a finite number, text, a boolean, null, a list or a mapping, not {value!r}"
            ) from error


def parameters_of(function: str, form: CallForm) -> dict[str, Parameter]:
    """The parameters that a function's configuration has, those of configurations in it included.

    Raises:
        FunctionError: a field of it cannot be a parameter, or two have one alias.
    """
    parameters = {parameter.name: parameter for parameter in _of(form.owner, form.fields or ())}
    owners: dict[str, str] = {}
    for parameter in parameters.values():
        for alias in parameter.aliases:
            other = alias if alias in parameters else owners.setdefault(alias, parameter.name)
            if other != parameter.name:
                raise FunctionError(f"{function}: {alias} means two parameters, {other} and {parameter.name}")
    return parameters


def _of(
    owner: str, fields: Iterable[ConfigField], default: Any = MISSING, outer: tuple[str, ...] = ("",)
) -> Iterator[Parameter]:
    """The parameters that fields make, whose defaults are an instance's values; `outer` are prefixes, its own first."""
    for field in fields:
        names = [f"{prefix}{name}" for prefix in outer for name in (field.name, *field.aliases)]
        given = field.default if default is MISSING else field.of(default)
        inside = field.type
        if is_config(inside) and (given is MISSING or isinstance(given, inside)):
            yield from _of(inside.__name__, fields_of(inside), given, tuple(f"{name}." for name in names))
            continue
        try:
            adapter = adapter_of(field.hint)
            plain = given if given is MISSING else adapter.dump_python(given, mode="json")
            kind = OpenParameter if field.hint is Any else Parameter
            parameter = kind(names[0], adapter, plain, tuple(dict.fromkeys(names[1:])))
            _ = parameter.schema  # here, where the field is known that it cannot be made of
        except NOT_PLAIN as error:
            raise FunctionError(
                f"{owner}.{field.name}: a parameter must be a number, a string, a boolean or a list"
            ) from error
        yield parameter


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
