"""Encoders and decoders. A new architecture is a subclass of VAE here and one entry in models.config.ARCHITECTURES."""

import json
import pkgutil
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.config import ARCHITECTURES, TrainConfig

IMAGE_SIDE = 28
FIRST_CHANNELS = 32
HIDDEN_UNITS = 512


class VAE(nn.Module):
    """A Gaussian encoder and a decoder.

    A subclass gives `encoder`, from images (N, 1, 28, 28) to features (N, feature_size), and `decoder`, from
    z (N, latent_dim) to what a sigmoid makes images of (N, 1, 28, 28).
    """

    encoder: nn.Module
    decoder: nn.Module

    def __init__(self, feature_size: int, latent_dim: int) -> None:
        super().__init__()
        self.mean = nn.Linear(feature_size, latent_dim)
        self.log_variance = nn.Linear(feature_size, latent_dim)

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the posterior of z, each (N, latent_dim)."""
        features = self.encoder(images)
        return self.mean(features), self.log_variance(features)

    def decode(self, z: Tensor) -> Tensor:
        """Images (N, 1, 28, 28) in [0, 1] for z (N, latent_dim)."""
        logits: Tensor = self.decoder(z)
        # in float32 also under autocast: in bfloat16 a confident sigmoid rounds to 1, and its gradient to 0
        return torch.sigmoid(logits.float())

    def forward(self, images: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstruct images from z = mean + deviation * noise, where noise is standard normal (N, latent_dim).

        Returns:
            Reconstruction (N, 1, 28, 28), mean and log variance (N, latent_dim).
        """
        mean, log_variance = self.encode(images)
        z = mean + torch.exp(0.5 * log_variance) * noise
        return self.decode(z), mean, log_variance


class Upsampling(nn.ConvTranspose2d):
    """A transposed convolution; by its defaults it doubles the sides, less one where `output_padding` is 0."""

    bias: nn.Parameter
    padding: tuple[int, ...]

    def __init__(
        self, channels: int, fewer: int, output_padding: int, kernel_size: int = 3, stride: int = 2, padding: int = 1
    ) -> None:
        super().__init__(channels, fewer, kernel_size, stride, padding, output_padding)

    def forward(self, features: Tensor, output_size: list[int] | None = None) -> Tensor:
        # the bias is added apart: with it inside, bfloat16 on CPUs takes three times as long
        without = functional.conv_transpose2d(
            features, self.weight, None, self.stride, self.padding, self.output_padding
        )
        return without + self.bias.to(without.dtype)[:, None, None]


class ConvVAE(VAE):
    """Strided convolutions, their channels doubling from 32, and transposed ones that mirror them."""

    def __init__(self, latent_dim: int, num_layers: int) -> None:
        channels = [1, *(FIRST_CHANNELS * 2**i for i in range(num_layers))]
        sides = [IMAGE_SIDE]
        for _ in range(num_layers):
            sides.append((sides[-1] + 1) // 2)
        feature_shape = (channels[-1], sides[-1], sides[-1])
        feature_size = channels[-1] * sides[-1] ** 2
        super().__init__(feature_size, latent_dim)

        down: list[nn.Module] = []
        for i in range(num_layers):
            down += [
                nn.Conv2d(channels[i], channels[i + 1], kernel_size=3, stride=2, padding=1),
                nn.LeakyReLU(inplace=True),
            ]
        self.encoder = nn.Sequential(*down, *self.on_features(channels[-1]), nn.Flatten())

        up: list[nn.Module] = []
        for i in reversed(range(num_layers)):
            # an even side is one more than stride 2 gives back: 14 -> 7 -> 13 without the padding of the output
            output_padding = 1 - sides[i] % 2
            up += [
                nn.LeakyReLU(inplace=True),
                Upsampling(channels[i + 1], channels[i], output_padding),
            ]
        self.decoder = nn.Sequential(nn.Linear(latent_dim, feature_size), nn.Unflatten(1, feature_shape), *up)

    def on_features(self, channels: int) -> list[nn.Module]:
        """Layers between the last convolution and the heads; a plain convolutional encoder has none."""
        return []


class SelfAttention(nn.Module):
    """Multi-head self-attention over the positions of a feature map (N, channels, H, W), added to it.

    In the precision of its parameters also under autocast, with which torch cannot differentiate attention in a stack.
    """

    def __init__(self, channels: int, heads: int = 4) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.attention = nn.MultiheadAttention(channels, heads, batch_first=True)

    def forward(self, features: Tensor) -> Tensor:
        positions = features.to(self.norm.weight.dtype).flatten(2).transpose(1, 2)
        with torch.autocast(features.device.type, enabled=False):
            normed = self.norm(positions)
            attended, _ = self.attention(normed, normed, normed, need_weights=False)
            attending: Tensor = (positions + attended).transpose(1, 2).reshape_as(features)
        return attending


class AttentionVAE(ConvVAE):
    """ConvVAE with self-attention over the positions of the encoder's last feature map."""

    def on_features(self, channels: int) -> list[nn.Module]:
        return [SelfAttention(channels)]


class FullyConnectedVAE(VAE):
    """Hidden layers of 512 units on either side."""

    def __init__(self, latent_dim: int, num_layers: int) -> None:
        super().__init__(HIDDEN_UNITS, latent_dim)
        pixels = IMAGE_SIDE**2
        encoder: list[nn.Module] = [nn.Flatten()]
        decoder: list[nn.Module] = []
        for i in range(num_layers):
            encoder += [nn.Linear(HIDDEN_UNITS if i else pixels, HIDDEN_UNITS), nn.LeakyReLU(inplace=True)]
            decoder += [nn.Linear(HIDDEN_UNITS if i else latent_dim, HIDDEN_UNITS), nn.LeakyReLU(inplace=True)]
        self.encoder = nn.Sequential(*encoder)
        self.decoder = nn.Sequential(
            *decoder, nn.Linear(HIDDEN_UNITS, pixels), nn.Unflatten(1, (1, IMAGE_SIDE, IMAGE_SIDE))
        )


def build(config: TrainConfig) -> VAE:
    """The untrained model of a config; its weights are drawn from torch's global generator."""
    architecture: type[VAE] = pkgutil.resolve_name(ARCHITECTURES[config.architecture].target)
    model: VAE = architecture(latent_dim=config.latent_dim, num_layers=config.num_layers)  # type: ignore[call-arg]
    return model


def save(model: VAE, config: TrainConfig, folder: Path) -> None:
    """Write weights and config so that `load(folder)` gives the model back."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), folder / "weights.pt")
    (folder / "config.json").write_text(json.dumps(asdict(config), indent=2) + "\n")


def load(folder: str | Path) -> VAE:
    """The trained model that `save` wrote into a folder, on the CPU, in evaluation mode."""
    config = TrainConfig(**json.loads((Path(folder) / "config.json").read_text()))
    model = build(config)
    model.load_state_dict(torch.load(Path(folder) / "weights.pt", map_location="cpu", weights_only=True))
    return model.eval()


def autocast(precision: str, device: torch.device, cached: bool = True) -> torch.autocast:
    """The context in which the network computes; the loss and the optimizer stay in float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16", cache_enabled=cached)
