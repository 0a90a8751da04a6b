"""The state of a training run after a whole epoch, on disk."""

import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from models.config import TrainConfig

FORMAT = 1  # raise it when the content of a checkpoint changes


def save(path: Path, config: TrainConfig, state: dict[str, Any]) -> None:
    """Write the state of a run. A process that is killed at any moment leaves the old file or the new file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".tmp")
    with unfinished.open("wb") as file:
        torch.save({"format": FORMAT, "config": asdict(config), **state}, file)
        file.flush()
    unfinished.replace(path)


def load(path: Path, config: TrainConfig) -> dict[str, Any] | None:
    """The state that `save` wrote, or None where there is no such state.

    It may come from a training that was to have fewer epochs: no step depends on how many there are in all. A file that
    is torn, of another configuration or of another format is renamed, with a warning.
    """
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        known = {**state["config"], "epochs": config.epochs}
        if state["format"] == FORMAT and known == asdict(config) and len(state["history"]) <= config.epochs:
            return state
        problem = "it belongs to another configuration or format"
    except Exception as error:  # a torn file fails in many ways, within zip, pickle or torch
        problem = f"it cannot be read ({type(error).__name__})"
    renamed = path.with_suffix(".unusable")
    path.replace(renamed)
    warnings.warn(f"{path}: {problem}; renamed to {renamed.name}; the training starts from the beginning", stacklevel=2)
    return None
