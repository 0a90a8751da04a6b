"""What decides the results of a function that no import can find: one of a notebook, of a script, or within another.

Its own source; the functions and classes that it uses, however indirectly, which no import can find either; and the
plain values that these read: numbers, texts, booleans, None, and tuples, lists, sets and dicts of them. Of what an
import finds, its name counts; of an object of such a class also its plain values. Comments and layout do not count, nor
do data: arrays, tables, the weights of models, files.
"""

import ast
import dis
import functools
import inspect
import logging
import re
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, field
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

MAIN = "__main__"
GLOBALS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")  # in the repr of an object, another one in each process
LONGEST = 1000  # characters of a repr
WITHIN = (staticmethod, classmethod)
AROUND = (functools.cached_property, functools.partialmethod, functools.singledispatchmethod)
NUMPY = ("numpy", "generic")  # the class of all its scalars


@dataclass
class Reached:
    """A function and what it uses, as text.

    Args:
        parts: the sources and values, in an order that is always the same.
        objects: the functions and classes among them, by id.
        modules: the names of those that are imported.
    """

    parts: list[str] = field(default_factory=list)
    objects: dict[int, Any] = field(default_factory=dict)
    modules: set[str] = field(default_factory=set)

    @classmethod
    def by(cls, function: Any) -> "Reached":
        """What a function reaches, itself included."""
        found = cls()
        found._take("", function)
        return found

    @property
    def text(self) -> str:
        """All of it."""
        return "\n\n".join(self.parts)

    def _take(self, name: str, value: Any) -> None:
        if is_plain(value):
            self.parts.append(f"{name} = {_plain_text(value)}")
        elif isinstance(value, ModuleType):
            self._take_imported(name, value.__name__, value.__name__)
        elif imported := imported_name(value):
            self._take_imported(name, imported, value.__module__)
        elif id(value) in self.objects:
            self.parts.append(f"{name} is {[*self.objects].index(id(value))}")
        else:
            self.objects[id(value)] = value
            self._take_object(name, value)

    def _take_imported(self, name: str, what: str, module: str) -> None:
        self.modules.add(module)
        self.parts.append(f"{name} is {what}")

    def _take_object(self, name: str, value: Any) -> None:
        if isinstance(value, functools.partial):
            self._take(name, value.func)
            self._take_all(enumerate(value.args))
            self._take_all(value.keywords.items())
        elif isinstance(value, MethodType):
            self._take(name, value.__func__)
            self._take(name, value.__self__)
        elif isinstance(value, list | tuple):
            self._take_all((f"{name}[{number}]", one) for number, one in enumerate(value))
        elif isinstance(value, dict):
            self._take_all((f"{name}[{key!r}]", one) for key, one in value.items() if is_plain(key))
        elif isinstance(value, WITHIN):
            self._take(name, value.__func__)
        elif isinstance(value, AROUND):
            self._take(name, value.func)
        elif isinstance(value, property):
            self._take_all((f"{name}.{part}", getattr(value, part)) for part in ("fget", "fset"))
        elif isinstance(value, FunctionType):
            self._take_function(value)
        elif isinstance(value, type):
            self._take_class(value)
        elif (inner := inspect.getattr_static(value, "__wrapped__", None)) is not None:
            self._take(name, inner)
        elif callable(value) and isinstance(own := getattr(value, "__qualname__", None), str):  # not written in Python
            self.parts.append(f"{name} is {getattr(value, '__module__', None)}:{own}")
        else:
            self._take_instance(name, value)

    def _take_instance(self, name: str, value: Any) -> None:
        kind = type(value)
        self._take(name, kind)
        if not imported_name(kind):
            self._take_all(_values(value).items())
        elif _is_data(value):
            return
        elif hasattr(value, "__dict__"):
            self._take_all((f"{name}.{key}", one) for key, one in _values(value).items() if is_plain(one))
        else:
            self.parts.append(f"{name} = {ADDRESS.sub('', repr(value))[:LONGEST]}")

    def _take_all(self, members: Any) -> None:
        for name, value in members:
            self._take(str(name), value)

    def _take_function(self, function: FunctionType) -> None:
        self.parts.append(source_of(function) or f"def {function.__qualname__}")
        self._take_all((f"{function.__name__}.{name}", value) for name, value in sorted(_attributes(function).items()))
        used = {name: function.__globals__[name] for name in _names(function.__code__) if name in function.__globals__}
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        used |= {name: cell.cell_contents for name, cell in cells if not _is_empty(cell)}
        self.modules |= {*_imports(function.__code__)}
        self._take_all(sorted(used.items()))
        self._take_all((name, hint) for name, hint in annotations(function).items() if isinstance(hint, type))

    def _take_class(self, kind: type) -> None:
        hints = {name: ADDRESS.sub("", repr(hint)) for name, hint in annotations(kind).items()}
        self.parts.append(f"class {kind.__qualname__}: {hints}")
        self._take_all((base.__name__, base) for base in kind.__bases__ if base is not object)
        kinds = (FunctionType, *WITHIN)
        members = {n: v for n, v in vars(kind).items() if not n.startswith("__") or isinstance(v, kinds)}
        functions = {n: getattr(v, "__func__", v) for n, v in members.items()}
        generated = [n for n, f in functions.items() if isinstance(f, FunctionType) and source_of(f) is None]
        self._take_all((f"{kind.__name__}.{name}", members[name]) for name in sorted(members.keys() - generated))
        self._take_all((f"{kind.__name__}.{place}", value) for place, value in _defaults(kind))


def imported_name(value: Any) -> str:
    """The name `module:name` by which any process can import a function or a class; empty where none can."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", "")
    if not (isinstance(module, str) and isinstance(name, str)) or module == MAIN:
        return ""
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return f"{module}:{name}" if found is value else ""


def source_of(function: Any) -> str | None:
    """The source of a function, without comments and layout; None where nothing has it."""
    try:
        text = textwrap.dedent(inspect.getsource(function.__code__))
    except (OSError, TypeError, AttributeError):
        return None
    try:
        return ast.unparse(ast.parse(text))
    except SyntaxError:  # a part of an expression, as with a lambda
        return text.strip()


def annotations(value: Any) -> dict[str, Any]:
    """What the annotations of a function or a class mean, as far as their names mean anything."""
    try:
        return inspect.get_annotations(value, eval_str=True)
    except Exception:  # a name that only a type checker knows
        return inspect.get_annotations(value)


def is_plain(value: Any) -> bool:
    """Whether a value is a number, a text, a boolean, None, or a tuple, list, set or dict of such."""
    if isinstance(value, list | tuple | set | frozenset):
        return type(value) in (list, tuple, set, frozenset) and all(map(is_plain, value))
    if isinstance(value, dict):
        return type(value) is dict and all(is_plain(key) and is_plain(one) for key, one in value.items())
    return value is None or type(value) in (bool, int, float, complex, str, bytes) or _is_numpy(value)


def _is_numpy(value: Any) -> bool:
    return any((kind.__module__, kind.__name__) == NUMPY for kind in type(value).__mro__)


def _plain_text(value: Any) -> str:
    """A plain value, the same text in each process."""
    if isinstance(value, set | frozenset):  # in another order in each
        return f"{type(value).__name__}({', '.join(sorted(map(_plain_text, value)))})"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}({', '.join(map(_plain_text, value))})"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_plain_text(key)}: {_plain_text(one)}' for key, one in value.items())}}}"
    return f"{value.dtype}({value})" if _is_numpy(value) else repr(value)


def _values(value: Any) -> dict[str, Any]:
    """What is set on an object, and not computed from that."""
    own = getattr(value, "__dict__", {})
    cached = functools.cached_property
    return {n: v for n, v in own.items() if not isinstance(inspect.getattr_static(type(value), n, None), cached)}


def _is_data(value: Any) -> bool:
    """Whether an object is an array, a table, or a log, whose state says nothing of results."""
    return hasattr(type(value), "__array__") or isinstance(value, logging.Logger)


def _defaults(kind: type) -> Iterator[tuple[str, Any]]:
    """The defaults of a dataclass's fields and of a pydantic model's, which are no attributes of the class."""
    fields = vars(kind).get("__dataclass_fields__") or getattr(kind, "model_fields", None)
    for name, one in fields.items() if isinstance(fields, dict) else ():
        for part in ("default", "default_factory"):
            if (value := getattr(one, part, MISSING)) is not MISSING:
                yield f"{name} {part}", value


def _attributes(function: FunctionType) -> dict[str, Any]:
    """What is set on a function: a `version`, a `prepare`; and the defaults of its arguments."""
    given = {f"default {number}": value for number, value in enumerate(function.__defaults__ or ())}
    own = {name: value for name, value in vars(function).items() if name != "__wrapped__"}
    return given | (function.__kwdefaults__ or {}) | own


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _names(code: CodeType) -> set[str]:
    """The global names that a function and those within it read."""
    steps = (step for one in _codes(code) for step in dis.get_instructions(one))
    return {step.argval for step in steps if step.opname in GLOBALS}


def _imports(code: CodeType) -> set[str]:
    steps = (step for one in _codes(code) for step in dis.get_instructions(one))
    return {step.argval for step in steps if step.opname == "IMPORT_NAME" and step.argval}


def _is_empty(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return True
    return False
