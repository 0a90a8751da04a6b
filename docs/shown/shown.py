"""Trials that cost nothing and end in all ways: what `make screenshots` sweeps, to see reports of them."""

import math
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from orchestrator import Declaration, Incomparable, Infeasible, Metric, Picture

WIDTH, HEIGHT = 640, 400  # pixels of a picture
ACCURACY = "The share of images that are told right."
KL = "Kullback-Leibler divergence: how far one distribution is from another, in nats."
DECLARATION = Declaration(
    metrics=(
        Metric("accuracy", "maximize", text=ACCURACY),
        Metric("val_loss", "minimize"),
        Metric("milliseconds", "minimize", text="Time for one image."),
    ),
    words={"kl": KL, "KL": KL},
    incomparable=(Incomparable(metrics=("val_loss",), between=("smoothing",), reason="depends on it", instead=()),),
    pictures=(Picture(name="losses", title="Losses and KL", text="The loss by epoch"),),
)


@dataclass(frozen=True)
class Config:
    """What a training takes."""

    lr: float = 0.01
    batch_size: int = 64
    depth: int = 3
    width: int = 64
    optimizer: str = "adam"
    momentum: float = 0.9
    smoothing: float = 0.0
    regularization_of_the_weights_of_the_first_layer_of_encoders: float = 0.0
    regularization_of_the_weights_of_the_final_layer_of_encoders: float = 0.0
    draws: bool = False
    breaks: bool = False
    seed: int = 0
    epochs: int = 8


def train(config: Config, workdir: Path) -> Generator[dict[str, float]]:
    """The better the nearer the rate is to one that suits the batch; from twenty times that on it explodes."""
    away = math.log10(config.lr / (0.01 * (config.batch_size / 64) ** 0.5))
    chance = math.sin(97.0 * config.seed + 13.0 * config.depth + 7.0 * away) / 150
    penalties = (
        config.regularization_of_the_weights_of_the_first_layer_of_encoders,
        2 * config.regularization_of_the_weights_of_the_final_layer_of_encoders,
    )
    best = 0.97 - 0.05 * away**2 - 0.01 * abs(config.depth - 3) - 0.02 * sum(penalties) + chance
    best += 0.01 * math.log2(config.width / 64)
    best -= 0.03 * abs(config.momentum - 0.9) if config.optimizer == "sgd" else 0.0
    if config.width > 512 and config.batch_size > 256:
        raise Infeasible(f"{config.width} units of {config.batch_size} images do not fit", margin=0.4)
    print(f"a training of {config}")
    losses: list[float] = []
    for epoch in range(1, config.epochs + 1):
        if config.breaks and config.depth == 5 and epoch == 2:
            raise OSError(28, "No space left on device", f"/scratch/batches-{config.batch_size}.bin")
        share = 1 - math.exp(-epoch / (1.5 + 0.5 * config.depth))
        losses.append(2.3 * (1 - share * best) * (1 + 0.02 * math.sin(9 * epoch)))
        if away > 1.3 + chance * 20 and epoch > 3:
            losses[-1] = math.nan
            _explain(workdir, epoch, losses)
        if config.draws:
            _draw(workdir / "artifacts" / "losses.png", losses)
        yield {
            "accuracy": best * share,
            "val_loss": losses[-1],
            "kl": 4 * share * best,
            "milliseconds": config.width * config.depth / 90 + 0.4 * config.depth,
        }


train.declaration = DECLARATION  # type: ignore[attr-defined]


def _explain(workdir: Path, epoch: int, losses: list[float]) -> None:
    """Leave what the VAE leaves of an explosion."""
    folder = workdir / "artifacts"
    folder.mkdir(exist_ok=True)
    words = f"**What went first: the loss, in epoch {epoch}.** It was {losses[-2]:.3g} in the epoch before.\n"
    (folder / "explosion.md").write_text(words)
    _draw(folder / "explosion.png", losses)


def _draw(path: Path, losses: list[float]) -> None:
    """The losses as a line on a white ground."""
    path.parent.mkdir(exist_ok=True)
    picture = Image.new("RGB", (WIDTH, HEIGHT), "white")
    pen = ImageDraw.Draw(picture)
    points = [
        (20 + i * (WIDTH - 40) / max(1, len(losses) - 1), HEIGHT - 20 - 150 * loss)
        for i, loss in enumerate(losses)
        if math.isfinite(loss)
    ]
    pen.rectangle((10, 10, WIDTH - 10, HEIGHT - 10), outline="black")
    pen.line(points, fill="#0072b2", width=4)
    picture.save(path)
