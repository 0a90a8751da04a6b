"""Where the modules of a trial function are found: beside its sweep file, in the current folder, or with this program.

The default trial is in a package whose name, `models`, many people use for a package of their own. Which package an
import means is decided here, by the trial function that the process works for; never by the order of folders alone.
"""

import importlib.util
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from orchestrator.functions.needed import is_needed
from orchestrator.system.code import OURS as OF_OURS
from orchestrator.system.code import Code, first_of

PACKAGE = "models"  # of the default trial
OURS = Path(__file__).resolve().parents[2]  # which has it, beside the orchestrator
_added: list[str] = []  # to sys.path, for the current trial function


@dataclass(frozen=True)
class Modules:
    """Where a trial function's modules are.

    Args:
        folders: that are searched before all else, the first one first.
        is_default: whether the function is the default trial, so that `models` is the package of this program.
    """

    folders: tuple[str, ...] = ()
    is_default: bool = False

    def use(self) -> None:
        """Have imports find these modules from now on, and not those of another trial function."""
        theirs = {*_added, *self.folders}
        for folder in _added:
            if folder in sys.path:
                sys.path.remove(folder)  # the first, which is ours: it may be there once more, as somebody else's
        sys.path[:0] = _added[:] = self.folders
        _finder.is_default = self.is_default
        suspects = [
            name for name, module in [*sys.modules.items()] if name == PACKAGE or _folder(name, module) in theirs
        ]
        for name in suspects:
            if not _is_found(name, sys.modules[name]):
                _forget(name)

    @contextmanager
    def active(self) -> Iterator[None]:
        """For the time of a context in a process that is somebody's own, where another `models` may be in use."""
        before, was_default = _loaded(PACKAGE), _finder.is_default
        self.use()
        try:
            yield
        finally:
            _finder.is_default = was_default
            if before and sys.modules.get(PACKAGE) is not before[PACKAGE]:
                _forget(PACKAGE)
                sys.modules.update(before)
            elif PACKAGE in sys.modules and not _is_found(PACKAGE, sys.modules[PACKAGE]):
                _forget(PACKAGE)


@contextmanager
def withdrawn() -> Iterator[None]:
    """A context in which no folder of the current trial function's is on the path, for what starts another Python."""
    before = [*sys.path]
    sys.path[:] = _elsewhere()
    try:
        yield
    finally:
        sys.path[:] = before


class _Finder(MetaPathFinder):
    """Finds the package of the default trial, or a user's package of the same name.

    What this program itself imports is found where it is installed, whatever lies beside a sweep file.
    """

    is_default = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != PACKAGE:
            return _needed(fullname) if "." not in fullname and first_of([*map(Path, _added)])(fullname) else None
        if self.is_default:
            return PathFinder.find_spec(fullname, [str(OURS)])
        elsewhere = [folder for folder in sys.path if Path(folder).resolve() != OURS and _has_code(Path(folder))]
        return PathFinder.find_spec(fullname, elsewhere) if elsewhere else None  # then the usual way leads to ours


def code_of(names: Iterable[str], modules: Modules | None) -> Code:
    """The code of modules, as imports find them now: what lies in the folders, and the packages that they are in."""
    names = [*names]
    folders = [str(OURS)] if modules and modules.is_default else modules.folders if modules else ()
    beside = first_of([Path(folder) for folder in folders])
    packages = {name.partition(".")[0] for name in names}

    def where(name: str) -> Path | None:
        return beside(name) or (_installed(name) if name in packages else None)

    return Code.of(names, where)


def _installed(package: str) -> Path | None:
    with suppress(ImportError, ValueError):
        found = importlib.util.find_spec(package)
        if found is not None and (places := [*(found.submodule_search_locations or ())] or [found.origin or ""]):
            return Path(places[0]).parent
    return None


def default_in_use() -> bool:
    """Whether this process works for the default trial now."""
    return _finder.is_default


def hides(module: str) -> Path | None:
    """The folder of a user's that has a module by the name of one that this program imports; None where none has."""
    if module == PACKAGE:  # which may be a user's, too
        return None
    folder = first_of([*map(Path, _added)])(module)
    return folder if folder and _needed(module) else None


def _needed(name: str) -> ModuleSpec | None:
    if name in sys.builtin_module_names:
        return None
    found = PathFinder.find_spec(name, [str(OURS)] if name == OF_OURS else _elsewhere())
    return found if found and found.origin and (name == OF_OURS or is_needed(name)) else None


def _elsewhere() -> list[str]:
    """The path without the folders of the current trial function; that of this program stays, whosever it is."""
    theirs = {Path(folder).resolve() for folder in _added} - {OURS}
    return [folder for folder in sys.path if Path(folder).resolve() not in theirs]


def _has_code(folder: Path) -> bool:
    """Whether it has the package as code: a folder of trained models may be called so, too."""
    package = folder / PACKAGE
    return package.with_suffix(".py").is_file() or any(package.glob("*.py")) or any(package.glob("*/*.py"))


def _folder(name: str, module: ModuleType) -> str:
    """The folder that a module was found in, if it is no part of a package."""
    file = getattr(module, "__file__", None)
    if file is None or "." in name or name in ("orchestrator", "__main__"):
        return ""
    path = Path(file)
    return str(path.parent.parent if path.name == "__init__.py" else path.parent)


def _is_found(name: str, module: ModuleType) -> bool:
    """Whether an import by this name would find what is loaded, if that were not loaded yet."""
    for finder in sys.meta_path:
        if found := finder.find_spec(name, None):
            places = found.submodule_search_locations or [found.origin or ""]
            return [*places] == [*getattr(module, "__path__", [getattr(module, "__file__", None)])]
    return False


def _loaded(package: str) -> dict[str, ModuleType]:
    """A package and its modules, as far as they are imported."""
    is_part = (name for name in sys.modules if name == package or name.startswith(f"{package}."))
    return {name: sys.modules[name] for name in list(is_part)}


def _forget(package: str) -> None:
    for name in _loaded(package):
        del sys.modules[name]


_finder = _Finder()
sys.meta_path.insert(0, _finder)
