"""The VAE with what a report leaves unsaid as parameters: kernels, normalization, initial weights, Adam, the heads.

A trial function for sweeps (`trial: variants:train`). It also writes what each step measured, which shows what goes
first when a training breaks. `docs/explosions.md` is what came of it.
"""

from collections.abc import Generator
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Literal

import torch
from declared import VARIANT
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from models import evaluation
from models.config import TrainConfig
from models.data import Dataset, data_root, load
from models.readings import MEASURES, Readings, Watch
from models.train import run
from models.training import Training
from models.vae import FIRST_CHANNELS, IMAGE_SIDE, VAE, Upsampling

PADDING = {3: 1, 4: 1, 5: 2}
OF_CONVOLUTIONS = ("kernel", "innermost_stride", "norm", "init", "hidden", "slope", "head", "noise", "output", "clamp")
PARTS = ("encoder", "mean", "log_variance", "decoder")
COLUMNS = ("step", *MEASURES, *(f"grad_{part}" for part in PARTS))


@dataclass(frozen=True, kw_only=True)
class Config(TrainConfig):
    """The report's setting, and what it leaves open; the defaults make the architecture conv."""

    kernel: Annotated[Literal[3, 4, 5], Field(description="Side of the kernels.")] = 3
    innermost_stride: Annotated[
        Literal[1, 2], Field(description="Of the last convolution and of the transposed one that mirrors it.")
    ] = 2
    norm: Annotated[Literal["none", "batch"], Field(description="What follows a convolution.")] = "none"
    init: Annotated[
        Literal["torch", "kaiming", "xavier", "small"],
        Field(description="Of the weights, with biases of 0 but for torch; small is DCGAN's deviation of 0.02."),
    ] = "torch"
    hidden: Annotated[int, Field(ge=0, description="Units between convolutions and code, either side; 0: none.")] = 0
    slope: Annotated[float, Field(ge=0, description="Of LeakyReLU.")] = 0.01
    head: Annotated[
        Literal["log_variance", "log_deviation", "softplus"],
        Field(description="What the second head gives; softplus of it is the deviation."),
    ] = "log_variance"
    noise: Annotated[
        Literal["deviation", "variance"],
        Field(description="What scales the noise of a code; the variance is a slip that forgets the root."),
    ] = "deviation"
    output: Annotated[Literal["sigmoid", "none"], Field(description="What ends the decoder.")] = "sigmoid"
    clamp: Annotated[float, Field(ge=0, description="Of the log variance, on either side; 0: none.")] = 0.0
    eps: Annotated[float, Field(ge=0, description="Of Adam. A loss summed over n images is an n-th of it.")] = 1e-8
    beta1: Annotated[float, Field(ge=0, lt=1, description="Of Adam.")] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1, description="Of Adam.")] = 0.999
    decay: Annotated[float, Field(gt=0, le=1, description="What the learning rate is multiplied by.")] = 1.0
    decay_every: Annotated[int, Field(ge=1, description="After how many epochs each time.")] = 1
    clip: Annotated[float, Field(ge=0, description="The norm that gradients are cut to; 0: none.")] = 0.0
    images: Annotated[int, Field(ge=1, description="How many of the training images are learned.")] = 55_000

    def __post_init__(self) -> None:
        super().__post_init__()
        defaults = {each.name: each.default for each in fields(self)}
        asked = [name for name in OF_CONVOLUTIONS if getattr(self, name) != defaults[name]]
        if self.architecture != "conv" and asked:
            raise ValueError(f"{', '.join(asked)}: for the architecture conv, not for {self.architecture}")


class VariantVAE(VAE):
    """models.vae.ConvVAE with the choices of a config."""

    def __init__(self, config: Config) -> None:
        n, kernel, padding = config.num_layers, config.kernel, PADDING[config.kernel]
        channels = [1, *(FIRST_CHANNELS * 2**i for i in range(n))]
        strides = [2] * (n - 1) + [config.innermost_stride]
        sides = [IMAGE_SIDE]
        for stride in strides:
            sides.append((sides[-1] + 2 * padding - kernel) // stride + 1)
        size = channels[-1] * sides[-1] ** 2
        super().__init__(config.hidden or size, config.latent_dim)
        self.config = config

        down: list[nn.Module] = []
        for i in range(n):
            down += [
                nn.Conv2d(channels[i], channels[i + 1], kernel, strides[i], padding),
                *self._normed(channels[i + 1]),
                nn.LeakyReLU(config.slope),
            ]
        up: list[nn.Module] = []
        for i in reversed(range(n)):
            output_padding = sides[i] - (strides[i] * (sides[i + 1] - 1) - 2 * padding + kernel)
            up += [
                nn.LeakyReLU(config.slope),
                Upsampling(channels[i + 1], channels[i], output_padding, kernel, strides[i], padding),
                *(self._normed(channels[i]) if i else []),
            ]
        self.encoder = nn.Sequential(*down, nn.Flatten(), *self._between(size, config.hidden))
        self.decoder = nn.Sequential(
            *self._between(config.latent_dim, config.hidden),
            nn.Linear(config.hidden or config.latent_dim, size),
            nn.Unflatten(1, (channels[-1], sides[-1], sides[-1])),
            *up,
        )
        if config.init != "torch":
            self.apply(self._initialize)

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        mean, given = super().encode(images)
        match self.config.head:
            case "log_variance":
                log_variance = given
            case "log_deviation":
                log_variance = 2 * given
            case "softplus":
                log_variance = 2 * (nn.functional.softplus(given) + 1e-6).log()
        limit = self.config.clamp
        return mean, log_variance.clamp(-limit, limit) if limit else log_variance

    def decode(self, z: Tensor) -> Tensor:
        return super().decode(z) if self.config.output == "sigmoid" else self.decoder(z).float()

    def forward(self, images: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if self.config.noise == "deviation":
            return super().forward(images, noise)
        mean, log_variance = self.encode(images)
        return self.decode(mean + log_variance.exp() * noise), mean, log_variance

    def _normed(self, channels: int) -> list[nn.Module]:
        return [nn.BatchNorm2d(channels)] if self.config.norm == "batch" else []

    def _between(self, size: int, hidden: int) -> list[nn.Module]:
        return [nn.Linear(size, hidden), nn.LeakyReLU(self.config.slope)] if hidden else []

    def _initialize(self, module: nn.Module) -> None:
        if not isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            return
        match self.config.init:
            case "kaiming":
                nn.init.kaiming_normal_(module.weight, a=self.config.slope, nonlinearity="leaky_relu")
            case "xavier":
                nn.init.xavier_uniform_(module.weight)
            case "small":
                nn.init.normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class VariantTraining(Training):
    """A training of a VariantVAE, which writes down what its steps measured."""

    config: Config

    def __init__(self, config: Config, workdir: Path | None, watch: Watch | None, data: Dataset) -> None:
        super().__init__(config, workdir, watch, data)
        self.steps = None if workdir is None else workdir / "artifacts" / "steps.csv"
        if self.steps is not None:
            self.steps.parent.mkdir(parents=True, exist_ok=True)
            known = self.steps.read_text().splitlines()[1:] if self.steps.is_file() else []
            self.steps.write_text("\n".join([",".join(COLUMNS), *known[: self.step], ""]))

    def build_model(self) -> VAE:
        return VariantVAE(self.config) if self.config.architecture == "conv" else super().build_model()

    def build_optimizer(self) -> torch.optim.Adam:
        config = self.config
        betas = (config.beta1, config.beta2)
        optimizer = torch.optim.Adam(self.model.parameters(), config.lr, betas, config.eps, fused=True)
        if config.clip:
            optimizer.register_step_pre_hook(self._clip)
        return optimizer

    def begin_epoch(self, every: int | None = None) -> Readings:
        super().begin_epoch(every)
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.lr * self.config.decay ** ((self.epoch - 1) // self.config.decay_every)
        self.readings = StepReadings(self)
        return self.readings

    def finish(self) -> dict[str, float | str]:
        """The final metrics and pictures, unless some of the images were left out."""
        if self.config.images < len(self.data.train):
            return {}
        if self.workdir is not None:
            paths = {name: self.workdir / "artifacts" / f"{name}.png" for name in evaluation.SHOWN}
            evaluation.save_images(self.model, self.data, self.config, self.device, paths)
        return evaluation.finish(self.model, self.data, self.config, self.device)

    def _clip(self, *_: object) -> None:
        clip_grad_norm_(self.model.parameters(), self.config.clip)


class StepReadings(Readings):
    """Also writes a line for each step: what it measured, and the norm of the gradients of each part of the model."""

    def __init__(self, training: VariantTraining) -> None:
        super().__init__(training.watch, training.step, training.last_steps, every=1)
        self._file = training.steps
        owners = [name.split(".")[0] for name, _ in training.model.named_parameters()]
        self._owned = [torch.tensor([owner == part for owner in owners]) for part in PARTS]

    def add(self, values: Tensor, images: int) -> None:
        if self._file is not None:
            whole, norms = values[: len(MEASURES)], values[len(MEASURES) :]
            told = torch.cat([whole, torch.stack([norms[owned].norm() for owned in self._owned])])
            with self._file.open("a") as file:
                file.write(",".join([str(self.step + 1), *(f"{value:.6g}" for value in told.tolist())]) + "\n")
        super().add(values, images)


def train(
    config: Config, workdir: Path | None = None, watch: Watch | None = None
) -> Generator[dict[str, float], None, dict[str, float | str]]:
    """Train the variant of `config` as models.train.train trains the VAE; the test set is left out where images are."""
    data = load(config.dataset, data_root())
    training = VariantTraining(config, workdir, watch, data)
    return (yield from run(training, data.train[: config.images]))


train.declaration = VARIANT  # type: ignore[attr-defined]
