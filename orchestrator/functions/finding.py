"""Find a trial function by name, and what it declares, without importing what it trains with.

Importing a training module imports torch, which takes seconds; so the module's source is read instead, and only the
modules that define the class of its configuration and the declaration are imported. Where the source does not say (the
function is decorated, for example, or that class is defined beside it), its own module is imported after all.
"""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from orchestrator.functions.call_form import FunctionError, call_form, refuse_async
from orchestrator.functions.declaration import UNDECLARED, Declaration
from orchestrator.functions.fields import MISSING
from orchestrator.functions.modules import OURS, PACKAGE, Modules, default_in_use, hides
from orchestrator.functions.open_function import OpenFunction
from orchestrator.functions.parameter import Parameter, parameters_of
from orchestrator.functions.reading import SeenFunction, read
from orchestrator.functions.trial_function import TrialFunction
from orchestrator.system import torch_builds
from orchestrator.system.printable import described

DEFAULT_TRIAL = "models.train:train"
DEFAULT_TRIAL_EXTRA = "vae-sweeps[vae]"  # what to install for it

SOURCES = "src"  # of many projects, the folder that has their packages
FUNCTIONS = ("prepare", "stacked", "export")  # of a declaration, by reference
REFERENCE = re.compile(r"[\w.]+:[\w.]+")
ATTRIBUTES = ("version", "since", "stack_by", "export")  # of the function itself, in place of a declaration's


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
    seen = read(module_name, function_name) or _import(module_name, function_name)
    form = call_form(name, seen.arguments, seen.preset)
    declaration = _completed(name, seen.declaration, seen.attributes)
    if form.fields is None:
        _check_since(name, declaration, {})
        return OpenFunction(name, form, {}, declaration, modules)
    parameters = parameters_of(name, form)
    _check(name, declaration, parameters)
    function = TrialFunction(name, form, parameters, declaration, modules)
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
    found: Callable[..., Any] | None = _attribute(load(function.name), part)
    return found


def _check(name: str, declaration: Declaration, parameters: Mapping[str, Parameter]) -> None:
    for part, mentioned in declaration.parameters():
        for parameter in mentioned:
            if parameter not in parameters:
                raise FunctionError(f"{name}: its {part} names {parameter}, which is not one of its parameters")
    _check_since(name, declaration, parameters)


def _check_since(name: str, declaration: Declaration, parameters: Mapping[str, Parameter]) -> None:
    for parameter in declaration.since:
        if parameter not in parameters or parameters[parameter].default is MISSING:
            raise FunctionError(f"{name}: its since names {parameter}, which has no default that means `as before`")


def _completed(name: str, given: Any, attributes: Mapping[str, Any]) -> Declaration:
    """The declaration, completed by the attributes of the function itself."""
    if not isinstance(given, Declaration):
        raise FunctionError(f"{name}: its declaration is not an orchestrator.Declaration")
    if "since" in attributes:
        _check_versions(name, attributes["since"])
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


def _check_versions(name: str, given: Any) -> None:
    if not (isinstance(given, dict) and all(type(version) is int for version in given.values())):
        raise FunctionError(f"{name}: its since is a mapping from parameters to versions, as in {{'dropout': 2}}")


def _import(module_name: str, function_name: str) -> SeenFunction:
    name = f"{module_name}:{function_name}"
    function = getattr(importlib.import_module(module_name), function_name, None)
    if not callable(function):
        raise FunctionError(f"module {module_name} has no function {function_name}")
    if isinstance(function, type):
        raise FunctionError(f"{name} is a class; name a function, or an instance that can be called")
    if _is_async(function):
        refuse_async(name)
    arguments = [*inspect.signature(function, eval_str=True).parameters.values()]
    preset = function.keywords if isinstance(function, partial) else {}
    attributes = {part: value for part in ATTRIBUTES if (value := _attribute(function, part)) is not None}
    if "stack_by" in attributes:
        attributes["stack_by"] = tuple(attributes["stack_by"])
    if "export" in attributes:
        attributes["export"] = f"{name}{'' if hasattr(function, 'export') else '.func'}.export"
    declaration = _attribute(function, "declaration")
    return SeenFunction(arguments, attributes, UNDECLARED if declaration is None else declaration, preset)


def _attribute(function: Any, part: str) -> Any:
    """An attribute of a function, or of the one that `functools.partial` has made it from; None where it has none."""
    found = getattr(function, part, None)
    return getattr(function.func, part, None) if found is None and isinstance(function, partial) else found


def _is_async(function: Callable[..., Any]) -> bool:
    called = (function, type(function).__call__)
    return any(inspect.iscoroutinefunction(one) or inspect.isasyncgenfunction(one) for one in called)
