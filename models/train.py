"""Train one VAE: a generator that yields the metrics of each epoch and returns the final ones."""

from collections.abc import Generator
from pathlib import Path

import torch
from torch import Tensor

from models.config import TrainConfig
from models.data import data_root, load, pixels
from models.declaration import DECLARATION
from models.graphs import Passes, passes
from models.random import NOISE, generator, shuffled
from models.readings import Readings, Watch, measured
from models.training import Training
from models.vae import autocast


def prepare(config: TrainConfig) -> dict[str, str | int]:
    """Load the images, and describe them.

    Raises:
        models.data.DataError: they are missing or corrupt.
    """
    data = load(config.dataset, data_root())
    return {
        "name": data.name,
        "digest": data.digest,
        "source": data.source,
        "train": len(data.train),
        "val": len(data.val),
        "test": len(data.test),
    }


def train(
    config: TrainConfig, workdir: Path | None = None, watch: Watch | None = None
) -> Generator[dict[str, float], None, dict[str, float | str]]:
    """Train the VAE of `config`, yield each epoch's metrics, return those of the test set.

    Args:
        config: of the training; also which dataset and architecture.
        workdir: for pictures and the model, under `artifacts`, and after each epoch a checkpoint, from which a training
            that was cut off resumes; None saves nothing.
        watch: called after each step with step, loss and gradient norm; an exception ends the training. Where it
            has an attribute `explosion` with its `step`, a post-mortem is saved beside the pictures.
    """
    data = load(config.dataset, data_root())
    return (yield from run(Training(config, workdir, watch, data), data.train))


train.declaration = DECLARATION  # type: ignore[attr-defined]


def run(training: Training, images: Tensor) -> Generator[dict[str, float], None, dict[str, float | str]]:
    """The epochs that are left, on images of bytes (N, 1, 28, 28): yields and returns what `train` does."""
    images = images.to(training.device)
    forward = passes(training.model, training.config, training.device)
    try:
        while training.is_running:
            learn(training, forward, images, training.begin_epoch())
            metrics = training.end_epoch()
            try:
                yield metrics
            finally:  # also when the caller ends here
                training.save_checkpoint()
        return training.finish()
    except Exception as error:
        training.save_postmortem(error)
        raise
    finally:
        training.save_curve()


def learn(training: Training, forward: Passes, images: Tensor, readings: Readings) -> None:
    """One pass over images of bytes (N, 1, 28, 28), on the training's device."""
    config, model, device = training.config, training.model, training.device
    random = generator(device, config.seed, NOISE, training.epoch)
    weights = list(model.parameters())
    model.train()
    for indices in shuffled(len(images), config.seed, training.epoch).to(device).split(config.batch_size):
        batch = pixels(images[indices])
        noise = torch.randn(len(batch), config.latent_dim, generator=random, device=device)
        with autocast(config.precision, device):
            reconstruction, mean, log_variance = forward(batch, noise)
        mean, log_variance = mean.float(), log_variance.float()
        loss = training.loss(batch, reconstruction, mean, log_variance)
        training.optimizer.zero_grad()
        loss.loss.backward()
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in weights]
        readings.add(measured(loss, gradients, mean, log_variance), len(batch))
        training.optimizer.step()
