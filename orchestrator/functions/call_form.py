"""How a trial function takes its configuration: as an instance of a class, as a dict, or as arguments of its own."""

import inspect
import typing
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from inspect import Parameter as Argument
from itertools import takewhile
from typing import Any, NoReturn, Optional

from orchestrator.functions.fields import (
    MISSING,
    ConfigField,
    aliases,
    dataclass_of,
    fields_of,
    inferred,
    is_config,
    made,
    validated,
    without_annotations,
    without_none,
)

OFFERED = ("workdir", "watch", "report")  # arguments that are no parameters
USUAL = ("config", "cfg", "conf", "hparams", "params")  # names of an argument that takes all parameters
MAPPINGS = (dict, Mapping, MutableMapping)
ASYNC = "is `async def`, which no trial can be; write `def`, and call what is async by asyncio.run(..) in it"
REST = (Argument.VAR_POSITIONAL, Argument.VAR_KEYWORD)


class FunctionError(Exception):
    """The name is not that of a trial function; the message gives the reason."""


@dataclass(frozen=True)
class CallForm:
    """How a function takes its configuration.

    Args:
        owner: of the fields, for people: a class, or the function.
        fields: that make up a configuration; None where it is a dict, of which nothing is known.
        config_type: of the configuration; None where each field is an argument.
        argument: the name of the argument that takes all; empty where each field is an argument.
        by_name: whether that one can only be given by its name.
    """

    owner: str = ""
    fields: Sequence[ConfigField] | None = None
    config_type: Any = dict
    argument: str = ""
    by_name: bool = False

    @cached_property
    def validated(self) -> Any:
        """What pydantic validates; `made` makes the configuration of it."""
        if self.config_type is None:
            return dataclass_of("Arguments", self.fields or ())
        return validated(self.config_type)

    def made(self, values: Any) -> Any:
        """The configuration of validated values; where each field is an argument, a dict of these."""
        if self.config_type is None:
            return {field.name: made(field.type, getattr(values, field.name)) for field in self.fields or ()}
        return made(self.config_type, values)

    def bound(self, function: Callable[..., Any], config: Any) -> Callable[..., Any]:
        """The function with its configuration; it takes what is offered beside that."""
        if self.config_type is not None:
            return partial(function, **{self.argument: config}) if self.by_name else partial(function, config)
        arguments = inspect.signature(function).parameters.values()
        leading = [*takewhile(lambda one: one.kind is Argument.POSITIONAL_ONLY and one.name in config, arguments)]
        positional = {argument.name: config[argument.name] for argument in leading}
        return partial(function, *positional.values(), **{n: v for n, v in config.items() if n not in positional})

    def prepared(self, prepare: Callable[..., Any], config: Any) -> Any:
        """Call `prepare` with a configuration; where fields are arguments, with those that it names."""
        if self.config_type is not None:
            return prepare(config)
        named = inspect.signature(prepare).parameters
        takes_all = any(argument.kind is Argument.VAR_KEYWORD for argument in named.values())
        return prepare(**{name: value for name, value in config.items() if takes_all or name in named})


def call_form(function: str, arguments: Sequence[Argument], preset: Mapping[str, Any]) -> CallForm:
    """The form in which a function takes its configuration.

    Args:
        function: its name.
        arguments: with their annotations evaluated; none is needed after one that takes all.
        preset: arguments that `functools.partial` has given it.

    Raises:
        FunctionError: nothing of it can be a parameter.
    """
    own = parameters_among(arguments)
    if not (own and takes_all(own[0], is_alone=len(own) == 1)):
        fields = [field for field in map(_field, own) if field.default is MISSING or field.is_plain]
        if not fields:
            raise FunctionError(_without_parameters(function, arguments))
        if needed := next((field.name for field in fields if not field.is_plain), None):
            raise FunctionError(
                f"{function}: its argument {needed} can be no parameter; annotate it as a number, a string, a boolean, "
                "a list, a dict, or as a dataclass, a pydantic model or an attrs class"
            )
        return CallForm(function.rpartition(":")[2], fields, None)
    first = own[0]
    by_name = first.kind is Argument.KEYWORD_ONLY or arguments[0] is not first
    config_type = without_none(first.annotation)
    if not is_config(config_type):
        return CallForm(argument=first.name, by_name=by_name)
    given = preset.get(first.name)
    fields = [
        replace(field, default=field.of(given)) if isinstance(given, config_type) else field
        for field in fields_of(config_type)
    ]
    return CallForm(config_type.__name__, fields, config_type, first.name, by_name)


def parameters_among(arguments: Sequence[Argument]) -> list[Argument]:
    """The arguments that take parameters, and nothing that a trial is offered."""
    return [argument for argument in arguments if argument.name not in OFFERED and argument.kind not in REST]


def takes_all(argument: Argument, *, is_alone: bool) -> bool:
    """Whether the first argument takes all parameters, as an instance of a class, or as a dict.

    Args:
        argument: that is the first to take parameters.
        is_alone: whether it is the only one.
    """
    hint, default = without_none(argument.annotation), argument.default
    if hint is not Argument.empty:
        return is_config(hint) or (is_mapping(hint) and (is_alone or default is Argument.empty))
    if default is Argument.empty:
        return is_alone or argument.name in USUAL
    return default is None and argument.name in USUAL


def is_mapping(hint: Any) -> bool:
    """Whether it is the type of a dict."""
    hint = without_annotations(hint)
    return (typing.get_origin(hint) or hint) in MAPPINGS or typing.is_typeddict(hint)


def refuse_async(name: str) -> NoReturn:
    """Say of an async function what to write.

    Raises:
        FunctionError: always.
    """
    raise FunctionError(f"{name} {ASYNC}")


def _field(argument: Argument) -> ConfigField:
    default = MISSING if argument.default is Argument.empty else argument.default
    hint = inferred(default) if argument.annotation is Argument.empty else argument.annotation
    if default is None and hint is not Any and without_none(hint) is without_annotations(hint):
        hint = Optional[hint]  # noqa: UP045 -- of whatever it is
    return ConfigField(argument.name, hint, default, aliases(*typing.get_args(argument.annotation)[1:]))


def _without_parameters(function: str, arguments: Sequence[Argument]) -> str:
    if any(argument.kind in REST for argument in arguments):
        return (
            f"{function} takes *args and **kwargs, so its parameters are not known; name them, as in "
            "`def train(lr=0.1)`, or have its decorator keep them, with functools.wraps"
        )
    return f"{function} has no argument that could be a parameter; give it some, as in `def train(lr=0.1)`"
