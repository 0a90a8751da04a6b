"""The options of a script that Hydra configures: the leaves of its YAML files."""

import ast
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from orchestrator.commands.script_options import ScriptOption, decorators, literal, parsed
from orchestrator.errors import InputError
from orchestrator.functions.fields import MISSING, inferred
from orchestrator.spec.source import read

MISSING_VALUE = "???"  # in a file of Hydra's, that a value has to be given
PACKAGE = re.compile(r"(?:\s*(?:#(?!\s*@package\b)[^\n]*)?\n)*\s*#\s*@package\s+([\w.]+)")  # in the comments at its top
OWN = ("hydra", "defaults")  # keys that are Hydra's, and no options


def is_hydra(script: Path) -> bool:
    """Whether Hydra configures a script."""
    return script.suffix == ".py" and any(_decorated(script))


def hydra_options(script: Path) -> list[ScriptOption]:
    """The leaves of the file that a script names to Hydra, and of those that this one names in its `defaults`."""
    for tree, call in _decorated(script):
        given = {keyword.arg: literal(tree, keyword.value) for keyword in call.keywords}
        given |= dict(zip(("config_path", "config_name"), (literal(tree, node) for node in call.args), strict=False))
        folder, name = given.get("config_path"), given.get("config_name")
        if isinstance(folder, str) and isinstance(name, str):
            return [*{option.name: option for option in _of_file(script.parent / folder, name)}.values()]
    return []


def _decorated(script: Path) -> Iterator[tuple[ast.Module, ast.Call]]:
    tree = parsed(script)
    for _, call in decorators(tree, "main"):
        if isinstance(call, ast.Call) and ast.unparse(call.func) in ("hydra.main", "main"):
            yield tree, call


def _of_file(folder: Path, name: str, parent: str = "", group: str = "") -> Iterator[ScriptOption]:
    """The leaves of a file, where a later one of the same name counts; of a group, its package is in front."""
    path = folder / (name if name.endswith((".yaml", ".yml")) else f"{name}.yaml")
    content: Any = None
    with suppress(InputError):
        content = read(path).content
    if not isinstance(content, Mapping):
        return
    package = _package(path, parent, group)
    chosen = content.get("defaults")
    for entry in chosen if isinstance(chosen, list) else ():
        if isinstance(entry, str) and entry != "_self_":
            yield from _of_file(folder, entry, package)
        elif isinstance(entry, Mapping):
            for inner, option in entry.items():
                if isinstance(option, str) and inner.isidentifier():
                    yield from _of_file(folder / inner, option, package, inner)
    yield from _leaves({key: value for key, value in content.items() if key not in OWN}, package)


def _package(path: Path, parent: str, group: str) -> str:
    """What stands in front of the keys of a file: its group, or what a comment at its top says."""
    found = PACKAGE.match(path.read_text("utf-8", "replace"))
    said = "_group_" if found is None else found[1]
    if said == "_group_":
        return f"{parent}{group}." if group else parent
    top, _, rest = said.partition(".")
    if top == "_global_":
        return f"{rest}." if rest else ""
    return f"{parent}{said}."


def _leaves(content: Mapping[str, Any], prefix: str) -> Iterator[ScriptOption]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        elif value == MISSING_VALUE:
            yield ScriptOption(f"{prefix}{key}", Any, MISSING)
        elif not (isinstance(value, str) and "${" in value) and not str(key).startswith("_"):
            yield ScriptOption(f"{prefix}{key}", inferred(MISSING if value is None else value), value)
