"""A trained VAE as an MLflow model: images in, their reconstructions out."""

import importlib.metadata
import logging
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from models.vae import IMAGE_SIDE, VAE, load

EXAMPLES = 2  # images in the input example: with a single image torch would fix the batch size at 1


class Reconstruction(nn.Module):
    """Images (N, 1, 28, 28) in [0, 1] from the mean of their posteriors, without randomness."""

    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        mean, _ = self.model.encode(images)
        return self.model.decode(mean)


def export(artifacts: Path, folder: Path) -> None:
    """Write the VAE among the artifacts of a training as an MLflow model, which loads without this package.

    It is a graph of torch.export, with a signature (images as float32, any number of them) and an input example.
    """
    # imported here, since it takes seconds, which no worker should spend
    import mlflow.pytorch
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    model = load(artifacts / "model")
    with torch.no_grad():
        example = model.decode(
            torch.randn(EXAMPLES, model.mean.out_features, generator=torch.Generator().manual_seed(0))
        )
    images = TensorSpec(np.dtype(np.float32), (-1, 1, IMAGE_SIDE, IMAGE_SIDE))
    mlflow.pytorch.save_model(
        Reconstruction(model).eval(),
        folder,
        signature=ModelSignature(Schema([images]), Schema([images])),
        input_example=example.numpy(),
        serialization_format="pt2",
        pip_requirements=[f"{name}=={importlib.metadata.version(name)}" for name in ("mlflow", "torch", "numpy")],
    )
