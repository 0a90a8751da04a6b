"""A linear VAE on MNIST: a decoder without layers, whose posterior collapses where theory says that it does.

Encoder and decoder are matrices, so the evidence lower bound follows from the covariance of the images alone, and is
maximized as it stands, without samples. Its best decoder spans the principal components whose eigenvalues are above the
variance `var`; above the largest eigenvalue, 5.12 for MNIST, there is none (J. Lucas, G. Tucker, R. Grosse and M.
Norouzi, "Don't Blame the ELBO!", NeurIPS 2019; the figure is of arXiv 2510.01621). `docs/boundary.md` holds the
measured threshold beside that. Each seed begins from other weights, and has images of its own.
"""

from collections.abc import Generator
from typing import Annotated

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from models.data import data_root, load, pixels

COLLAPSED = 0.005  # nats, of every dimension of the code
STEPS = 50  # of an epoch


@dataclass(frozen=True, kw_only=True)
class Config:
    """What a trial is made of."""

    var: Annotated[float, Field(gt=0)] = 1.0
    latent_dim: Annotated[int, Field(ge=1)] = 2
    images: Annotated[int, Field(ge=1000, le=55_000)] = 10_000
    epochs: Annotated[int, Field(ge=1)] = 8
    lr: Annotated[float, Field(gt=0)] = 5e-3
    seed: Annotated[int, Field(ge=0)] = 0


def covariance(images: Tensor) -> Tensor:
    """Of images (N, 1, H, W) of bytes: (pixels, pixels), for pixels from 0 to 1."""
    return torch.cov(pixels(images).flatten(1).T, correction=0)


def train(config: Config) -> Generator[dict[str, float], None, dict[str, float | str]]:
    """Maximize the evidence lower bound by Adam, with a learning rate that falls to zero."""
    randomness = torch.Generator().manual_seed(config.seed)
    data = load("mnist", data_root()).train
    of_data = covariance(data[torch.randperm(len(data), generator=randomness)[: config.images]])
    shape = len(of_data), config.latent_dim
    encoder, decoder = (torch.randn(shape, generator=randomness).mul_(0.03).requires_grad_() for _ in range(2))
    log_variance = torch.zeros(config.latent_dim, requires_grad=True)
    optimizer = torch.optim.Adam([encoder, decoder, log_variance], lr=config.lr)
    steps = config.epochs * STEPS
    falling = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    for epoch in range(1, config.epochs + 1):
        for _ in range(STEPS):
            error, kl = terms(of_data, encoder, decoder, log_variance)
            loss = error / (2 * config.var) + kl.sum()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            falling.step()
        yield {"epoch": epoch, "train_loss": loss.item(), "kl": kl.sum().item(), "most_kl": kl.max().item()}
    if kl.max() < COLLAPSED:
        return {"diagnosis": f"posterior collapse: no dimension of the code has more than {kl.max():.2g} nats"}
    return {}


def terms(of_data: Tensor, encoder: Tensor, decoder: Tensor, log_variance: Tensor) -> tuple[Tensor, Tensor]:
    """The squared error of an image on average, and the divergence of each dimension of the code, in nats.

    Args:
        of_data: covariance of the images (pixels, pixels).
        encoder: (pixels, dimensions); the mean of the code is its product with the image.
        decoder: (pixels, dimensions).
        log_variance: of the code (dimensions).
    """
    spread = of_data @ encoder
    of_means = encoder.T @ spread
    of_codes = of_means + torch.diag(log_variance.exp())
    error = of_data.trace() - 2 * (decoder * spread).sum() + ((decoder.T @ decoder) * of_codes).sum()
    return error, (of_means.diagonal() + log_variance.exp() - log_variance - 1) / 2
