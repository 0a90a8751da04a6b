"""The text of a sweep file, from values of Python: what a call gives is what a file would say."""

import json
import math
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any

from orchestrator.errors import InputError
from orchestrator.spec.form import SweepFile

PARAMETERS = "parameters"


def written(keys: Mapping[str, Any], comment: str) -> str:
    """A sweep file with these keys; in its `parameters`, a list is one of values to try.

    Args:
        keys: of the file, with values of Python's or numpy's.
        comment: below them; what stands above is the question of a sweep.

    Raises:
        InputError: a value can be in no sweep file.
    """
    plain = {key: _plain(key, value) for key, value in keys.items()}
    for key, value in plain.items():
        if isinstance(value, dict) and (key == PARAMETERS or key not in SweepFile.model_fields):  # it is misspelled
            plain[key] = _with_lists(value)
    return "\n".join([*_lines(plain), f"# {comment}", ""])


def _lines(keys: Mapping[str, Any]) -> Iterator[str]:
    for key, value in keys.items():
        if isinstance(value, dict) and value:
            yield f"{key}:"
            yield from (f"  {json.dumps(name)}: {json.dumps(one)}" for name, one in value.items())
        else:
            yield f"{key}: {json.dumps(value)}"


def _with_lists(parameters: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for name, given in parameters.items():
        if isinstance(given, list):
            found[name] = {"values": given}
        elif isinstance(given, dict) and isinstance(given.get(PARAMETERS), dict):
            found[name] = given | {PARAMETERS: _with_lists(given[PARAMETERS])}
        else:
            found[name] = given
    return found


def _plain(place: str, value: Any) -> Any:
    if isinstance(value, Enum):
        return _plain(place, value.value)
    if callable(tolist := getattr(value, "tolist", None)):  # of numpy, pandas and torch
        return _plain(place, tolist())
    if isinstance(value, Mapping):
        return {str(key): _plain(f"{place}.{key}", one) for key, one in value.items()}
    if isinstance(value, list | tuple | range):
        return [_plain(f"{place}[{number}]", one) for number, one in enumerate(value)]
    if isinstance(value, PurePath):
        return str(value)
    if value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise InputError(f"{place}: {value!r} can be in no sweep; give a finite number, text, a boolean, a list or a dict")
