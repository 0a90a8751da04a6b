"""Whether a script takes the options that a sweep gives it, as far as its source shows: read, and never run."""

import ast
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from orchestrator.programs.command import Command
from orchestrator.programs.scripts import script
from orchestrator.system.code import Code, first_of

OPTIONS = {"${args}", "${args_no_equals}", "${args_no_boolean_flags}"}  # macros that give `--NAME`
# Of a script with any of these names, options stand nowhere in the source: its parser has others, or refuses none.
OPEN = re.compile(r"parents|parse_known_\w+|add_\w*arg\w*|\w+ArgumentParser|LightningCLI")
CLOSED = {"add_argument", "add_argument_group"}


def refused(command: Command, folder: Path, names: Iterable[str]) -> dict[str, set[str]]:
    """The parameters that a script of argparse has no option for, each with the options that it has.

    Args:
        command: of the sweep.
        folder: of the sweep file.
        names: of the parameters.
    """
    path = script(command, folder)
    if path is None or path.suffix != ".py" or not OPTIONS.intersection(command.words):
        return {}
    trees = [*_trees(path)]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    added = [node for node in nodes if isinstance(node, ast.Call) and _name(node.func) == "add_argument"]
    is_open = any(OPEN.fullmatch(name) for name in {*_names(nodes)} - CLOSED)
    if not added or is_open or not all(_is_plain(call) for call in added):
        return {}
    words = [str(word.value) for call in added for word in call.args if isinstance(word, ast.Constant)]
    options = {word[2:] for word in words if word.startswith("--")}
    return {name: options for name in names if not any(option.startswith(name) for option in options)}


def _trees(path: Path) -> Iterator[ast.Module]:
    """A script, and what it imports beside it."""
    for file in (path, *Code.of([], first_of([path.parent]), path).files.values()):
        with suppress(OSError, SyntaxError, ValueError):  # which the program's own interpreter says
            yield ast.parse(file.read_bytes())


def _names(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.keyword):
            yield node.arg or ""
        elif isinstance(node, ast.Attribute | ast.Name):
            yield _name(node)


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _is_plain(call: ast.Call) -> bool:
    """Whether the names of an option stand in the source."""
    return all(isinstance(word, ast.Constant) for word in call.args)
