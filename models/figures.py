"""The pictures that a training run leaves behind."""

import math
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from torch import Tensor

from models.window import DivergedQuantity, Window

COLUMNS = 10
ENLARGED = 2  # pixels of the picture for each pixel of an image
LINES, MARKERS = ("-", "--", ":", "-."), "osv^Dx+P*"
OFTEN = 8  # markers along a line
FEW_DEVIATIONS = 20  # of the prior: smaller values are drawn on a linear scale


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
    _sheet(torch.cat(rows), path)


def samples(images: Tensor, path: Path) -> None:
    """Images (N, 1, 28, 28) decoded from the prior."""
    _sheet(images, path)


def traversal(images: Tensor, values: Sequence[float], labels: Sequence[str], path: Path) -> None:
    """Images (R, C, 28, 28): a row for each dimension that is walked along, a column for each of its values."""
    rows, columns = images.shape[:2]
    figure = Figure(figsize=(0.55 * columns + 1.4, 0.55 * rows + 0.7), layout="constrained")
    axes = figure.subplots()
    axes.imshow(_tiled(images.flatten(0, 1), columns), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_xticks([28 * i + 13.5 for i in range(columns)], [f"{value:+.1f}" for value in values])
    axes.set_yticks([28 * i + 13.5 for i in range(rows)], labels)
    axes.tick_params(length=0, labelsize=8)
    axes.set_xlabel("standard deviations of the prior", fontsize=8)
    figure.savefig(path, dpi=100)


def explosion(window: Window, diverged: Sequence[DivergedQuantity], step: int, path: Path) -> None:
    """The last steps before an explosion, and where the first quantity diverged.

    Args:
        window: those steps.
        diverged: the quantities that diverged, in their order.
        step: at which the explosion begins.
        path: of the picture.
    """
    figure = Figure(figsize=(10, 11), layout="constrained")
    losses, gradients, *ranges = figure.subplots(4, 1, sharex=True, height_ratios=(1, 1.6, 1, 1))
    _lines(losses, window.steps, {name: window.measures[name] for name in ("loss", "recon", "kl")})
    losses.set(title="loss and its terms", ylabel="nats per image")
    _lines(gradients, window.steps, window.layers)
    gradients.set(title="gradient norm by layer")
    for axes, quantity in zip(ranges, ("mean", "log_variance"), strict=True):
        low, high = window.ranges(quantity)
        most = max((abs(value) for value in (*low, *high) if math.isfinite(value)), default=0.0)
        scale = "linear" if most < FEW_DEVIATIONS else "symlog"
        _lines(axes, window.steps, {"maximum": high, "minimum": low}, scale)
        axes.fill_between(window.steps, _finite(low), _finite(high), alpha=0.15)
        axes.set(title=f"range of the posterior's {quantity.replace('_', ' ')}, over batch and dimensions")
    for axes in (losses, gradients, *ranges):
        axes.axvline(step, color="0.4", linestyle=":")
        if diverged:
            axes.axvline(diverged[0].step, color="black", linestyle="--")
    marks = f"dotted line: the explosion, from step {step} on"
    if diverged:
        marks = (
            f"dashed line: {diverged[0].quantity.replace('_', ' ')} diverges first, at step {diverged[0].step}; {marks}"
        )
    ranges[-1].set_xlabel(f"step\n{marks}")
    ranges[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.savefig(path, dpi=90)


def _lines(axes: Axes, steps: Sequence[int], series: Mapping[str, Sequence[float]], scale: str = "log") -> None:
    """A line for each series, with dashes and markers of its own; where a series is not finite, a cross at the top."""
    for (name, values), line, marker in zip(series.items(), cycle(LINES), cycle(MARKERS), strict=False):
        every = max(1, len(steps) // OFTEN)
        axes.plot(steps, _finite(values), linestyle=line, marker=marker, markevery=every, markersize=4, label=name)
    broken = sorted({n for line in series.values() for n, v in zip(steps, line, strict=True) if not math.isfinite(v)})
    if broken:
        top = axes.get_xaxis_transform()
        axes.plot(broken, [0.95] * len(broken), "kX", transform=top, markersize=7, label="not finite")
    if scale != "log" or any(value > 0 for line in series.values() for value in _finite(line)):
        axes.set_yscale(scale)
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)


def _finite(values: Sequence[float]) -> list[float]:
    return [value if math.isfinite(value) else math.nan for value in values]


def _sheet(images: Tensor, path: Path) -> None:
    """Images (N, 1, 28, 28) in rows of COLUMNS. The file appears whole, since another process may wait for it."""
    picture = _tiled(images, COLUMNS).repeat(ENLARGED, 0).repeat(ENLARGED, 1)
    unfinished = path.with_suffix(".unfinished")
    quickly = {"compress_level": 1}
    imsave(unfinished, picture, cmap="gray", vmin=0, vmax=1, format="png", pil_kwargs=quickly)
    unfinished.replace(path)


def _tiled(images: Tensor, columns: int) -> NDArray[np.float32]:
    """Images (N, 1, 28, 28), or without their channel, as one picture."""
    rows = len(images) // columns
    tiles = images.reshape(rows, columns, 28, 28).transpose(1, 2).reshape(rows * 28, columns * 28)
    picture: NDArray[np.float32] = tiles.cpu().numpy()
    return picture
