"""A trial function whose checkpoint is of a given size, and another one after each epoch."""

import os
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

SECONDS = 0.5  # of an epoch


@dataclass(frozen=True)
class Config:
    """How large it is, and how many there are."""

    size: int = 0  # bytes; 0 for none
    epochs: int = 10


def train(config: Config, workdir: Path) -> Generator[dict[str, float]]:
    """Wait, and leave a checkpoint that cannot be compressed."""
    for epoch in range(1, config.epochs + 1):
        time.sleep(SECONDS)
        if config.size:
            unfinished = workdir / "checkpoint.unfinished"
            unfinished.write_bytes(os.urandom(config.size))
            unfinished.replace(workdir / "checkpoint")
        yield {"epoch": epoch, "loss": 1 / epoch}
