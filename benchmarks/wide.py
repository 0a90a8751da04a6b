"""A trial function with as many parameters as real ones have, which does nothing but yield metrics. Some explode."""

import math
from collections.abc import Generator
from dataclasses import dataclass

EXPLODES_FROM = 1.0  # lr


@dataclass(frozen=True)
class Config:
    """What a training takes, by its usual names."""

    lr: float = 0.1
    weight_decay: float = 0.0
    width: int = 64
    depth: int = 3
    latent: int = 20
    dropout: float = 0.1
    batch_size: int = 128
    momentum: float = 0.9
    warmup: int = 0
    clip: float = 1.0
    beta: float = 1.0
    smoothing: float = 0.0
    optimizer: str = "adam"
    schedule: str = "cosine"
    activation: str = "relu"
    norm: str = "batch"
    dataset: str = "mnist"
    augment: bool = True
    seed: int = 0
    epochs: int = 8


def train(config: Config) -> Generator[dict[str, float]]:
    """Yield the metrics of each epoch at once."""
    for epoch in range(1, config.epochs + 1):
        loss = math.exp(-epoch * config.lr) + config.weight_decay + config.seed / 1000
        if config.lr >= EXPLODES_FROM and epoch > config.epochs // 2:
            loss = math.nan
        print(f"epoch {epoch}: {loss}")
        yield {"loss": loss, "val_loss": loss + 0.01, "accuracy": 1 / (1 + loss)}
