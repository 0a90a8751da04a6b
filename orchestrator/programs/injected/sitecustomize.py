"""Runs at the start of each interpreter of a program: listens to what wandb and its like log, once they are imported.

Python imports one `sitecustomize`, the first one on its path; the environment's own is run from here.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # typing itself would cost each start two milliseconds
if TYPE_CHECKING:
    from typing import Any

FOLDER = os.path.dirname(os.path.abspath(__file__))
WRAPPED = ("wandb", "trackio", "swanlab", "tensorboardX")
STAND_INS = {"wandb": "_sweep_wandb.py", "orchestrator": "_sweep_report.py"}


class LoggingFinder:
    """Finds the libraries that log as the other finders do, and has them wrapped once they are loaded.

    A library that is not there is stood in for. A folder of its name without a package in it, such as the `wandb` that
    offline runs leave beside a script, is no library.
    """

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name not in WRAPPED and name not in STAND_INS:
            return None
        finders = [finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec")]
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in finders)), None)
        if (spec is None or spec.origin in (None, "namespace")) and name in STAND_INS:
            return self._stand_in(name) or spec
        if spec is not None and name in WRAPPED:
            _wrap_when_loaded(spec)
        return spec

    def _stand_in(self, name: str) -> Any:
        if name == "wandb" and _is_asked_by_a_library():
            return None
        from importlib.util import spec_from_file_location

        return spec_from_file_location(name, os.path.join(FOLDER, STAND_INS[name]))


def _is_asked_by_a_library() -> bool:
    """Whether code asks that is installed, such as a trainer that uses wandb where it is there, and all of it."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if file != __file__ and "importlib" not in file:
            return "site-packages" in file or "dist-packages" in file
        frame = frame.f_back
    return False


def _wrap_when_loaded(spec: Any) -> None:
    load = getattr(spec.loader, "exec_module", None)
    if load is None:
        return

    def exec_module(module: Any) -> None:
        load(module)
        if module.__name__ == spec.name:
            try:
                import _sweep_hooks

                _sweep_hooks.wrap(module)
            except Exception as error:
                print(f"what {spec.name} logs is not seen by the sweep: {error!r}", file=sys.stderr)

    try:
        spec.loader.exec_module = exec_module
    except AttributeError:  # of a loader of another kind, nothing is changed
        return


def _run_the_next_one() -> None:
    ours = sys.modules.pop("sitecustomize", None)
    path = [*sys.path]
    sys.path[:] = [entry for entry in path if os.path.abspath(entry) != FOLDER]
    without = [*sys.path]
    try:
        import sitecustomize  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "sitecustomize":
            raise
    finally:
        if sys.path == without:
            sys.path[:] = path
        else:  # it has changed the path, which stands
            sys.path.insert(0, FOLDER)
        if ours is not None:
            sys.modules.setdefault("sitecustomize", ours)


try:
    _run_the_next_one()
finally:
    if os.environ.get("SWEEP_CHANNEL"):
        sys.meta_path.insert(0, LoggingFinder())
