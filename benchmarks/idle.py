"""A trial function that does nothing but yield metrics: what is left is what orchestration costs."""

from collections.abc import Generator
from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """How much is to be told."""

    x: int = 0
    epochs: int = 50
    metrics: int = 4


def train(config: Config) -> Generator[dict[str, float]]:
    """Yield the metrics of each epoch at once."""
    for epoch in range(1, config.epochs + 1):
        yield {"epoch": epoch, **{f"m{i}": float(epoch) for i in range(config.metrics)}}
