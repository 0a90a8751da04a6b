"""Find a trial function by name, and what it declares, without importing what it trains with.

Importing a training module imports torch, which takes seconds; so the module's source is read instead, and only the
modules that define the config dataclass and the declaration are imported. Where the source does not say (the function
is decorated, for example, or its config is defined beside it), the function's own module is imported after all.
"""

import ast
import importlib
import importlib.util
import inspect
import pkgutil
import re
import typing
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import asdict, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from orchestrator.functions.declaration import UNDECLARED, Declaration
from orchestrator.functions.modules import OURS, PACKAGE, Modules, default_in_use, hides
from orchestrator.functions.parameter import MISSING, FunctionError, Parameter, parameters_of
from orchestrator.functions.trial_function import TrialFunction
from orchestrator.system import torch_builds
from orchestrator.system.printable import described

DEFAULT_TRIAL = "models.train:train"
DEFAULT_TRIAL_EXTRA = "vae-sweeps[vae]"  # what to install for it

SOURCES = "src"  # of many projects, the folder that has their packages
FUNCTIONS = ("prepare", "stacked", "export")  # of a declaration, by reference
REFERENCE = re.compile(r"[\w.]+:[\w.]+")

Found = tuple[Any, Declaration]  # the config class, and what the function declares


def find(name: str = DEFAULT_TRIAL, modules: Modules | None = None) -> TrialFunction:
    """The trial function `package.module:function`.

    Args:
        name: of the function.
        modules: where its modules are; None looks where this process looks now.

    Raises:
        FunctionError: there is none, it does not say what its parameters are, or its declaration is wrong.
    """
    module_name, _, function_name = name.partition(":")
    if not (module_name and function_name.isidentifier()):
        raise FunctionError(f"{name!r} is not of the form package.module:function")
    try:
        with modules.active() if modules else nullcontext():
            return _found(name, module_name, function_name, modules)
    except (FunctionError, KeyboardInterrupt):
        raise
    except BaseException as error:  # a user's modules may fail in any way while they are imported
        problem = described(error)
        raise FunctionError(f"{name} cannot be loaded: {problem}{torch_builds.remedy(problem)}") from error


def _found(name: str, module_name: str, function_name: str, modules: Modules | None) -> TrialFunction:
    package = module_name.partition(".")[0]
    if folder := hides(package):
        why = "has the name of a module of Python, or of a package that this program imports; rename it"
        raise FunctionError(f"{package} in {folder} {why}")
    config_type, declaration = _read(module_name, function_name) or _import(module_name, function_name)
    parameters = parameters_of(name, config_type)
    _check(name, declaration, parameters)
    function = TrialFunction(name, config_type, parameters, declaration, modules)
    _ = function.validator  # made here, where the names in annotations mean what they mean to this function
    return function


def default_trial() -> TrialFunction:
    """The trial function of a sweep that names none."""
    return find(DEFAULT_TRIAL, Modules(is_default=True))


def modules_of(name: str | None, folders: Sequence[Path]) -> Modules:
    """Where the modules of a sweep's trial function are; the sweep file is in the first of these folders."""
    module = Path(*DEFAULT_TRIAL.partition(":")[0].split("."))
    folders = [place for folder in folders for place in (folder, folder / SOURCES) if place == folder or _has(place)]
    places = [folder / file for folder in folders for file in (module.with_suffix(".py"), module / "__init__.py")]
    is_theirs = any(place.is_file() and OURS / PACKAGE not in place.resolve().parents for place in places)
    is_default = name is None or (name == DEFAULT_TRIAL and not is_theirs)
    return Modules(tuple(dict.fromkeys(str(folder.absolute()) for folder in folders)), is_default)


def _has(sources: Path) -> bool:
    """Whether there is such a folder, and it is no package itself."""
    return sources.is_dir() and not (sources / "__init__.py").is_file()


def is_default(name: str) -> bool:
    """Whether a function's name means, in this process now, the default trial and not a function of a user's."""
    return name == DEFAULT_TRIAL and default_in_use()


def load(name: str) -> Callable[..., Any]:
    """Import the function itself, and with it whatever it trains with."""
    module_name, _, function_name = name.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module_name), function_name)
    return function


def attached(function: TrialFunction, part: str) -> Callable[..., Any] | None:
    """A function that belongs to a trial function: its `prepare`, `stacked` or `export`; None where it has none.

    It is the function that the declaration names, or else an attribute of the trial function.
    """
    reference = getattr(function.declaration, part)
    if reference:
        return pkgutil.resolve_name(reference)  # type: ignore[no-any-return]
    return getattr(load(function.name), part, None)


def _check(name: str, declaration: Declaration, parameters: Mapping[str, Parameter]) -> None:
    for part, mentioned in declaration.parameters():
        for parameter in mentioned:
            if parameter not in parameters:
                raise FunctionError(f"{name}: its {part} names {parameter}, which is not one of its parameters")
    for parameter in declaration.since:
        if parameters[parameter].default is MISSING:
            raise FunctionError(f"{name}: its since names {parameter}, which has no default that means `as before`")


def _completed(name: str, given: Any, attributes: Mapping[str, Any]) -> Declaration:
    """The declaration, completed by the attributes of the function itself."""
    if not isinstance(given, Declaration):
        raise FunctionError(f"{name}: its declaration is not an orchestrator.Declaration")
    declaration = _checked(name, given)
    for part in attributes:
        if getattr(declaration, part) != getattr(UNDECLARED, part):
            raise FunctionError(f"{name}: its {part} is in the declaration and also an attribute; give it once")
    return replace(declaration, **attributes)


@cache
def _declarations() -> TypeAdapter[Declaration]:
    return TypeAdapter(Declaration)


def _checked(name: str, declaration: Declaration) -> Declaration:
    if declaration is UNDECLARED:
        return declaration
    try:
        declaration = _declarations().validate_python(asdict(declaration))
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"]))
        raise FunctionError(f"{name}: its declaration is wrong at {place}: {problem['msg']}") from error
    for part in FUNCTIONS:
        if (reference := getattr(declaration, part)) and not REFERENCE.fullmatch(reference):
            raise FunctionError(f"{name}: its {part} is {reference!r}, which is not of the form module:function")
    return declaration


def _since(name: str, given: Any) -> dict[str, int]:
    if not (isinstance(given, dict) and all(type(version) is int for version in given.values())):
        raise FunctionError(f"{name}: its since is a mapping from parameters to versions, as in {{'dropout': 2}}")
    return given


def _import(module_name: str, function_name: str) -> Found:
    module = importlib.import_module(module_name)
    function = getattr(module, function_name, None)
    if not callable(function):
        raise FunctionError(f"module {module_name} has no function {function_name}")
    arguments = list(inspect.signature(function).parameters)
    hints = typing.get_type_hints(function)
    config_type = hints.get(arguments[0]) if arguments else None
    name, attributes = f"{module_name}:{function_name}", dict[str, Any]()
    if hasattr(function, "version"):
        attributes["version"] = function.version
    if hasattr(function, "since"):
        attributes["since"] = _since(name, function.since)
    if hasattr(function, "stack_by"):
        attributes["stack_by"] = tuple(function.stack_by)
    if hasattr(function, "export"):
        attributes["export"] = f"{name}.export"
    return config_type, _completed(name, getattr(function, "declaration", UNDECLARED), attributes)


def _read(module_name: str, function_name: str) -> Found | None:
    """What there is to find, if the module's source has all of it, without an import of the module."""
    tree = _source(module_name)
    if tree is None:
        return None
    function = next((n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == function_name), None)
    arguments = [*function.args.posonlyargs, *function.args.args] if function else []
    if function is None or function.decorator_list or not arguments:
        return None
    annotation = arguments[0].annotation
    config = _imported_from(tree, annotation.id) if isinstance(annotation, ast.Name) else None
    version = _constant(tree, f"{function_name}.version", default=UNDECLARED.version)
    stack_by = _constant(tree, f"{function_name}.stack_by", default=())
    since = _constant(tree, f"{function_name}.since", default={})
    declared = _declared(tree, f"{function_name}.declaration")
    if config is None or declared is None or not (isinstance(version, int) and isinstance(stack_by, tuple)):
        return None
    if not isinstance(since, dict):
        return None
    name, attributes = f"{module_name}:{function_name}", dict[str, Any]()
    if version != UNDECLARED.version:
        attributes["version"] = version
    if since:
        attributes["since"] = _since(name, since)
    if stack_by:
        attributes["stack_by"] = stack_by
    if _mentions(tree, f"{function_name}.export"):
        attributes["export"] = f"{name}.export"
    declaration = _imported(*declared) if declared else UNDECLARED
    return _imported(*config), _completed(name, declaration, attributes)


def _source(module_name: str) -> ast.Module | None:
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


def _imported(module_name: str, name: str) -> Any:
    return getattr(importlib.import_module(module_name), name, None)


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
