"""A trial function as far as it is known without running it: its parameters, and what it declares."""

import dataclasses
import json
import typing
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import PydanticSerializationError

from orchestrator.functions.declaration import UNDECLARED, Declaration
from orchestrator.functions.modules import Modules
from orchestrator.trial import Params

LONGEST_VALUE = 500  # characters: MLflow cuts what is far longer, and its UI shows no more


class FunctionError(Exception):
    """The name is not that of a trial function; the message gives the reason."""


@dataclass(frozen=True)
class Parameter:
    """One field of the config dataclass: what values it takes, and its default."""

    name: str
    adapter: TypeAdapter[Any]
    default: Any = dataclasses.MISSING

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
        if len(str(value)) > LONGEST_VALUE:
            raise ValueError(f"is longer than {LONGEST_VALUE} characters; put it into a file, and give the file's name")
        try:
            typed = self.adapter.validate_json(json.dumps(value), strict=True)
        except ValidationError as error:
            problem = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise ValueError(f"{problem[0].lower()}{problem[1:]}, not {value!r}") from error
        return self.adapter.dump_python(typed, mode="json")


@dataclass(frozen=True)
class TrialFunction:
    """A trial function as far as it is known without running it."""

    name: str
    config_type: type
    parameters: Mapping[str, Parameter]
    declaration: Declaration = UNDECLARED
    modules: Modules | None = None  # where its modules are; None where the process looks anyway

    def active(self) -> AbstractContextManager[None]:
        """A context in which this process imports what the function imports from where it is."""
        return self.modules.active() if self.modules else nullcontext()

    @property
    def version(self) -> int:
        """Of its results."""
        return self.declaration.version

    @property
    def defaults(self) -> Params:
        """The default of each parameter that has one."""
        return {
            name: parameter.default
            for name, parameter in self.parameters.items()
            if parameter.default is not dataclasses.MISSING
        }

    def takes(self, params: Params) -> bool:
        """Whether resolved parameters are this function's by name; those of an older trial may not be."""
        return params.keys() == self.parameters.keys()

    def resolve(self, values: Params) -> Params:
        """Values of single parameters, already validated, completed by the defaults and checked together.

        Raises:
            ValueError: they do not go together, or a parameter without a default is missing.
        """
        params = {}
        for name, parameter in self.parameters.items():
            if name not in values and parameter.default is dataclasses.MISSING:
                raise ValueError(f"{name} has no default; give it a value")
            params[name] = values.get(name, parameter.default)
        self.config(params)
        return params

    @cached_property
    def _validator(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.config_type)

    def config(self, params: Params) -> Any:
        """The instance of the config dataclass for resolved parameters."""
        try:
            return self._validator.validate_python(dict(params))
        except ValidationError as error:
            problem = error.errors()[0]
            place = "".join(f"{part}: " for part in problem["loc"][:1])
            raise ValueError(place + problem["msg"].removeprefix("Value error, ")) from error
        except Exception as error:  # whatever a user's __post_init__ raises
            raise ValueError(f"{type(error).__name__}: {error}") from error


def parameters_of(function: str, config_type: Any) -> dict[str, Parameter]:
    """The parameters that a config dataclass has.

    Raises:
        FunctionError: it is not a dataclass, or a field of it cannot be a parameter.
    """
    if not (isinstance(config_type, type) and dataclasses.is_dataclass(config_type)):
        raise FunctionError(f"the first argument of {function} is not annotated with a dataclass")
    hints = typing.get_type_hints(config_type, include_extras=True)
    parameters = {}
    for field in dataclasses.fields(config_type):
        if not field.init:
            continue
        try:
            adapter = TypeAdapter(hints[field.name], config=ConfigDict(allow_inf_nan=False))
            parameters[field.name] = Parameter(field.name, adapter, _default(field, adapter))
            _ = parameters[field.name].schema  # here, where the field is known that it cannot be made of
        except (PydanticUserError, PydanticSerializationError) as error:
            raise FunctionError(
                f"{config_type.__name__}.{field.name}: a parameter must be a number, a string, a boolean or a list"
            ) from error
    return parameters


def _default(field: dataclasses.Field[Any], adapter: TypeAdapter[Any]) -> Any:
    default = field.default
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    return default if default is dataclasses.MISSING else adapter.dump_python(default, mode="json")
