"""Whether a script takes the options that a sweep gives it, as far as its source shows: read, and never run."""

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from orchestrator.programs.command import Command
from orchestrator.programs.scripts import script
from orchestrator.system.code import Code, first_of

OPTIONS = {"${args}", "${args_no_equals}", "${args_no_boolean_flags}"}  # macros that give `--NAME`
# Of a script with any of these names, options stand nowhere in the source: its parser has others, or refuses none.
OPEN = re.compile(r"parents|REMAINDER|parse_known_\w+|add_\w*arg\w*|\w+ArgumentParser|LightningCLI")
CLOSED = {"add_argument", "add_argument_group"}
MAKES = {"ArgumentParser", "add_argument", "add_argument_group", "add_mutually_exclusive_group", "add_parser"}
# modules by which a script has options that are no argparse's
OTHERS = {"absl", "click", "configargparse", "docopt", "draccus", "fire", "hydra", "jsonargparse", "plac", "pyrallis"}
OTHERS |= {"simple_parsing", "tap", "typer", "tyro"}


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
    try:
        nodes = [node for tree in _trees(path, folder) for node in ast.walk(tree)]
    except (OSError, SyntaxError, ValueError, RecursionError):  # which the program's own interpreter says
        return {}
    added = [node for node in nodes if isinstance(node, ast.Call) and _name(node.func) == "add_argument"]
    is_open = any(OPEN.fullmatch(name) for name in {*_names(nodes)} - CLOSED)
    if not added or is_open or _imports_others(nodes) or _has_more(nodes, added):
        return {}
    words = [str(word.value) for call in added for word in call.args if isinstance(word, ast.Constant)]
    options = {word[2:] for word in words if word.startswith("--")}
    return {name: options for name in names if not any(option.startswith(name) for option in options)}


def _trees(path: Path, folder: Path) -> Iterator[ast.Module]:
    """A script, and what it imports beside it, or from where it runs."""
    for file in {path, *Code.of([], first_of([path.parent, folder]), path).files.values()}:
        yield ast.parse(file.read_bytes())


def _imports_others(nodes: Iterable[ast.AST]) -> bool:
    """Whether a script may have options of another kind of parser."""
    for node in nodes:
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [one.name for one in node.names] if isinstance(node, ast.Import) else []
        if OTHERS.intersection(name.partition(".")[0] for name in names):
            return True
    return False


def _has_more(nodes: Iterable[ast.AST], added: Sequence[ast.Call]) -> bool:
    """Whether a parser may have options that are added otherwise, or by code that is not here."""
    nodes = list(nodes)
    parsers = {_name(call.func.value) for call in added if isinstance(call.func, ast.Attribute)} - {""}
    known = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)} | MAKES
    for node in nodes:
        called = node.value if isinstance(node, ast.Assign) else node
        if isinstance(called, ast.Call) and _name(called.func) not in known:
            words = [*called.args, *(keyword.value for keyword in called.keywords)]
            if parsers.intersection(map(_name, node.targets if isinstance(node, ast.Assign) else words)):
                return True
    references = sum(isinstance(node, ast.Attribute) and node.attr == "add_argument" for node in nodes)
    return references > len(added) or not all(_is_plain(call) for call in added)


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
