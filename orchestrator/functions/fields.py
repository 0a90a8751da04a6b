"""The fields of a class whose instances are configurations: a dataclass, a pydantic model, or an attrs class."""

import dataclasses
import sys
import typing
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import partial
from types import UnionType
from typing import Annotated, Any, Union

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic.errors import PydanticUserError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticSerializationError, PydanticUndefined

MISSING = dataclasses.MISSING
NOT_PLAIN = (PydanticUserError, PydanticSerializationError)  # what pydantic raises where a value has no JSON
OF_VALUES = (bool, int, float, str, list, tuple, dict)  # a bool is an int, so it comes first


@dataclass(frozen=True)
class ConfigField:
    """A field of a configuration.

    Args:
        name: by which an instance is given it.
        hint: the type of its values.
        default: of the field.
        aliases: other names that a sweep file may give it.
        attribute: the name by which an instance has it, where that is another.
    """

    name: str
    hint: Any
    default: Any  # or MISSING
    aliases: tuple[str, ...] = ()
    attribute: str = ""

    @property
    def type(self) -> Any:
        """The type of its values, without what is said beside it."""
        return without_annotations(self.hint)

    @property
    def is_plain(self) -> bool:
        """Whether its values can be parameters: they are plain JSON, or have fields that are."""
        if is_config(self.type):
            return True
        try:
            adapter = adapter_of(self.hint)
            adapter.json_schema()
            if self.default is not MISSING:
                adapter.dump_python(self.default, mode="json", warnings=False)
        except NOT_PLAIN:
            return False
        return True

    def of(self, instance: Any) -> Any:
        """Its value in an instance."""
        return getattr(instance, self.attribute or self.name)


def is_config(hint: Any) -> bool:
    """Whether it is a class whose instances are configurations."""
    return isinstance(hint, type) and (_is_attrs(hint) or issubclass(hint, BaseModel) or dataclasses.is_dataclass(hint))


def fields_of(config_type: Any) -> Iterator[ConfigField]:
    """The fields that an instance of such a class is made from."""
    if _is_attrs(config_type):
        yield from _of_attrs(config_type)
    elif issubclass(config_type, BaseModel):
        yield from _of_model(config_type)
    else:
        yield from _of_dataclass(config_type)


def validated(config_type: Any) -> Any:
    """What pydantic validates in place of a class: the class itself, or a dataclass of the same fields."""
    return dataclass_of(config_type.__name__, fields_of(config_type)) if _is_attrs(config_type) else config_type


def dataclass_of(name: str, fields: Iterable[ConfigField]) -> type:
    """A dataclass of these fields."""
    made = []
    for field in fields:
        hint = validated(field.type) if _is_attrs(field.type) else field.hint
        given: Any = MISSING if field.default is MISSING else partial(_itself, field.default)
        made.append((field.name, hint, dataclasses.field(default_factory=given)))
    return dataclasses.make_dataclass(name, made, frozen=True, kw_only=True)


def _itself(value: Any) -> Any:
    return value


def made(config_type: Any, values: Any) -> Any:
    """The instance of a class for values that are validated: an instance of what `validated` says."""
    if not _is_attrs(config_type) or isinstance(values, config_type):
        return values
    return config_type(
        **{field.name: made(field.type, getattr(values, field.name)) for field in fields_of(config_type)}
    )


def adapter_of(hint: Any) -> TypeAdapter[Any]:
    """What validates values of a type as plain JSON."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The 'alias' attribute")  # it is the field's, and of no use to its values
        return TypeAdapter(hint, config=ConfigDict(allow_inf_nan=False))


def without_annotations(hint: Any) -> Any:
    """The type within `Annotated`."""
    return typing.get_args(hint)[0] if typing.get_origin(hint) is Annotated else hint


def without_none(hint: Any) -> Any:
    """The type within `Annotated`, and of `X | None`, X."""
    hint = without_annotations(hint)
    if typing.get_origin(hint) in (Union, UnionType):
        others = [one for one in typing.get_args(hint) if one is not type(None)]
        return without_annotations(others[0]) if len(others) == 1 else hint
    return hint


def inferred(default: Any) -> Any:
    """The type of a field without an annotation: that of its default, or any."""
    if default is MISSING or default is None:
        return Any
    if isinstance(default, Enum):
        return type(default)
    if type(default) is dict and {type(key) for key in default} in ({int}, {float}):  # which are texts in JSON
        mapping: Any = dict
        return mapping[type(next(iter(default))), Any]
    return next((known for known in OF_VALUES if type(default) is known), type(default))


def _is_attrs(hint: Any) -> bool:
    return isinstance(hint, type) and hasattr(hint, "__attrs_attrs__")


def _of_dataclass(config_type: Any) -> Iterator[ConfigField]:
    hints = typing.get_type_hints(config_type, include_extras=True)
    for field in dataclasses.fields(config_type):
        if field.init:
            hint = hints[field.name]
            yield ConfigField(field.name, hint, _default(field), _alias(config_type, field.name, hint))


def _alias(config_type: Any, name: str, hint: Any) -> tuple[str, ...]:
    """The alias of a field, if pydantic's `Field(alias=..)` gives it one."""
    known = getattr(config_type, "__pydantic_fields__", {}).get(name)
    return aliases(known, getattr(config_type, name, None), *typing.get_args(hint)[1:])


def aliases(*among: Any) -> tuple[str, ...]:
    """The first alias that any of these gives, if they are pydantic's fields."""
    return tuple([field.alias for field in among if isinstance(field, FieldInfo) and field.alias][:1])


def _default(field: dataclasses.Field[Any]) -> Any:
    if isinstance(field.default, FieldInfo):  # pydantic's, in place of a default
        return _default_of(field.default)
    return field.default if field.default_factory is MISSING else field.default_factory()


def _default_of(field: FieldInfo, before: dict[str, Any] | None = None) -> Any:
    default = field.get_default(call_default_factory=True, validated_data=before or {})
    return MISSING if default is PydanticUndefined else default


def _of_model(config_type: type[BaseModel]) -> Iterator[ConfigField]:
    annotated: Any = Annotated
    defaults: dict[str, Any] = {}
    for name, field in config_type.model_fields.items():
        described = Field(description=field.description, discriminator=field.discriminator)
        hint = annotated[(field.annotation, *field.metadata, described)]
        default = _default_of(field, defaults)
        if default is not MISSING:
            defaults[name] = default
        yield ConfigField(name, hint, default, aliases(field))


def _of_attrs(config_type: Any) -> Iterator[ConfigField]:
    attrs: Any = sys.modules["attr"]  # which has made the class; nothing here needs it otherwise
    hints = typing.get_type_hints(config_type, include_extras=True)
    for attribute in config_type.__attrs_attrs__:
        if not attribute.init:
            continue
        default = attribute.default
        if isinstance(default, attrs.Factory):
            default = MISSING if default.takes_self else default.factory()
        elif default is attrs.NOTHING:
            default = MISSING
        hint = hints.get(attribute.name, attribute.type) or inferred(default)
        yield ConfigField(attribute.alias, hint, default, attribute=attribute.name)
