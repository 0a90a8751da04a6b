"""The function that a sweep runs: where it is, and the dataclass that names and types its parameters.

Importing a training module imports torch, which takes seconds; so the module's source is read instead, and only the
module that defines the config dataclass is imported. Where the source does not tell (the function is decorated, say,
or its config is defined beside it), the function's own module is imported after all.
"""

import ast
import dataclasses
import importlib
import importlib.util
import inspect
import json
import typing
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import PydanticSerializationError

from orchestrator.trial import Params

Found = tuple[Any, int, tuple[str, ...], bool]  # config class, version, stack_by, whether it exports
LONGEST_VALUE = 500  # characters: MLflow cuts what is far longer, and its UI shows no more


class FunctionError(Exception):
    """The name leads to no trial function; the message says why."""


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
            raise ValueError(f"is longer than {LONGEST_VALUE} characters; put it into a file and name that")
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
    version: int
    config_type: type
    parameters: Mapping[str, Parameter]
    stack_by: tuple[str, ...] = ()  # in what trials may differ that it trains at once; none where it cannot
    exports: bool = False  # whether it can write what it trained as an MLflow model

    @property
    def defaults(self) -> Params:
        """The default of each parameter that has one."""
        return {name: one.default for name, one in self.parameters.items() if one.default is not dataclasses.MISSING}

    def takes(self, params: Params) -> bool:
        """Whether resolved parameters are this function's by name; those of a trial of old may not be."""
        return params.keys() == self.parameters.keys()

    def resolve(self, values: Params) -> Params:
        """Values of single parameters, already validated, completed by the defaults and checked together.

        Raises:
            ValueError: they do not go together, or a parameter without a default is missing.
        """
        params = {}
        for name, parameter in self.parameters.items():
            if name not in values and parameter.default is dataclasses.MISSING:
                raise ValueError(f"{name} has no default and is not given")
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
            raise ValueError(error.errors()[0]["msg"].removeprefix("Value error, ")) from error
        except Exception as error:  # whatever a user's __post_init__ raises
            raise ValueError(f"{type(error).__name__}: {error}") from error


def find(name: str) -> TrialFunction:
    """The trial function `package.module:function`.

    Raises:
        FunctionError: there is none, or it does not say what its parameters are.
    """
    module_name, _, function_name = name.partition(":")
    if not (module_name and function_name.isidentifier()):
        raise FunctionError(f"{name!r} is not of the form package.module:function")
    try:
        found = _read(module_name, function_name) or _import(module_name, function_name)
        config_type, version, stack_by, exports = found
        parameters = _parameters(name, config_type)
        _check_stack_by(name, stack_by, parameters)
        return TrialFunction(name, version, config_type, parameters, stack_by, exports)
    except FunctionError:
        raise
    except (Exception, SystemExit) as error:  # a user's modules may fail in any way while they are imported
        raise FunctionError(f"{name} cannot be read: {type(error).__name__}: {error}") from error


def load(name: str) -> Callable[..., Any]:
    """Import the function itself, and with it whatever it trains with."""
    module_name, _, function_name = name.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module_name), function_name)
    return function


def _parameters(function: str, config_type: Any) -> dict[str, Parameter]:
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
            _ = parameters[field.name].schema  # here, where one can say of which field it cannot be made
        except (PydanticUserError, PydanticSerializationError) as error:
            raise FunctionError(
                f"{config_type.__name__}.{field.name}: a parameter is a number, a string, a truth value or a list"
            ) from error
    return parameters


def _check_stack_by(function: str, stack_by: tuple[str, ...], parameters: Mapping[str, Parameter]) -> None:
    for name in stack_by:
        if name not in parameters:
            raise FunctionError(f"{function}: its stack_by has {name}, which is none of its parameters")


def _default(field: dataclasses.Field[Any], adapter: TypeAdapter[Any]) -> Any:
    default = field.default
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    return default if default is dataclasses.MISSING else adapter.dump_python(default, mode="json")


def _import(module_name: str, function_name: str) -> Found:
    module = importlib.import_module(module_name)
    function = getattr(module, function_name, None)
    if not callable(function):
        raise FunctionError(f"module {module_name} has no function {function_name}")
    arguments = list(inspect.signature(function).parameters)
    hints = typing.get_type_hints(function)
    config_type = hints.get(arguments[0]) if arguments else None
    stack_by = tuple(getattr(function, "stack_by", ()))
    return config_type, getattr(function, "version", 1), stack_by, hasattr(function, "export")


def _read(module_name: str, function_name: str) -> Found | None:
    """What there is to find, if the module's source tells all without an import of the module."""
    try:
        found = importlib.util.find_spec(module_name)
    except (ImportError, ValueError) as error:
        raise FunctionError(f"there is no module {module_name}") from error
    if found is None:
        raise FunctionError(
            f"there is no module {module_name}, neither beside the sweep file nor in the current folder nor installed"
        )
    if not (found.origin and found.origin.endswith(".py")):
        return None
    try:
        tree = ast.parse(Path(found.origin).read_bytes())
    except SyntaxError as error:
        raise FunctionError(f"{found.origin}:{error.lineno}: {error.msg}") from error
    function = next((n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == function_name), None)
    arguments = [*function.args.posonlyargs, *function.args.args] if function else []
    if function is None or function.decorator_list or not arguments:
        return None
    annotation = arguments[0].annotation
    version = _constant(tree, f"{function_name}.version", default=1)
    stack_by = _constant(tree, f"{function_name}.stack_by", default=())
    source = isinstance(annotation, ast.Name) and _imported_from(tree, annotation.id)
    if not (isinstance(version, int) and isinstance(stack_by, tuple) and source):
        return None
    exports = bool(_mentions(tree, f"{function_name}.export"))
    return getattr(importlib.import_module(source[0]), source[1], None), version, stack_by, exports


def _imported_from(tree: ast.Module, name: str) -> tuple[str, str] | None:
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return node.module, alias.name
    return None


def _constant(tree: ast.Module, name: str, default: Any) -> Any:
    """What the module assigns to `function.attribute`, or the default; None where only running it would tell."""
    mentions = _mentions(tree, name)
    if not mentions:
        return None if "setattr" in {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} else default
    for node in tree.body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == [name]:
            with suppress(ValueError):
                return ast.literal_eval(node.value) if len(mentions) == 1 else None
    return None


def _mentions(tree: ast.Module, name: str) -> list[ast.AST]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and ast.unparse(node) == name]
