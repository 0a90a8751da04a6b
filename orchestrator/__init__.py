"""Sweeps over training functions: trials in worker processes, recorded in MLflow, explosions marked as such."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.api import Sweep, launch, load_sweep

__all__ = ["Sweep", "launch", "load_sweep"]


def __getattr__(name: str) -> Any:
    # only when they are asked for: the command is to start at once
    if name in __all__:
        from orchestrator import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
