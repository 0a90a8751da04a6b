"""Writes the reference at the end of docs/json.md from the documents that commands print with --json.

python docs/json_reference.py
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator.documents.schema import schema

DOCUMENT = Path(__file__).parent / "json.md"
HEADING = "## All documents\n"
LEFT_OUT = ("version", "kind")  # which all documents have


def document() -> str:
    """The page with a reference that is current."""
    return f"{DOCUMENT.read_text().split(HEADING)[0]}{HEADING}\n" + "\n".join(reference())


def reference() -> Iterator[str]:
    """A section for each kind of document, and then for each part of one."""
    made = schema()
    kinds = {_name(ref): kind for kind, ref in made["discriminator"]["mapping"].items()}
    parts = [name for name, one in made["$defs"].items() if name not in kinds and "properties" in one]
    for name in sorted(kinds, key=lambda name: kinds[name]):
        yield from _section(f"`{kinds[name]}`", made["$defs"][name])
    for name in parts:
        yield from _section(name, made["$defs"][name])


def _section(heading: str, schema: dict[str, Any]) -> Iterator[str]:
    yield from (f"### {heading}", "", _in_a_line(schema.get("description", "")), "")
    yield from ("| field | type | |", "| --- | --- | --- |")
    for name, field in schema["properties"].items():
        if name not in LEFT_OUT:
            yield f"| `{name}` | {_type(field)} | {_in_a_line(field.get('description', ''))} |"
    yield ""


def _type(schema: dict[str, Any]) -> str:
    """The type of a field, in words."""
    if "$ref" in schema:
        name = _name(schema["$ref"])
        return {"Outcome": "outcome", "ErrorDocument": "[error](#error)"}.get(name, f"[{name}](#{name.lower()})")
    if "anyOf" in schema:
        kinds = [_type(one) for one in schema["anyOf"] if "enum" not in one]  # those are numbers that are not finite
        return " or ".join(dict.fromkeys(kinds))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "prefixItems" in schema:
        return "two numbers"
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    if schema.get("type") == "object":
        values = schema.get("additionalProperties")
        return f"object of {_type(values)}" if isinstance(values, dict) else "object"
    return {"integer": "integer", "number": "number", "boolean": "boolean", "null": "null"}.get(
        schema.get("type", ""), "text"
    )


def _name(ref: str) -> str:
    return ref.rpartition("/")[2]


def _in_a_line(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    DOCUMENT.write_text(document())
