"""Read a YAML file into plain values, keeping the line of each; refuse what a sweep file has no use for."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from orchestrator.errors import InputError
from orchestrator.system import regular
from orchestrator.system.regular import NotRegularError, opened, piped

MOST_BYTES = 100_000  # PyYAML takes most of a second for them
MOST_VALUES = 100_000
PIPE = Path("stdin")  # the place of a sweep that comes through a pipe: modules and programs are in the current folder
SECONDS_OF_SILENCE = 10.0  # of a pipe
LONGEST_NUMBER = 250  # of a whole number: it has to fit into a float
MOST_MISTAKES = 100  # that are reported at once
DEEPEST = 40
WHOLE = "[0-9]+(?:_[0-9]+)*"  # as in YAML 1.1, 1_000

Location = tuple[str | int, ...]
Items = dict[str, tuple[yaml.Node, yaml.Node]]  # of a mapping: by name, the nodes of its key and of its value


@dataclass(frozen=True)
class Source:
    """A file's content as plain values, and the line of each."""

    path: Path
    text: str
    content: Any
    lines: dict[Location, int]
    is_piped: bool = False  # whether it came through a pipe, and is in no file
    numbers: Mapping[str, Sequence[int]] = field(default_factory=dict)  # of what is left of lists at the top, as it was
    is_called: bool = False  # whether a call in Python stands for the file, which its launch writes

    def keep(self) -> None:
        """Write the file, where a call in Python stands for it.

        Raises:
            OSError: it cannot be written.
        """
        if self.is_called:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            regular.replace(self.path, self.text.encode())

    def renamed(self, names: Mapping[str, str | None]) -> "Source":
        """The same, with keys at the top under other names; those whose name is None are left out."""
        content, lines = dict(self.content), dict(self.lines)
        for old, new in names.items():
            value = content.pop(old)
            if new is not None:
                content[new] = value
                lines |= {(new, *place[1:]): line for place, line in self.lines.items() if place[:1] == (old,)}
        return replace(self, content=content, lines=lines)

    def mistake(self, location: Location, message: str) -> str:
        """One line for one mistake: file, line, key, what is wrong."""
        match location:
            case (str(name), int(number), *within) if name in self.numbers:
                location = (name, self.numbers[name][number], *within)
        known = location
        while known not in self.lines:
            known = known[:-1]
        key = place_of(location)
        return f"{self.path}:{self.lines[known]}: {key + ': ' if key else ''}{message}"


def place_of(location: Location) -> str:
    """A place in a file by its keys: "parameters.lr.min"."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")


def read(path: Path, text: str | None = None) -> Source:
    """Read a sweep file, or its text of another time.

    Raises:
        InputError: it cannot be read, is not YAML, or holds what plain values cannot express.
    """
    if path.suffix == ".py":
        raise InputError(f"{path}: is a program; `sweep init --program {path}` writes a sweep file for it")
    is_piped = text is None and path.is_fifo()
    text = _text(path, is_piped=is_piped) if text is None else text
    path = PIPE if is_piped else path
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            raise InputError(f"{path}: the file is empty; a sweep needs at least `parameters:`")
        converter = _Converter(path, _runs_program(node))
        content = converter.convert(node, ())
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InputError(f"{path}:{line}: not valid YAML: {error.problem or error.context}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        what = f"the character {chr(error.character)!a} is not allowed; in double quotes, write it as it stands here"
        raise InputError(f"{path}:{line}: not valid YAML: {what}") from error
    except RecursionError as error:
        raise InputError(f"{path}: nested too deeply") from error
    if converter.mistakes:
        raise InputError.of(converter.mistakes)
    return Source(path, text, content, converter.lines, is_piped)


def note(mistakes: list[str], mistake: str) -> None:
    """Add a mistake to those that are reported at once.

    Raises:
        InputError: of all of them, when there are more than anyone would read.
    """
    if len(mistakes) == MOST_MISTAKES:
        raise InputError.of([*mistakes, "there are more mistakes; fix these first"])
    mistakes.append(mistake)


def scalar(text: str) -> Any:
    """The value of a single scalar as a sweep file would have it (`5e-3` is a number), or what JSON has in brackets."""
    if text[:1] in ('"', "[", "{"):
        try:
            value = json.loads(text)
        except ValueError:
            pass
        else:
            _whole(json.dumps(value, ensure_ascii=False))
            return value
    return _value(_plain_tag(_Loader, text), text)


def _text(path: Path, *, is_piped: bool) -> str:
    try:
        if is_piped:
            data = piped(path, MOST_BYTES, SECONDS_OF_SILENCE)
        else:
            with opened(path) as file:
                data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise InputError(f"{path}: is larger than {MOST_BYTES:,} bytes, too much for a sweep file")
        return data.decode("utf-8")
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file") from error
    except IsADirectoryError as error:
        raise InputError(f"{path}: is a directory; name a sweep file in it") from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}:{line}: is not UTF-8 (byte {error.start})") from error
    except NotRegularError as error:
        raise InputError(f"{path}: {error.strerror}; write the sweep into a file") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


class _Loader(yaml.SafeLoader):
    """Plain scalars by the core schema of YAML 1.2, where `5e-3` is a number and `no` and `2001-01-01` are strings.

    Of YAML 1.1 it keeps the underscores within numbers; `_by_wandb` reads more of it.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


for _tag, _pattern, _first in [
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", rf"[-+]?{WHOLE}|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        rf"[-+]?(\.{WHOLE}|{WHOLE}(\.({WHOLE})?)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
]:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), [*_first])
_Loader.yaml_implicit_resolvers.setdefault("", []).append(("tag:yaml.org,2002:null", re.compile("^$")))


def _plain_tag(loader: type[yaml.SafeLoader], text: str) -> str:
    for tag, pattern in loader.yaml_implicit_resolvers.get(text[:1], []):
        if pattern.match(text):
            return str(tag)
    return "tag:yaml.org,2002:str"


def _value(tag: str, text: str) -> Any:
    match tag.removeprefix("tag:yaml.org,2002:"):
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int":
            if len(text) > LONGEST_NUMBER:
                raise ValueError(f"a whole number of more than {LONGEST_NUMBER} characters")
            return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
        case "float":
            special = {".inf": math.inf, "+.inf": math.inf, "-.inf": -math.inf, ".nan": math.nan}
            return special[text.lower()] if text.lower() in special else float(text)
        case "str":
            return _whole(text)
        case _:
            raise _not_allowed(tag)


def _whole(text: str) -> str:
    """The text with each pair of halves that stands for one character, as JSON writes them, as that character."""
    if text.isascii():
        return text
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError as error:
        half = next(c for c in text if "\ud800" <= c <= "\udfff")
        raise ValueError(f"{half!a} is half of a character, which no text can have; write the whole one") from error


def _runs_program(node: yaml.Node) -> bool:
    keys = [key.value for key, _ in node.value] if isinstance(node, yaml.MappingNode) else []
    return "trial" not in keys and ("program" in keys or "command" in keys)


def _by_wandb(text: str) -> Any:
    """A plain scalar as W&B reads it, in YAML 1.1, which has more booleans and fewer numbers; others stay texts."""
    tag = _plain_tag(yaml.SafeLoader, text).removeprefix("tag:yaml.org,2002:")
    return yaml.safe_load(text) if tag in ("null", "bool", "int", "float") else text


def _not_allowed(tag: str) -> ValueError:
    return ValueError(f"the tag {tag} is not allowed here; write plain numbers, strings, lists and mappings")


class _Converter:
    """Turns nodes into values, noting lines and mistakes on the way."""

    def __init__(self, path: Path, runs_program: bool) -> None:
        self.path = path
        self.runs_program = runs_program
        self.lines: dict[Location, int] = {}
        self.mistakes: list[str] = []
        self._mappings: dict[int, Items] = {}  # by the node's id
        self._merged = 0  # keys

    def convert(self, node: yaml.Node, location: Location) -> Any:
        self.lines.setdefault(location, node.start_mark.line + 1)
        if len(self.lines) > MOST_VALUES:
            raise InputError(f"{self.path}: expands to more than {MOST_VALUES:,} values; use fewer anchors")
        if len(location) > DEEPEST:
            raise InputError(f"{self.path}:{self.lines[location]}: nested more than {DEEPEST} deep")
        if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
            return {key: self.convert(value, (*location, key)) for key, value in self._items(node, location)}
        if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
            return [self.convert(value, (*location, i)) for i, value in enumerate(node.value)]
        try:
            if not isinstance(node, yaml.ScalarNode):
                raise _not_allowed(node.tag)
            return self._scalar(node, location)
        except ValueError as error:
            self._mistake(node, str(error))
            return None

    def _scalar(self, node: yaml.ScalarNode, location: Location) -> Any:
        value = _value(node.tag, node.value)
        if not self.runs_program or node.style is not None or node.tag != _plain_tag(_Loader, node.value):
            return value
        read = _by_wandb(node.value)
        if location[0] == "command" and len(location) > 1:
            return str(read)
        return value if isinstance(value, float) else read

    def _items(self, node: yaml.MappingNode, location: Location) -> Iterator[tuple[str, yaml.Node]]:
        for name, (key, value) in self._flat(node).items():
            # of the key: its value may begin further down
            self.lines[*location, name] = key.start_mark.line + 1
            yield name, value

    def _flat(self, node: yaml.MappingNode) -> Items:
        """The keys of a mapping, with those that it merges in first; its own and earlier ones take precedence."""
        if id(node) in self._mappings:
            return self._mappings[id(node)]
        own: Items = {}
        merged: list[yaml.MappingNode] = []
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._mistake(key, "a key must be a plain word")
            elif key.value == "<<" and key.style is None:
                merged += self._sources(value)
            elif (name := self._name(key)) in own:
                self._mistake(key, f"the key {name} appears twice")
            else:
                own[name] = (key, value)
        for source in merged:
            items = self._flat(source)
            self._merged += len(items) + 1
            if self._merged > MOST_VALUES:
                raise InputError(f"{self.path}: merges more than {MOST_VALUES:,} keys; use fewer anchors")
            own = {**items, **own}
        self._mappings[id(node)] = own
        return own

    def _name(self, key: yaml.ScalarNode) -> str:
        try:
            return _whole(key.value)
        except ValueError as error:
            self._mistake(key, str(error))
            return ascii(key.value)

    def _sources(self, node: yaml.Node) -> list[yaml.MappingNode]:
        """What stands beside `<<`: a mapping, or a list of them."""
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        if all(isinstance(source, yaml.MappingNode) for source in sources):
            return [*sources]
        self._mistake(node, "<< takes a mapping or a list of mappings, such as *base for what is marked as &base")
        return []

    def _mistake(self, node: yaml.Node, message: str) -> None:
        note(self.mistakes, f"{self.path}:{node.start_mark.line + 1}: {message}")


def text_of(value: Any) -> str:
    """A value as `scalar` reads it back."""
    with suppress(ValueError):  # of a number that is too long
        if isinstance(value, str) and scalar(value) == value:
            return value
    return json.dumps(value)
