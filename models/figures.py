"""The pictures that a training run leaves behind."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor

COLUMNS = 10


def loss_curve(history: Sequence[Mapping[str, float]], path: Path) -> None:
    """Loss by epoch, training and validation: the whole, and its two terms apart."""
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    epochs = [metrics["epoch"] for metrics in history]
    for axes, term, title in zip(
        figure.subplots(1, 3), ("loss", "recon", "kl"), ("loss", "reconstruction term", "KL divergence"), strict=True
    ):
        for part, style in (("train", "-"), ("val", "--")):
            values = [metrics[f"{part}_{term}"] for metrics in history]
            axes.plot(epochs, values, style, marker="." if len(epochs) == 1 else None, label=part)
        axes.set(title=title, xlabel="epoch", ylabel="nats per image")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=100)


def reconstructions(images: Tensor, reconstruction: Tensor, path: Path) -> None:
    """Images (N, 1, 28, 28) in the rows above, their reconstructions below each."""
    rows = [row for pair in zip(images.split(COLUMNS), reconstruction.split(COLUMNS), strict=True) for row in pair]
    _grid(torch.cat(rows), "originals above, reconstructions below", path)


def samples(images: Tensor, path: Path) -> None:
    """Images (N, 1, 28, 28) decoded from the prior."""
    _grid(images, "samples from the prior", path)


def _grid(images: Tensor, title: str, path: Path) -> None:
    rows = len(images) // COLUMNS
    picture = images.reshape(rows, COLUMNS, 28, 28).transpose(1, 2).reshape(rows * 28, COLUMNS * 28)
    figure = Figure(figsize=(6, 0.6 * rows + 0.4), layout="constrained")
    axes = figure.subplots()
    axes.imshow(picture.cpu().numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_title(title, fontsize=10)
    axes.set_axis_off()
    figure.savefig(path, dpi=100)
