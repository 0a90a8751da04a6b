"""A parameter of a trial function, and those that a config dataclass has."""

import dataclasses
import json
import typing
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticSerializationError, PydanticUndefined

from orchestrator.functions import refusal

MISSING = dataclasses.MISSING
LONGEST_SHOWN = 200  # characters of a value, in a mistake


class FunctionError(Exception):
    """The name is not that of a trial function; the message gives the reason."""


@dataclass(frozen=True)
class Parameter:
    """A field of the config dataclass: its values and its default. One of a nested dataclass is named `outer.inner`."""

    name: str
    adapter: TypeAdapter[Any]
    default: Any = MISSING
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


def parameters_of(function: str, config_type: Any) -> dict[str, Parameter]:
    """The parameters that a config dataclass has, those of dataclasses in it included.

    Raises:
        FunctionError: it is not a dataclass, a field of it cannot be a parameter, or two have one alias.
    """
    if not _is_dataclass(config_type):
        raise FunctionError(f"the first argument of {function} is not annotated with a dataclass")
    parameters = {parameter.name: parameter for parameter in _of(config_type)}
    owners: dict[str, str] = {}
    for parameter in parameters.values():
        for alias in parameter.aliases:
            other = alias if alias in parameters else owners.setdefault(alias, parameter.name)
            if other != parameter.name:
                raise FunctionError(f"{function}: {alias} means two parameters, {other} and {parameter.name}")
    return parameters


def _of(config_type: Any, default: Any = MISSING, outer: tuple[str, ...] = ("",)) -> Iterator[Parameter]:
    """The parameters of a dataclass, whose defaults are an instance's values; `outer` are prefixes, its own first."""
    hints = typing.get_type_hints(config_type, include_extras=True)
    for field in dataclasses.fields(config_type):
        if not field.init:
            continue
        hint = hints[field.name]
        names = [f"{prefix}{name}" for prefix in outer for name in (field.name, *_alias(config_type, field.name, hint))]
        given = _default(field) if default is MISSING else getattr(default, field.name)
        inside = typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Annotated else hint
        if _is_dataclass(inside) and (given is MISSING or isinstance(given, inside)):
            yield from _of(inside, given, tuple(f"{name}." for name in names))
            continue
        try:
            adapter = _adapter(hint)
            plain = given if given is MISSING else adapter.dump_python(given, mode="json")
            parameter = Parameter(names[0], adapter, plain, tuple(dict.fromkeys(names[1:])))
            _ = parameter.schema  # here, where the field is known that it cannot be made of
        except (PydanticUserError, PydanticSerializationError) as error:
            raise FunctionError(
                f"{config_type.__name__}.{field.name}: a parameter must be a number, a string, a boolean or a list"
            ) from error
        yield parameter


def _adapter(hint: Any) -> TypeAdapter[Any]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The 'alias' attribute")  # it is the field's, and of no use to its values
        return TypeAdapter(hint, config=ConfigDict(allow_inf_nan=False))


def _is_dataclass(hint: Any) -> bool:
    return isinstance(hint, type) and dataclasses.is_dataclass(hint)


def _alias(config_type: Any, name: str, hint: Any) -> list[str]:
    """The alias of a field, if pydantic's `Field(alias=..)` gives it one."""
    known = getattr(config_type, "__pydantic_fields__", {}).get(name)
    fields = [known, getattr(config_type, name, None), *typing.get_args(hint)[1:]]
    return [field.alias for field in fields if isinstance(field, FieldInfo) and field.alias][:1]


def _default(field: dataclasses.Field[Any]) -> Any:
    if isinstance(field.default, FieldInfo):  # pydantic's, in place of a default
        default = field.default.get_default(call_default_factory=True)
        return MISSING if default is PydanticUndefined else default
    return field.default if field.default_factory is MISSING else field.default_factory()


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
