"""A small network on scikit-learn's handwritten digits, trained by Keras on torch."""

import os
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")  # before Keras is imported

import keras
from sklearn.datasets import load_digits

from orchestrator.integrations.keras import KerasCallback


@dataclass(frozen=True)
class Config:
    """What is swept."""

    lr: float = 0.1
    width: int = 64
    epochs: int = 4
    seed: int = 0


def train(config: Config, report, workdir: Path, watch) -> dict[str, float]:
    """Train for so many epochs; a trial that was interrupted goes on from its last whole epoch."""
    keras.utils.set_random_seed(config.seed)
    images, labels = load_digits(return_X_y=True)
    model = keras.Sequential([keras.layers.Dense(config.width, activation="relu"), keras.layers.Dense(10)])
    model.compile(
        keras.optimizers.SGD(config.lr),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    history = model.fit(
        images[:1200] / 16,
        labels[:1200],
        validation_data=(images[1200:] / 16, labels[1200:]),
        epochs=config.epochs,
        verbose=0,
        callbacks=[KerasCallback(report, watch), keras.callbacks.BackupAndRestore(workdir / "backup")],
    )
    return {"accuracy": history.history["val_accuracy"][-1]}
