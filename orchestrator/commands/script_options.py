"""The options of a script, as its source has them for argparse, click or typer: read, and never run."""

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from orchestrator.errors import InputError
from orchestrator.functions import Parameter
from orchestrator.functions.fields import MISSING, OF_VALUES, adapter_of, inferred
from orchestrator.functions.parameter import OpenParameter
from orchestrator.system.code import Code, first_of

UNREAD: Any = object()  # what only running the script would show
SCALARS = {known.__name__: known for known in (bool, int, float, str)}
OF_CLICK = {"BOOL": bool, "INT": int, "FLOAT": float, "STRING": str, "Path": str, "IntRange": int, "FloatRange": float}
SEVERAL = ("nargs", "multiple", "count", "const", "flag_value")  # of options that take no value, or several


@dataclass(frozen=True)
class ScriptOption:
    """An option that takes a value, or, as a flag, none: that is given or not."""

    name: str
    hint: Any
    default: Any  # or MISSING
    help: str = ""
    is_flag: bool = False

    @property
    def parameter(self) -> Parameter:
        """The option as a parameter of a sweep."""
        kind = OpenParameter if self.hint is Any else Parameter
        annotated: Any = Annotated
        hint = annotated[self.hint, Field(description=self.help or None)]
        return kind(self.name, adapter_of(hint), self.default)


def options_of(script: Path) -> list[ScriptOption]:
    """The options of a script, or else those that the modules beside it have which it imports; each name once.

    Raises:
        InputError: the script cannot be read.
    """
    for group in _groups(script):
        found = [option for tree in group for option in _options(tree)]
        if found:
            return [*{option.name: option for option in reversed(found)}.values()][::-1]
    return []


def positionals_of(script: Path) -> list[str]:
    """What a script needs beside its options, in their order; or else what a module beside it does."""
    groups = ([name for tree in group for name in _positionals(tree)] for group in _groups(script))
    return next(filter(None, groups), [])


def _groups(script: Path) -> Iterator[list[ast.Module]]:
    """A script, and then what it imports beside it."""
    if script.suffix == ".py":
        yield [parsed(script)]
        modules = Code.of([], first_of([script.parent]), script).files.values()
        yield [parsed(module) for module in modules if module != script]


def _positionals(tree: ast.Module) -> list[str]:
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    added = sorted((call for call in calls if _called(call) == "add_argument"), key=lambda call: call.lineno)
    by_click = [call for _, call in decorators(tree, "argument") if isinstance(call, ast.Call)]
    found = [name for call in added + by_click if (name := _positional(tree, call))]
    if not by_click and any(_imports(tree, "typer")):
        functions = [function for function, _ in decorators(tree, "command")] or _run_by_typer(tree)
        found += [
            row.arg for function in functions[:1] for row, default in _rows(function) if _is_positional(row, default)
        ]
    return found


def _positional(tree: ast.Module, call: ast.Call) -> str | None:
    """The name of an argument that has to be given without one; None of all others."""
    given = _keywords(call)
    (name, *_), several = [*(literal(tree, one) for one in call.args), None][:1], literal(tree, given.get("nargs"))
    is_optional = several in ("?", "*", -1, UNREAD) or literal(tree, given.get("required"), missing=True) is not True
    return None if not isinstance(name, str) or name.startswith("-") or is_optional or "default" in given else name


def _is_positional(argument: ast.arg, default: ast.expr | None) -> bool:
    """Whether typer takes an argument of a function without a name, and needs it."""
    annotated = [node for node in ast.walk(argument) if isinstance(node, ast.Call)]
    described = default if isinstance(default, ast.Call) else next(iter(annotated), None)
    if described is not None and _called(described) == "Argument":
        value = next(iter(described.args), None) if described is default else default
        return value is None or (isinstance(value, ast.Constant) and value.value is ...)
    return default is None and described is None


def decorators(tree: ast.Module, name: str) -> Iterator[tuple[ast.FunctionDef, ast.expr]]:
    """The decorators of this name at functions of a module, with or without arguments."""
    for node in tree.body:
        for decorator in node.decorator_list if isinstance(node, ast.FunctionDef) else ():
            if _called(decorator) == name and isinstance(node, ast.FunctionDef):
                yield node, decorator


def literal(tree: ast.Module, node: ast.expr | None, missing: Any = None) -> Any:
    """The value of an expression, if it is a constant or the name of one of the module; UNREAD otherwise."""
    if node is None:
        return missing
    if isinstance(node, ast.Name):
        given = [one.value for one in tree.body if isinstance(one, ast.Assign) and _targets(one) == [node.id]]
        return literal(tree, given[0]) if len(given) == 1 and not isinstance(given[0], ast.Name) else UNREAD
    with suppress(ValueError, TypeError):
        return ast.literal_eval(node)
    return UNREAD


def parsed(path: Path) -> ast.Module:
    """The source of a script.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return ast.parse(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except SyntaxError as error:
        raise InputError(f"{path}:{error.lineno}: {error.msg}") from error


def _options(tree: ast.Module) -> list[ScriptOption]:
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    names = {_called(call) for call in calls}
    commands = [*dict.fromkeys(function for function, _ in decorators(tree, "command"))]
    if "add_subparsers" in names or len(commands) > 1 or any(decorators(tree, "group")):
        return []  # an option belongs to one of several commands
    added = sorted((call for call in calls if _called(call) == "add_argument"), key=lambda call: call.lineno)
    found = [_of_argparse(tree, call) for call in added]
    by_click = [call for _, call in decorators(tree, "option") if isinstance(call, ast.Call)]
    found += [_of_click(tree, call) for call in by_click]
    if not by_click and any(_imports(tree, "typer")):
        found += [_of_typer(tree, *row) for function in commands or _run_by_typer(tree) for row in _rows(function)]
    return [option for option in found if option is not None]


def _of_argparse(tree: ast.Module, call: ast.Call) -> ScriptOption | None:
    name, given = _long_name(call), _keywords(call)
    action = literal(tree, given.get("action"), "store")
    if name is None or any(key in given for key in SEVERAL):
        return None
    text = _text(given.get("help"))
    default = _default(tree, given)
    is_switch = "action" in given and _called(given["action"]) == "BooleanOptionalAction" and not default
    if action == "store_true" or is_switch:
        return ScriptOption(name, bool, default=False, help=text, is_flag=True)
    hint = _chosen(tree, given.get("choices")) or _type(given.get("type"))
    is_text = "type" not in given  # whatever the default is: another one that a sweep gives it comes as a text
    if action != "store" or default is UNREAD or (is_text and not isinstance(default, str | None)):
        return None
    hint = hint or (str if is_text else inferred(default))
    return _option(name, hint, MISSING if _is_needed(tree, given) else default, text)


def _of_click(tree: ast.Module, call: ast.Call) -> ScriptOption | None:
    name, given = _long_name(call), _keywords(call)
    default = _default(tree, given)
    if name is None or default is UNREAD or any(key in given for key in SEVERAL):
        return None
    text = _text(given.get("help"))
    name, pair, _ = name.partition("/")
    if pair or literal(tree, given.get("is_flag")) is True:
        return None if default else ScriptOption(name, bool, default=False, help=text, is_flag=True)
    hint = _type_of_click(tree, given.get("type")) or (str if default is None else inferred(default))
    return _option(name, hint, MISSING if _is_needed(tree, given) else default, text)


def _of_typer(tree: ast.Module, argument: ast.arg, default: ast.expr | None) -> ScriptOption | None:
    annotation, described = argument.annotation, default if isinstance(default, ast.Call) else None
    if isinstance(annotation, ast.Subscript) and isinstance(annotation.slice, ast.Tuple):  # Annotated[..]
        annotation, *beside = annotation.slice.elts
        described = next((one for one in beside if isinstance(one, ast.Call)), described)
    elif described is not None:
        default = described.args[0] if described.args else None
    hint, value = _type(annotation), literal(tree, default, MISSING)
    if hint is None or value is UNREAD or (described is not None and _called(described) != "Option"):
        return None
    is_option = value not in (MISSING, ...) or described is not None
    name = (described and _long_name(described)) or argument.arg.replace("_", "-")
    text = _text(_keywords(described).get("help")) if described else ""
    if hint is bool:
        return ScriptOption(name, bool, default=False, help=text, is_flag=True) if value is False else None
    return _option(name, hint, MISSING if value is ... else value, text) if is_option else None


def _option(name: str, hint: Any, default: Any, text: str) -> ScriptOption | None:
    """The option, if its default is of its type."""
    option = ScriptOption(name, hint, default, text)
    if default is MISSING or default is None:
        return option
    try:
        return ScriptOption(name, hint, option.parameter.validate(default), text)
    except (TypeError, ValueError):
        return None


def _rows(function: ast.FunctionDef) -> Iterator[tuple[ast.arg, ast.expr | None]]:
    arguments, defaults = function.args.args, function.args.defaults
    yield from zip(arguments, [*[None] * (len(arguments) - len(defaults)), *defaults], strict=True)
    yield from zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)


def _run_by_typer(tree: ast.Module) -> list[ast.FunctionDef]:
    """The functions that `typer.run` runs."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _called(node) == "run"]
    names = {argument.id for call in calls for argument in call.args if isinstance(argument, ast.Name)}
    return [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in names]


def _imports(tree: ast.Module, module: str) -> Iterator[ast.stmt]:
    for node in tree.body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if module in names or (isinstance(node, ast.ImportFrom) and node.module == module):
            yield node


def _called(node: ast.expr) -> str:
    """The last name of what is called: of `click.option(..)`, option."""
    function = node.func if isinstance(node, ast.Call) else node
    return (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )


def _targets(node: ast.Assign) -> list[str]:
    return [target.id for target in node.targets if isinstance(target, ast.Name)]


def _keywords(call: ast.Call) -> dict[str, ast.expr]:
    return {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}


def _long_name(call: ast.Call) -> str | None:
    """The name of an option, without its hyphens; None of one that has no long name."""
    texts = (one.value for one in call.args if isinstance(one, ast.Constant) and isinstance(one.value, str))
    return next((text[2:] for text in texts if text.startswith("--")), None)


def _text(node: ast.expr | None) -> str:
    """A help text in a line."""
    is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return " ".join(node.value.split()) if is_text else ""  # type: ignore[union-attr]


def _default(tree: ast.Module, given: Mapping[str, ast.expr]) -> Any:
    return literal(tree, given.get("default"))


def _is_needed(tree: ast.Module, given: Mapping[str, ast.expr]) -> bool:
    return literal(tree, given.get("required")) is True


def _chosen(tree: ast.Module, node: ast.expr | None) -> Any:
    """The type of an option with choices; None where they cannot be read."""
    choices = literal(tree, node)
    if not isinstance(choices, Sequence | set) or not choices or not all(isinstance(one, OF_VALUES) for one in choices):
        return None
    return _literal(choices)


def _literal(choices: Iterable[Any]) -> Any:
    kind: Any = Literal
    return kind[tuple(choices)]


def _type(node: ast.expr | None) -> Any:
    return SCALARS.get(node.id) if isinstance(node, ast.Name) else None


def _type_of_click(tree: ast.Module, node: ast.expr | None) -> Any:
    if node is None or isinstance(node, ast.Name):
        return _type(node)
    name = _called(node)
    if name == "Choice" and isinstance(node, ast.Call) and node.args:
        return _chosen(tree, node.args[0]) or str
    kind: Any = OF_CLICK.get(name)
    if kind is None or not name.endswith("Range") or not isinstance(node, ast.Call):
        return kind
    low, high = [*(literal(tree, one) for one in node.args[:2]), None, None][:2]
    given = _keywords(node)
    low, high = literal(tree, given.get("min"), low), literal(tree, given.get("max"), high)
    return Annotated[kind, Field(ge=None if low is UNREAD else low, le=None if high is UNREAD else high)]
