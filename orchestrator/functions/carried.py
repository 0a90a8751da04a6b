"""A function that no import can find, on its way to the processes of trials: a module that is made of it.

The module has its source, so that people see it, and reads the function itself from a file beside it, where cloudpickle
has put it. Its name has a digest of the source: so each state of the function is a trial function of its own.
"""

import contextlib
import functools
import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import FunctionType
from typing import Any

from orchestrator.functions.call_form import FunctionError
from orchestrator.functions.reached import MAIN, Reached, annotations, imported_name, source_of
from orchestrator.system import regular
from orchestrator.system.printable import described, in_a_line

PREFIX = "main_"  # of the module's name
LETTERS = 12  # of the digest in it
LAMBDA = "<lambda>"
OTHERWISE = "function"  # what one is called whose name is none that Python takes
MODULE = '''\
"""The function {name} as `orchestrator.launch` was given it. The launch has made this file; its trials need it."""

import pickle
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what the function uses, so that a change of its code is noticed
{imports}
if sys.version_info[:2] != {version}:
    raise ImportError("it was launched with Python {version[0]}.{version[1]}, and needs that")

{name} = pickle.loads(Path(__file__).with_suffix(".pickle").read_bytes())

# It was made of:
#
{source}
'''


@dataclass(frozen=True)
class CarriedFunction:
    """A function on its way to other processes.

    Args:
        function: itself.
        own_name: what it is called where it is defined.
        source: of it, and of what it uses.
        modules: that it uses, by name.
        pickled: the function.
    """

    function: Callable[..., Any]
    own_name: str
    source: str
    modules: frozenset[str]
    pickled: bytes

    @classmethod
    def of(cls, function: Callable[..., Any]) -> "CarriedFunction":
        """The function as it is now.

        Raises:
            FunctionError: its source is not known, or it cannot be pickled.
        """
        name = own_name(function)
        if name == LAMBDA:
            raise FunctionError("a lambda has no name, and no source of its own; write it as `def train(..)`")
        plain = _innermost(function)
        if isinstance(plain, FunctionType) and source_of(plain) is None:
            raise FunctionError(
                f"the source of {name} is not known, as of what is typed at Python's own prompt; put it into a file, "
                "or into a notebook"
            )
        try:
            reached = Reached.by(function)
        except RecursionError as error:
            raise FunctionError(f"{name} cannot be taken to other processes: what it uses contains itself") from error
        return cls(function, name, reached.text, frozenset(reached.modules), _pickled(name, function, reached))

    @property
    def module(self) -> str:
        """The name of the module that is made of it."""
        identity = f"{self.own_name}\0{self.source}"
        return f"{PREFIX}{hashlib.sha256(identity.encode()).hexdigest()[:LETTERS]}"

    @property
    def name(self) -> str:
        """Its name as a trial function."""
        return f"{self.module}:{self.own_name}"

    def lend(self) -> None:
        """Have this process find the function itself under that name, and no copy of it."""
        spec = ModuleSpec(self.module, None)
        sys.modules[self.module] = module = importlib.util.module_from_spec(spec)
        setattr(module, self.own_name, self.function)

    def write(self, folder: Path) -> None:
        """Make the module, in a folder.

        Raises:
            OSError: it cannot be written.
        """
        used = sorted(name for name in self.modules - {"builtins"} if _is_dotted(name))
        imports = "".join(f"    import {name}\n" for name in used) or "    pass\n"
        source = "\n".join(f"# {line}".rstrip() for line in self.source.split("\n"))
        module = MODULE.format(name=self.own_name, imports=imports, version=sys.version_info[:2], source=source)
        folder.mkdir(parents=True, exist_ok=True)
        regular.replace(folder / f"{self.module}.pickle", self.pickled)
        regular.replace(folder / f"{self.module}.py", module.encode("utf-8", "backslashreplace"))


def own_name(function: Callable[..., Any]) -> str:
    """What a function is called where it is defined; an instance is called as its class."""
    plain = _innermost(function)
    name = str(getattr(plain, "__name__", type(plain).__name__))
    return name if name.isidentifier() or name == LAMBDA else OTHERWISE


def importable(function: Callable[..., Any]) -> str:
    """The name `module:function` by which any process can import it; empty where none can."""
    if name := imported_name(function):
        return name if name.rpartition(":")[2].isidentifier() else ""
    module = sys.modules.get(_module(function)) if _module(function) != MAIN else None
    names = (name for name, value in vars(module).items() if value is function) if module else iter(())
    return next((f"{_module(function)}:{name}" for name in names), "")


def _module(function: Any) -> str:
    return str(getattr(_innermost(function), "__module__", MAIN))


def _innermost(function: Any) -> Any:
    """The function that `functools.partial` has been given, however often."""
    return _innermost(function.func) if isinstance(function, functools.partial) else function


def _is_dotted(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))


def _pickled(name: str, function: Any, reached: Reached) -> bytes:
    from orchestrator.functions.pickling import pickled  # not in a worker, which only reads what that has written

    with _evaluated(reached.objects.values()):
        try:
            return pickled(function)
        except Exception as error:  # whatever the objects that it uses raise
            used = _unpicklable(reached, pickled)
            why = f"{f'it uses {used}: ' if used else ''}{in_a_line(described(error))}"
            raise FunctionError(
                f"{name} cannot be taken to other processes: {why}; make that within the function"
            ) from error


def _unpicklable(reached: Reached, dumps: Callable[[Any], bytes]) -> str:
    """The name of what cannot be pickled among the variables that are used; empty where it is not found."""
    for function in (one for one in reached.objects.values() if isinstance(one, FunctionType)):
        used = inspect.getclosurevars(function)
        for name, value in {**used.globals, **used.nonlocals}.items():
            if not isinstance(value, FunctionType | type):
                try:
                    dumps(value)
                except Exception:
                    return name
    return ""


@contextlib.contextmanager
def _evaluated(objects: Iterable[Any]) -> Iterator[None]:
    """Annotations as what they mean: of those that are texts, other processes do not have the names."""
    places = [place for one in objects if isinstance(one, FunctionType | type) for place in _annotated(one)]
    before = [(place, attribute, getattr(place, attribute)) for place, attribute, _ in places]
    try:
        for place, attribute, meaning in places:
            setattr(place, attribute, meaning)
        yield
    finally:
        for place, attribute, text in before:
            setattr(place, attribute, text)


def _annotated(one: Any) -> Iterator[tuple[Any, str, Any]]:
    """Where the annotations of a function or a class stand: object, attribute, and what that means."""
    if meanings := annotations(one):
        yield one, "__annotations__", meanings
    for field in vars(one).get("__dataclass_fields__", {}).values():
        if field.name in meanings:
            yield field, "type", meanings[field.name]
