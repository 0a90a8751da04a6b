"""Train one VAE: a generator that yields the metrics of each epoch and returns the final ones."""

from collections.abc import Generator
from pathlib import Path

import torch
from torch import Tensor

from models.config import TrainConfig
from models.data import data_root, load, pixels
from models.graphs import Passes, passes
from models.loss import Loss, negative_elbo
from models.random import NOISE, ORDER, generator
from models.stacked import train_stacked
from models.training import Readings, Training, Watch, device
from models.vae import autocast


def prepare(config: TrainConfig) -> dict[str, str | int]:
    """Have the images at hand, and say which they are.

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
        workdir: where to leave pictures and the model, under `artifacts`, and after each epoch a checkpoint, from which
            a training that was cut off goes on; None leaves nothing.
        watch: called after each step with step, loss and gradient norm; what it raises ends the training.
    """
    data = load(config.dataset, data_root())
    training = Training(config, workdir, watch, device(config.precision))
    images = data.train.to(training.device)
    forward = passes(training.model, config, training.device)
    try:
        while training.is_running:
            learn(training, forward, images, training.begin_epoch())
            metrics = training.end_epoch(data)
            try:
                yield metrics
            finally:  # also when whoever iterates ends here
                training.keep()
        return training.finish(data)
    finally:
        training.leave_curve()


train.version = 2  # type: ignore[attr-defined]
train.prepare = prepare  # type: ignore[attr-defined]
train.stacked = train_stacked  # type: ignore[attr-defined]
train.stack_by = ("var", "lr", "seed")  # type: ignore[attr-defined]


def learn(training: Training, forward: Passes, images: Tensor, readings: Readings) -> None:
    """One pass over images of bytes (N, 1, 28, 28), on the training's device."""
    config, model, device = training.config, training.model, training.device
    random = generator(device, config.seed, NOISE, training.epoch)
    order = torch.randperm(len(images), generator=generator(torch.device("cpu"), config.seed, ORDER, training.epoch))
    model.train()
    for indices in order.to(device).split(config.batch_size):
        batch = pixels(images[indices])
        noise = torch.randn(len(batch), config.latent_dim, generator=random, device=device)
        with autocast(config.precision, device):
            reconstruction, mean, log_variance = forward(batch, noise)
        loss = negative_elbo(batch, reconstruction, mean.float(), log_variance.float(), config.var)
        training.optimizer.zero_grad()
        loss.loss.backward()
        norm = torch.nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
        readings.note(Loss(*(term.detach() for term in loss)), norm, log_variance.detach(), len(batch))
        training.optimizer.step()
