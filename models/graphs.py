"""CUDA graphs: a small model's kernels end before Python launches the next kernels, so they are recorded once.

No GPU was at hand when this was written: it is tested without one, and unmeasured.
"""

import warnings
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from models.config import TrainConfig
from models.vae import IMAGE_SIDE, VAE, autocast

DEVICES = {"cuda"}

Passes = Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]


class _Passes(nn.Module):
    """Wraps the forward pass: torch changes the module that it records, which must not be the model."""

    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.model.forward(images, noise)


def passes(model: VAE, config: TrainConfig, device: torch.device) -> Passes:
    """The forward pass of training, to be called under `autocast`, with the backward pass that belongs to it.

    On a GPU, those of whole batches are replayed as CUDA graphs, unless torch cannot record them: then with a warning.
    """
    if device.type not in DEVICES:
        return model
    size = config.batch_size
    images = torch.zeros(size, 1, IMAGE_SIDE, IMAGE_SIDE, device=device)
    noise = torch.zeros(size, config.latent_dim, device=device)
    model.train()
    try:
        with autocast(config.precision, device, cached=False):  # weights that were cast before would not be cast again
            recorded = cast("Passes", torch.cuda.make_graphed_callables(_Passes(model), (images, noise)))
    except RuntimeError as error:
        warnings.warn(f"training continues without CUDA graphs: {error}", stacklevel=2)
        return model
    # the last batch of an epoch may be smaller than the recorded batch
    return lambda images, noise: (recorded if len(images) == size else model)(images, noise)
