"""How good a model is: metrics of images that it has not learned, and the pictures of a run."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models import figures
from models.config import TrainConfig
from models.data import Dataset, pixels
from models.loss import negative_elbo
from models.metrics import Images, diagnose, mse, ssim
from models.random import PICTURES, TEST, generator
from models.vae import VAE, autocast, save

BATCH = 1000
SHOWN = ("reconstructions", "samples")  # pictures, by epoch and at the end
TRAVERSED = tuple(-3 + 6 * i / 9 for i in range(10))
MOST_TRAVERSED = 10


@torch.no_grad()
def evaluate(model: VAE, images: Tensor, config: TrainConfig, random: torch.Generator) -> dict[str, float]:
    """Loss, its terms, MSE and SSIM over images (N, 1, 28, 28), of a sampled z as the loss has it."""
    model.eval()
    reconstructions = []
    totals = torch.zeros(3, dtype=torch.float64)
    for part in images.split(BATCH):
        batch = pixels(part.to(random.device))
        noise = torch.randn(len(batch), config.latent_dim, generator=random, device=random.device)
        with autocast(config.precision, random.device):
            reconstruction, mean, log_variance = model(batch, noise)
        loss = negative_elbo(batch, reconstruction, mean.float(), log_variance.float(), config.var)
        totals += torch.stack(loss).double().cpu() * len(batch)
        reconstructions.append(reconstruction)
    metrics = dict(zip(("loss", "recon", "kl"), (totals / len(images)).tolist(), strict=True))
    originals, sampled = to_numpy(pixels(images)), to_numpy(torch.cat(reconstructions))
    return metrics | {"mse": mse(originals, sampled), "ssim": ssim(originals, sampled, torch.get_num_threads())}


@torch.no_grad()
def from_mean(model: VAE, images: Tensor, config: TrainConfig, device: torch.device) -> Images:
    """Reconstructions (N, 28, 28) of the posterior mean, for images (N, 1, 28, 28)."""
    model.eval()
    reconstructions = []
    for part in images.split(BATCH):
        with autocast(config.precision, device):
            reconstructions.append(model.decode(model.encode(pixels(part.to(device)))[0]))
    return to_numpy(torch.cat(reconstructions))


def finish(model: VAE, data: Dataset, config: TrainConfig, device: torch.device) -> dict[str, float | str]:
    """The final metrics, of the test set, and a diagnosis where the model is worthless."""
    sampled = evaluate(model, data.test, config, generator(device, config.seed, TEST))
    originals, of_mean = to_numpy(pixels(data.test)), from_mean(model, data.test, config, device)
    final: dict[str, float | str] = {
        "ssim": sampled["ssim"],
        "mse": sampled["mse"],
        "ssim_mean": ssim(originals, of_mean, torch.get_num_threads()),
        "mse_mean": mse(originals, of_mean),
    }
    mean_image = np.broadcast_to(to_numpy(data.train.float().mean(0, keepdim=True) / 255), originals.shape)
    errors = mse(originals, of_mean), mse(originals, mean_image)
    diagnosis = diagnose(sampled["kl"], *errors, brightest=float(of_mean.max()))
    return final if diagnosis is None else {**final, "diagnosis": diagnosis}


@torch.no_grad()
def decode_examples(
    model: VAE, data: Dataset, config: TrainConfig, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Test images, their reconstructions, and samples from the prior, (N, 1, 28, 28) each: the same for a run."""
    model.eval()
    random = generator(device, config.seed, PICTURES)
    originals = pixels(data.test[: 2 * figures.COLUMNS].to(device))
    noise = torch.randn(len(originals), config.latent_dim, generator=random, device=device)
    z = torch.randn(6 * figures.COLUMNS, config.latent_dim, generator=random, device=device)
    with autocast(config.precision, device):
        reconstruction, _, _ = model(originals, noise)
        return originals, reconstruction, model.decode(z)


@torch.no_grad()
def traverse(
    model: VAE, data: Dataset, config: TrainConfig, device: torch.device
) -> tuple[Tensor, list[int], list[float]]:
    """Vary, in the code of a test image, each of the dimensions with the most nats over TRAVERSED.

    Returns:
        Images (R, C, 28, 28); the dimensions, and the divergence of each in nats, as means over test images.
    """
    model.eval()
    with autocast(config.precision, device):
        mean, log_variance = (part.float() for part in model.encode(pixels(data.test[:BATCH].to(device))))
        nats = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean(0)
        largest, dimensions = nats.topk(min(MOST_TRAVERSED, config.latent_dim))
        z = mean[0].repeat(len(dimensions), len(TRAVERSED), 1)
        for row, dimension in enumerate(dimensions):
            z[row, :, dimension] = torch.tensor(TRAVERSED, device=device)
        images = model.decode(z.flatten(0, 1))
    return images.reshape(*z.shape[:2], 28, 28), dimensions.tolist(), largest.tolist()


def save_images(
    model: VAE, data: Dataset, config: TrainConfig, device: torch.device, paths: Mapping[str, Path]
) -> None:
    """Write the pictures that show the progress of a model: `reconstructions` and `samples`."""
    for path in paths.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    originals, reconstruction, sampled = decode_examples(model, data, config, device)
    figures.reconstructions(originals, reconstruction, paths["reconstructions"])
    figures.samples(sampled, paths["samples"])


def save_artifacts(model: VAE, data: Dataset, config: TrainConfig, device: torch.device, folder: Path) -> None:
    """Write the model and its pictures into a folder."""
    save(model, config, folder / "model")
    save_images(model, data, config, device, {name: folder / f"{name}.png" for name in SHOWN})
    images, dimensions, nats = traverse(model, data, config, device)
    labels = [f"z{dimension}: {value:.2g} nats" for dimension, value in zip(dimensions, nats, strict=True)]
    figures.traversal(images, TRAVERSED, labels, folder / "traversal.png")


def to_numpy(images: Tensor) -> Images:
    """Images (N, 1, 28, 28) as an array (N, 28, 28)."""
    array: Images = images.squeeze(1).cpu().numpy()
    return array
