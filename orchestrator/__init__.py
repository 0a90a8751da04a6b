"""Sweeps over training functions: trials in worker processes, recorded in MLflow, explosions marked as such."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.api import Sweep, launch, load_sweep
    from orchestrator.functions.declaration import Declaration, Incomparable, Metric, Picture, Plane, Tiles, Tolerance
    from orchestrator.infeasible import Infeasible
    from orchestrator.programs.reporting import report

_MODULES = {
    "orchestrator.api": ("Sweep", "launch", "load_sweep"),
    "orchestrator.functions.declaration": (
        *("Declaration", "Incomparable", "Metric", "Picture", "Plane", "Tiles", "Tolerance"),
    ),
    "orchestrator.infeasible": ("Infeasible",),
    "orchestrator.programs.reporting": ("report",),
}
__all__ = [
    "Declaration",
    "Incomparable",
    "Infeasible",
    "Metric",
    "Picture",
    "Plane",
    "Sweep",
    "Tiles",
    "Tolerance",
    "launch",
    "load_sweep",
    "report",
]


def __getattr__(name: str) -> Any:
    # only when they are asked for: the command is to start at once, and a trial function loads no more than it needs
    for module, names in _MODULES.items():
        if name in names:
            from importlib import import_module

            from orchestrator.system import platforms

            if module == "orchestrator.api":
                platforms.check()
            return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
