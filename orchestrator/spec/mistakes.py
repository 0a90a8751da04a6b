"""What is wrong with a sweep file and where, gathered while it is checked, so that all of it is reported at once."""

import difflib
import itertools
import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from orchestrator.errors import InputError
from orchestrator.functions import refusal
from orchestrator.spec.parameter_forms import PARAMETER_FORMS
from orchestrator.spec.source import Location, Source, note
from orchestrator.spec.strict import OF_WANDB, Form

SHOULD_BE = "input should be "
UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
F = TypeVar("F", bound=Form)


@dataclass(frozen=True)
class Mistakes:
    """The mistakes that were found in a file, and the warnings; a line for each."""

    source: Source
    lines: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def note(self, location: Location, message: str) -> None:
        """Add a mistake in the file.

        Raises:
            InputError: of all of them, when there are more than anyone would read.
        """
        note(self.lines, self.source.mistake(location, message))

    def note_setting(self, text: str, message: str) -> None:
        """Add a mistake in a NAME=VALUE that was given beside the file.

        Raises:
            InputError: of all of them, when there are more than anyone would read.
        """
        note(self.lines, f"--set {text}: {message}")

    def warn(self, location: Location, message: str) -> None:
        self.warnings.append(self.source.mistake(location, message))

    def validated(self, kind: type[F], content: Any, location: Location) -> F | None:
        """The content in this form, or None after noting why it is not."""
        try:
            return kind.model_validate_json(json.dumps(content), strict=True)
        except ValidationError as error:
            # of one place several, where it may have one of several types
            by_place: dict[Location, list[ErrorDetails]] = {}
            for problem in error.errors():
                by_place.setdefault(_place(problem, content), []).append(problem)
            for where, problems in by_place.items():
                first, *others = (_message(kind, where, problem) for problem in problems)
                alternatives = [first, *(message.removeprefix(SHOULD_BE) for message in others if message != first)]
                self.note((*location, *where), ", or ".join(alternatives))
            return None

    def raise_any(self) -> None:
        """Go on only where none was noted.

        Raises:
            InputError: of all that were.
        """
        if self.lines:
            raise InputError.of(self.lines)


def nearest(name: str, valid: Collection[str]) -> str:
    """A sentence that helps someone who misspelled a name."""
    close = closest(name, valid)
    return f"did you mean {close}?" if close else f"use one of {', '.join(valid)}"


def closest(name: str, valid: Collection[str], similarity: float = 0.5) -> str | None:
    """The valid name that was probably meant."""
    return next(iter(difflib.get_close_matches(name.lower(), valid, n=1, cutoff=similarity)), None)


def keys_of(kind: type[Form]) -> list[str]:
    """The keys of a form that mean something."""
    return _keys(kind, ("",))


def _place(problem: ErrorDetails, content: Any) -> Location:
    """The place in the content that pydantic reports, without its names of the members of a union."""
    place: list[str | int] = []
    for part in problem["loc"]:
        try:
            content = content[part]
        except (KeyError, IndexError, TypeError):  # a key that is missing, or no key
            if problem["type"] != "missing" or part != problem["loc"][-1]:
                continue
        place.append(part)
    return tuple(place)


def _message(kind: type[Form], location: Location, problem: ErrorDetails) -> str:
    """Pydantic's message, in a sentence that helps."""
    if problem["type"] in UNKNOWN:
        return _unknown(kind, location)
    message = refusal.in_words(problem)
    if refusal.is_empty(problem):
        message += "; give it something, or delete the key"
    if problem["type"] == "literal_error" and (close := closest(str(problem["input"]), _quoted(problem["msg"]))):
        message += f"; did you mean {close}?"
    return message


def _unknown(kind: type[Form], location: Location) -> str:
    """What is wrong with a key that the form does not have."""
    key, keys = str(location[-1]), _keys(kind, location)
    if key not in keys:
        return f"unknown key; {nearest(key, keys)}"
    wanted = [f"`{name}`" for name, field in kind.model_fields.items() if field.is_required()]
    if not wanted:  # it is of another of the forms that there may be
        return "does not go here"
    return f"does not go with {' and '.join(wanted)}"


def _keys(kind: type[Form], location: Location) -> list[str]:
    """The keys that could stand at the place of an unknown one; of a parameter, those of its other forms, too."""
    if kind in PARAMETER_FORMS:
        return list(dict.fromkeys(key for form in PARAMETER_FORMS for key in form.model_fields))
    schema = kind.model_json_schema()
    keys = schema["properties"]
    for part, following in itertools.pairwise(location):
        if isinstance(part, int):
            continue
        node = keys.get(part, {})
        if isinstance(node.get("additionalProperties"), dict):  # a mapping by names that the file chooses
            keys = {following: node["additionalProperties"]}
            continue
        options = [option.get("items", option) for option in _options(node)]
        names = [option["$ref"].rsplit("/", 1)[1] for option in options if "$ref" in option]
        keys = {key: value for name in names for key, value in schema["$defs"][name]["properties"].items()}
    return [name for name, schema in keys.items() if schema.get("description") != OF_WANDB]


def _quoted(message: str) -> list[str]:
    return message.split("'")[1::2]


def _options(node: dict[str, Any]) -> list[dict[str, Any]]:
    """The schemas that a value may have, of one of which it must be."""
    for key in ("anyOf", "oneOf"):
        if key in node:
            return [option for part in node[key] for option in _options(part)]
    return [node]
