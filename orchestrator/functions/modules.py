"""Where the modules of a trial function are found: beside its sweep file, in the current folder, or with this program.

The default trial is in a package whose name, `models`, many people use for a package of their own. Which package an
import means is decided here, by the trial function that the process works for; never by the order of folders alone.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

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
        before = [folder for folder in _added if folder not in self.folders]
        sys.path[:] = [folder for folder in sys.path if folder not in before]
        new = [folder for folder in self.folders if folder not in sys.path]
        sys.path[:0] = new
        _added[:] = [*(folder for folder in _added if folder in self.folders), *new]
        _finder.is_default = self.is_default
        suspects = [name for name, module in sys.modules.items() if name == PACKAGE or _folder(name, module) in before]
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


class _Finder(MetaPathFinder):
    """Finds the package of the default trial, or a user's package of the same name."""

    is_default = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != PACKAGE:
            return None
        if self.is_default:
            return PathFinder.find_spec(fullname, [str(OURS)])
        elsewhere = [folder for folder in sys.path if Path(folder).resolve() != OURS and _has_code(Path(folder))]
        return PathFinder.find_spec(fullname, elsewhere) if elsewhere else None  # then the usual way leads to ours


def default_in_use() -> bool:
    """Whether this process works for the default trial now."""
    return _finder.is_default


def _has_code(folder: Path) -> bool:
    """Whether it has the package as code: a folder of trained models may be called so, too."""
    package = folder / PACKAGE
    return package.with_suffix(".py").is_file() or any(package.glob("*.py")) or any(package.glob("*/*.py"))


def _folder(name: str, module: ModuleType) -> str:
    """The folder that a module was found in, if it is no part of a package."""
    file = getattr(module, "__file__", None)
    if file is None or "." in name or name == "orchestrator":
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
