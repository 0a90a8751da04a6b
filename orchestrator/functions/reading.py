"""What the source of a module shows of a trial function in it, so that the module need not be imported."""

import ast
import importlib
import importlib.util
import typing
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from inspect import Parameter as Argument
from pathlib import Path
from typing import Any

from orchestrator.functions.call_form import (
    OFFERED,
    FunctionError,
    is_mapping,
    parameters_among,
    refuse_async,
    takes_all,
)
from orchestrator.functions.declaration import UNDECLARED
from orchestrator.functions.fields import MISSING, OF_VALUES

BUILTIN = {known.__name__: known for known in OF_VALUES}
UNREAD: Any = object()  # what only running the module would show


@dataclass(frozen=True)
class SeenFunction:
    """What is seen of a trial function.

    Args:
        arguments: as far as they matter: none after one that takes all parameters.
        attributes: of the function, that are parts of its declaration.
        declaration: that the function names.
        preset: arguments that `functools.partial` has given it.
    """

    arguments: Sequence[Argument]
    attributes: Mapping[str, Any]
    declaration: Any
    preset: Mapping[str, Any] = field(default_factory=dict)


def read(module_name: str, function_name: str) -> SeenFunction | None:
    """What there is to see, if the module's source has all of it, without an import of the module.

    Raises:
        FunctionError: there is no such module, its source is wrong, or the function is async.
    """
    tree = source(module_name)
    if tree is None:
        return None
    name = f"{module_name}:{function_name}"
    given = [node for node in tree.body if function_name in _names(node)]
    if len(given) != 1 or not isinstance(given[0], ast.FunctionDef | ast.AsyncFunctionDef) or given[0].decorator_list:
        return None
    if isinstance(given[0], ast.AsyncFunctionDef):
        refuse_async(name)
    arguments, attributes = _arguments(tree, given[0]), _attributes(tree, name)
    declared = _declared(tree, f"{function_name}.declaration")
    if arguments is None or attributes is None or declared is None:
        return None
    return SeenFunction(arguments, attributes, _imported(*declared) if declared else UNDECLARED)


def items_read(name: str, argument: str) -> dict[str, Any]:
    """What the source of a function reads of a dict that it is given: `config["lr"]`, `config.get("decay", 0.0)`.

    Args:
        name: of the function.
        argument: that is the dict.

    Returns:
        The default of each item, by its dotted name; MISSING where it has none, or the source does not show it.
    """
    module_name, _, function_name = name.partition(":")
    tree = source(module_name)
    given = [node for node in (tree.body if tree else ()) if function_name in _names(node)]
    found: dict[tuple[str, ...], Any] = {}
    for node in ast.walk(given[0]) if len(given) == 1 else ():
        if path := _path(node, argument):
            default = _default(node.args[1]) if isinstance(node, ast.Call) and len(node.args) > 1 else UNREAD
            found.setdefault(path, MISSING if default is UNREAD else default)
    inner = {path[:length] for path in found for length in range(1, len(path))}
    return {".".join(path): default for path, default in found.items() if path not in inner}


def _path(node: ast.AST, argument: str) -> tuple[str, ...] | None:
    """The keys that lead from a dict to what an expression reads of it; None where it reads something else."""
    match node:
        case ast.Name(id=name) if name == argument:
            return ()
        case ast.Subscript(value=outer, slice=ast.Constant(value=str(key))):
            pass
        case ast.Call(func=ast.Attribute(value=outer, attr="get" | "pop"), args=[ast.Constant(value=str(key)), *_]):
            pass
        case _:
            return None
    before = _path(outer, argument)
    return None if before is None else (*before, key)


def _names(node: ast.stmt) -> list[str]:
    """The names that a statement defines, by `def` or by `=`."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _arguments(tree: ast.Module, function: ast.FunctionDef) -> list[Argument] | None:
    """The arguments up to one that takes all parameters; None where that needs an import."""
    given = function.args
    plain = [*given.posonlyargs, *given.args]
    defaults: list[ast.expr | None] = [None] * (len(plain) - len(given.defaults))
    kinds: list[Any] = [Argument.POSITIONAL_ONLY] * len(given.posonlyargs)
    kinds += [Argument.POSITIONAL_OR_KEYWORD] * len(given.args) + [Argument.KEYWORD_ONLY] * len(given.kwonlyargs)
    rows = [*zip([*plain, *given.kwonlyargs], kinds, [*defaults, *given.defaults, *given.kw_defaults], strict=True)]
    own = [arg.arg for arg, _, _ in rows if arg.arg not in OFFERED]
    found: list[Argument] = []
    for arg, kind, default in rows:
        if arg.arg in OFFERED:
            found.append(Argument(arg.arg, kind))
            continue
        annotation = _annotation(tree, arg.annotation)
        if annotation is UNREAD:
            return None
        found.append(Argument(arg.arg, kind, default=_default(default), annotation=annotation))
        if arg.arg == own[0] and takes_all(found[-1], is_alone=len(own) == 1):
            return found
        if found[-1].default is UNREAD or isinstance(arg.annotation, ast.Subscript):
            return None  # of a mapping that is one of several arguments, keys and values matter
    return found if parameters_among(found) else None


def _annotation(tree: ast.Module, node: ast.expr | None) -> Any:
    """What an annotation means, as far as the names in it are Python's own, or imported."""
    match node:
        case None:
            return Argument.empty
        case ast.Constant(value=None):
            return None
        case ast.Name(id=name):
            place = _imported_from(tree, name)
            return _imported(*place, missing=UNREAD) if place else BUILTIN.get(name, UNREAD)
        case ast.Subscript(value=value):
            whole = _annotation(tree, value)
            return whole if is_mapping(whole) else UNREAD  # of a mapping, nothing else matters
        case ast.BinOp(op=ast.BitOr(), left=left, right=right):
            sides = _annotation(tree, left), _annotation(tree, right)
            return UNREAD if any(side is UNREAD for side in sides) else typing.Union[sides]  # noqa: UP007
    return UNREAD


def _default(node: ast.expr | None) -> Any:
    if node is None:
        return Argument.empty
    with suppress(ValueError, TypeError):
        return ast.literal_eval(node)
    return UNREAD


def _attributes(tree: ast.Module, name: str) -> dict[str, Any] | None:
    """The parts of a declaration that are attributes of the function; None where that needs an import."""
    function = name.partition(":")[2]
    version = _constant(tree, f"{function}.version", default=UNDECLARED.version)
    stack_by = _constant(tree, f"{function}.stack_by", default=())
    since = _constant(tree, f"{function}.since", default={})
    if not (isinstance(version, int) and isinstance(stack_by, tuple) and isinstance(since, dict)):
        return None
    found = dict[str, Any]()
    if version != UNDECLARED.version:
        found["version"] = version
    if since:
        found["since"] = since
    if stack_by:
        found["stack_by"] = stack_by
    if _mentions(tree, f"{function}.export"):
        found["export"] = f"{name}.export"
    return found


def source(module_name: str) -> ast.Module | None:
    """The module's source; None where it has none."""
    try:
        found = importlib.util.find_spec(module_name)
    except (ImportError, ValueError) as error:
        raise FunctionError(f"there is no module {module_name}") from error
    if found is None:
        raise FunctionError(
            f"there is no module {module_name}: not beside the sweep file, not in the current folder, and not installed"
        )
    if not (found.origin and found.origin.endswith(".py")):
        return None
    try:
        return ast.parse(Path(found.origin).read_bytes())
    except SyntaxError as error:
        raise FunctionError(f"{found.origin}:{error.lineno}: {error.msg}") from error


def _declared(tree: ast.Module, name: str) -> tuple[str, str] | tuple[()] | None:
    """From where the module imports what it assigns to `function.declaration`: module and name; () where it does not.

    None where only running it would show.
    """
    mentions = _mentions(tree, name)
    if not mentions:
        return ()
    for node in tree.body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == [name]:
            is_plain = len(mentions) == 1 and isinstance(node.value, ast.Name)
            return _imported_from(tree, node.value.id) if is_plain and isinstance(node.value, ast.Name) else None
    return None


def _imported(module_name: str, name: str, missing: Any = None) -> Any:
    return getattr(importlib.import_module(module_name), name, missing)


def _imported_from(tree: ast.Module, name: str) -> tuple[str, str] | None:
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return node.module, alias.name
    return None


def _constant(tree: ast.Module, name: str, default: Any) -> Any:
    """What the module assigns to `function.attribute`, or the default; None where only running it would show."""
    mentions = _mentions(tree, name)
    if not mentions:
        return None if "setattr" in {node.id for node in _nodes(tree) if isinstance(node, ast.Name)} else default
    for node in tree.body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == [name]:
            with suppress(ValueError):
                return ast.literal_eval(node.value) if len(mentions) == 1 else None
    return None


def _mentions(tree: ast.Module, name: str) -> list[ast.Attribute]:
    function, _, part = name.partition(".")
    attributes = [node for node in _nodes(tree) if isinstance(node, ast.Attribute) and node.attr == part]
    return [node for node in attributes if isinstance(node.value, ast.Name) and node.value.id == function]


@lru_cache(maxsize=1)  # of the module at hand, which is asked for several attributes
def _nodes(tree: ast.Module) -> list[ast.AST]:
    return [*ast.walk(tree)]
