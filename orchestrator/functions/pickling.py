"""Pickles what no import can find, by value."""

import dataclasses
import functools
import io
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

import cloudpickle

# what the module of dataclasses tells apart by identity; pickled as any object, it would be another one
_ONE_OF_A_KIND = {
    id(value): name
    for name, value in vars(dataclasses).items()
    if type(value).__module__ == "dataclasses" and not isinstance(value, type | FunctionType)
}


_CACHED = type(functools.cache(lambda: None))  # which pickle would look for by its name


class ByValue(cloudpickle.Pickler):  # type: ignore[misc]
    """Pickles functions and classes that no import can find, dataclasses among them."""

    def reducer_override(self, value: Any) -> Any:
        """How it is pickled, where that is not as cloudpickle would have it."""
        if isinstance(value, _CACHED):
            return _cached, (value.__wrapped__, value.cache_parameters())
        if isinstance(value, functools.cached_property):  # which has a lock, in Python 3.11
            return _cached_property, (value.func, value.attrname)
        return _ONE_OF_A_KIND.get(id(value)) or super().reducer_override(value)


def _cached(function: Callable[..., Any], parameters: Mapping[str, Any]) -> Any:
    return functools.lru_cache(**parameters)(function)


def _cached_property(function: Callable[..., Any], name: str) -> Any:
    made = functools.cached_property(function)
    made.__set_name__(type(None), name)
    return made


def pickled(value: Any) -> bytes:
    """The value in bytes; pickle reads them where cloudpickle is installed."""
    file = io.BytesIO()
    ByValue(file).dump(value)
    return file.getvalue()
