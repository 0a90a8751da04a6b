"""The model that trains fast is the function, gradient included, that a plain reference in float64 computes."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as f

from models.config import ARCHITECTURES, TrainConfig
from models.loss import negative_elbo
from models.vae import build

VAR = 0.22
Weights = dict[str, Tensor]


def convolved(x: Tensor, w: Weights, layers: int) -> tuple[Tensor, list[int]]:
    sides = [28]
    for i in range(layers):
        x = f.leaky_relu(f.conv2d(x, w[f"encoder.{2 * i}.weight"], w[f"encoder.{2 * i}.bias"], stride=2, padding=1))
        sides.append(x.shape[-1])
    return x, sides


def attended(x: Tensor, w: Weights, layers: int, heads: int = 4) -> Tensor:
    name = f"encoder.{2 * layers}"
    positions = x.flatten(2).transpose(1, 2)
    n, length, channels = positions.shape
    normed = f.layer_norm(positions, (channels,), w[f"{name}.norm.weight"], w[f"{name}.norm.bias"])
    projected = f.linear(normed, w[f"{name}.attention.in_proj_weight"], w[f"{name}.attention.in_proj_bias"])
    query, key, value = (p.unflatten(2, (heads, -1)).transpose(1, 2) for p in projected.chunk(3, dim=2))
    weights = (query @ key.transpose(2, 3) / (channels / heads) ** 0.5).softmax(3)
    mixed = (weights @ value).transpose(1, 2).reshape(n, length, channels)
    out = f.linear(mixed, w[f"{name}.attention.out_proj.weight"], w[f"{name}.attention.out_proj.bias"])
    return (positions + out).transpose(1, 2).reshape_as(x)


def upsampled(z: Tensor, w: Weights, sides: list[int]) -> Tensor:
    x = f.linear(z, w["decoder.0.weight"], w["decoder.0.bias"]).unflatten(1, (-1, sides[-1], sides[-1]))
    for i, side in enumerate(reversed(sides[:-1])):
        name = f"decoder.{3 + 2 * i}"
        x = f.conv_transpose2d(
            f.leaky_relu(x), w[f"{name}.weight"], w[f"{name}.bias"], stride=2, padding=1, output_padding=1 - side % 2
        )
    return x


def connected(x: Tensor, w: Weights, part: str, first: int, layers: int) -> Tensor:
    for i in range(layers):
        x = f.leaky_relu(f.linear(x, w[f"{part}.{first + 2 * i}.weight"], w[f"{part}.{first + 2 * i}.bias"]))
    return x


def reference(config: TrainConfig, w: Weights, images: Tensor, noise: Tensor) -> Tensor:
    layers = config.num_layers
    if config.architecture == "fc":
        features = connected(images.flatten(1), w, "encoder", 1, layers)
    else:
        features, sides = convolved(images, w, layers)
        features = (attended(features, w, layers) if config.architecture == "attention" else features).flatten(1)
    mean = f.linear(features, w["mean.weight"], w["mean.bias"])
    log_variance = f.linear(features, w["log_variance.weight"], w["log_variance.bias"])
    z = mean + (log_variance / 2).exp() * noise
    if config.architecture == "fc":
        hidden = connected(z, w, "decoder", 0, layers)
        logits = f.linear(hidden, w[f"decoder.{2 * layers}.weight"], w[f"decoder.{2 * layers}.bias"])
    else:
        logits = upsampled(z, w, sides).flatten(1)
    error = (images.flatten(1) - 1 / (1 + (-logits).exp())).pow(2).sum(1) / (2 * VAR)
    return (error + (mean**2 + log_variance.exp() - 1 - log_variance).sum(1) / 2).mean()


@pytest.mark.parametrize(
    ("architecture", "num_layers"), [(name, n) for name, a in ARCHITECTURES.items() for n in range(1, a.max_layers + 1)]
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 2e-4)])
def test_the_fast_model_is_that_of_a_plain_float64_reference(
    architecture: str, num_layers: int, dtype: torch.dtype, tolerance: float
) -> None:
    torch.manual_seed(0)
    config = TrainConfig(architecture=architecture, num_layers=num_layers, latent_dim=5)
    images, noise = torch.rand(7, 1, 28, 28), torch.randn(7, 5)
    model = build(config).to(dtype=dtype, memory_format=torch.channels_last)
    weights = {name: w.detach().double().requires_grad_() for name, w in model.named_parameters()}

    expected = reference(config, weights, images.double(), noise.double())
    expected.backward()
    if dtype == torch.float64:
        model.decode = lambda z: torch.sigmoid(model.decoder(z))  # type: ignore[method-assign]  # its own is float32's
    loss = negative_elbo(images.to(dtype), *model(images.to(dtype), noise.to(dtype)), VAR).loss
    loss.backward()

    assert loss.item() == pytest.approx(expected.item(), rel=tolerance)
    for name, parameter in model.named_parameters():
        gradient, wanted = parameter.grad, weights[name].grad
        assert gradient is not None
        assert wanted is not None
        assert (gradient - wanted).norm() <= tolerance * wanted.norm(), name
