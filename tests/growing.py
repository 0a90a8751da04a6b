"""A trial function that goes on from its checkpoint to any number of epochs. Copied beside the YAML files of tests."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from orchestrator.functions.declaration import Declaration, Metric


@dataclass(frozen=True)
class Config:
    x: float = 1.0
    schedule: Literal["constant", "cosine"] = "constant"
    epochs: Annotated[int, Field(ge=1, le=100)] = 3
    seed: int = 0
    pause: float = 0.0


def train(config: Config, workdir: Path):
    file = workdir / "state.json"
    state = json.loads(file.read_text()) if file.is_file() else {"epoch": 0, "sum": 0.0}
    for epoch in range(state["epoch"] + 1, config.epochs + 1):
        time.sleep(config.pause)
        state = {"epoch": epoch, "sum": state["sum"] + config.x / epoch}
        try:
            yield {"epoch": epoch, "train_loss": 10 / (1 + state["sum"]), "score": state["sum"]}
        finally:
            file.write_text(json.dumps(state))
        with Path("epochs.txt").open("a") as trained:
            trained.write(f"{config.x:g} {epoch}\n")
    return {"final": state["sum"] + config.seed}


train.declaration = Declaration(
    metrics=(Metric("score", "maximize"),), checkpoints=("state.json",), extendable={"schedule": ("constant",)}
)
