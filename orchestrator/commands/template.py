"""Sweep files to start from: copies of those that are shipped, and new ones, with comments on what could be set."""

import json
import re
import textwrap
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator.errors import InputError
from orchestrator.functions import Parameter
from orchestrator.functions.fields import MISSING
from orchestrator.spec import nearest
from orchestrator.spec.form import SweepFile, is_name
from orchestrator.spec.source import read
from orchestrator.spec.strict import ignored

SHIPPED = Path(__file__).parent.parent / "sweeps"
SCHEMA_FILE = "sweep.schema.json"
WIDTH = 100  # of comments
PLAIN = re.compile(r"[A-Za-z][\w./:+-]*")  # text that YAML takes for text, but for
WORDS = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
EXAMPLE = ("# parameters:", "#   lr: {values: [0.001, 0.01]}")

Parameters = Mapping[str, Parameter]


def shipped() -> dict[str, Path]:
    """The files that come with the program, by name: "quickstart", "report/baseline"."""
    return {path.relative_to(SHIPPED).with_suffix("").as_posix(): path for path in sorted(SHIPPED.rglob("*.yaml"))}


def copied(name: str, file: str, known: Parameters) -> str:
    """The text of a shipped file under another file's name.

    Raises:
        InputError: there is no such file.
    """
    files, name = shipped(), name.removeprefix("sweeps/").removesuffix(".yaml")
    if name not in files:
        raise InputError(f"--from {name}: there is no such sweep to copy; {nearest(name, files)}")
    source = read(files[name])
    given, lines = source.content, source.text.splitlines()
    # the end of its parameters: where the key after them begins, or the file ends
    starts = [line - 1 for place, line in source.lines.items() if len(place) == 1]
    end = min((start for start in starts if start >= source.lines["parameters",]), default=len(lines))
    rows = [given["parameters"], given.get("zip", {}), *given.get("configs", []), {"seed"} if "seeds" in given else {}]
    lines[end:end] = _further_parameters({name for row in rows for name in row}, known)
    lines[0] = f"# yaml-language-server: $schema={SCHEMA_FILE}"
    lines = [f"name: {_flow(file)}" if line.startswith("name:") and is_name(file) else line for line in lines]
    return "\n".join([*lines, *_further_keys(given), ""])


def composed(keys: Mapping[str, Any], parameters: Mapping[str, Any], known: Parameters) -> str:
    """The text of a new file that gives these keys and parameters; without any of these, it has an example of some."""
    lines = [f"# yaml-language-server: $schema={SCHEMA_FILE}"]
    for key, value in keys.items():
        lines += [*_comment(_described(key)), f"{key}: {_flow(value)}", ""]
    lines += [*_comment(_described("parameters")), *([] if parameters else EXAMPLE)]
    if parameters:
        lines += ["parameters:", *(_row("  ", name, value, known) for name, value in parameters.items())]
        lines += _further_parameters(parameters, known)
    return "\n".join([*lines, *_further_keys({"parameters", *keys}), ""])


def explained(parameter: Parameter) -> str:
    """What a parameter means, and what values it may have."""
    described, allowed = parameter.schema.get("description", ""), _limits(parameter)
    return f"{described} ({allowed})" if described and allowed else described or allowed


def _further_parameters(given: Collection[str], known: Parameters) -> Iterator[str]:
    others = {name: parameter.default for name, parameter in known.items() if name not in given}
    if others:
        yield "  # These parameters have their defaults:"
        yield from (_row("  # ", name, default, known) for name, default in others.items())


def _row(margin: str, name: str, value: Any, known: Parameters) -> str:
    needed = "has no default: give it a value" if name in known and known[name].default is MISSING else ""
    comment = ". ".join(filter(None, [explained(known[name]) if name in known else "", needed]))
    return f"{margin}{_flow(name)}: {_flow(value)}{f'  # {comment}' if comment else ''}"


def _further_keys(given: Collection[str]) -> Iterator[str]:
    yield from ("", "# Other keys of a sweep file:")
    for key, schema in SweepFile.model_json_schema()["properties"].items():
        if key not in (*given, *ignored(SweepFile), "name"):
            default = schema.get("default")
            yield from ("#", *_comment(_described(key)))
            yield f"# {key}: {'' if default in (None, [], {}) else _flow(default)}".rstrip()


def _described(key: str) -> str:
    return SweepFile.model_fields[key].description or ""


def _limits(parameter: Parameter) -> str:
    """What values a parameter may have, in words."""
    schema = parameter.schema
    words = {"minimum": "from {}", "exclusiveMinimum": "above {}", "maximum": "to {}", "exclusiveMaximum": "below {}"}
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    return " ".join(text.format(schema[key]) for key, text in words.items() if key in schema)


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, WIDTH)]


def _flow(value: Any) -> str:
    """A value in YAML's flow style."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_flow(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str) and PLAIN.fullmatch(value) and value.lower() not in WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)
