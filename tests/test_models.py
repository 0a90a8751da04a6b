import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from skimage.metrics import structural_similarity

from models.config import ARCHITECTURES, TrainConfig
from models.loss import negative_elbo
from models.metrics import diagnose, mse, ssim
from models.vae import ConvVAE, build, load, save

LAYERS = [(name, n) for name, a in ARCHITECTURES.items() for n in range(1, a.max_layers + 1)]


@pytest.mark.parametrize(("architecture", "num_layers"), LAYERS)
def test_every_architecture_gives_28x28_images_between_0_and_1(architecture: str, num_layers: int) -> None:
    model = build(TrainConfig(architecture=architecture, num_layers=num_layers, latent_dim=7))
    images = torch.rand(3, 1, 28, 28)
    reconstruction, mean, log_variance = model(images, torch.randn(3, 7))
    assert reconstruction.shape == images.shape
    assert mean.shape == log_variance.shape == (3, 7)
    assert 0 <= reconstruction.min() <= reconstruction.max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize(("architecture", "num_layers"), LAYERS)
def test_every_weight_gets_a_gradient(architecture: str, num_layers: int) -> None:
    model = build(TrainConfig(architecture=architecture, num_layers=num_layers))
    images = torch.rand(2, 1, 28, 28)
    negative_elbo(images, *model(images, torch.randn(2, 20)), 0.25).loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters() if p.dim() > 1)


def test_channels_double_from_32_as_in_the_report() -> None:
    model = ConvVAE(latent_dim=20, num_layers=3)
    down = [m.out_channels for m in model.encoder if isinstance(m, torch.nn.Conv2d)]
    up = [m.out_channels for m in model.decoder if isinstance(m, torch.nn.ConvTranspose2d)]
    assert (down, up) == ([32, 64, 128], [64, 32, 1])


def test_attention_looks_across_positions_and_a_convolution_does_not_reach_so_far() -> None:
    torch.manual_seed(0)

    def moved(architecture: str) -> float:
        model = build(TrainConfig(architecture=architecture, num_layers=2))
        encoder = model.encoder[:-1]
        images = torch.rand(1, 1, 28, 28)
        changed = images.clone()
        changed[..., 0, 0] += 1
        return (encoder(changed) - encoder(images))[..., -1, -1].abs().max().item()

    assert moved("conv") == 0
    assert moved("attention") > 0


def test_the_loss_is_that_of_a_plain_float64_reference() -> None:
    generator = torch.Generator().manual_seed(0)
    images, reconstruction = (torch.rand(5, 1, 28, 28, generator=generator) for _ in range(2))
    mean, log_variance = (torch.randn(5, 4, generator=generator) for _ in range(2))
    loss = negative_elbo(images, reconstruction, mean, log_variance, var=0.22)

    recon = kl = 0.0
    for i in range(5):
        for x, y in zip(images[i].flatten().tolist(), reconstruction[i].flatten().tolist(), strict=True):
            recon += (x - y) ** 2 / (2 * 0.22) / 5
        for m, v in zip(mean[i].tolist(), log_variance[i].tolist(), strict=True):
            kl += (m * m + math.exp(v) - 1 - v) / 2 / 5
    assert loss.recon.item() == pytest.approx(recon, rel=1e-5)
    assert loss.kl.item() == pytest.approx(kl, rel=1e-5)
    assert loss.loss.item() == pytest.approx(recon + kl, rel=1e-5)


def test_the_reports_own_figures_agree_with_this_loss() -> None:
    # MSE 0.01335 at var 0.25 is a reconstruction term of 20.9 nats
    images = torch.zeros(2, 1, 28, 28)
    off = torch.full_like(images, math.sqrt(0.013352158863545396))
    zeros = torch.zeros(2, 20)
    assert negative_elbo(images, off, zeros, zeros, 0.25).recon.item() == pytest.approx(20.94, abs=0.01)


def test_ssim_of_the_mosaic_is_the_mean_over_single_images_exactly() -> None:
    rng = np.random.default_rng(0)
    images = rng.random((250, 28, 28), dtype=np.float32)
    noisy = np.clip(images + 0.1 * rng.standard_normal(images.shape, dtype=np.float32), 0, 1)
    single = [structural_similarity(a, b, data_range=1.0) for a, b in zip(images, noisy, strict=True)]
    assert ssim(images, noisy) == pytest.approx(np.mean(single), abs=1e-7)
    assert ssim(images, noisy, threads=2) == ssim(images, noisy)
    assert ssim(images, images) == pytest.approx(1.0)


def test_mse_is_per_pixel() -> None:
    a = np.zeros((2, 28, 28), np.float32)
    assert mse(a, a + 0.5) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("kl", "error", "brightest", "says"),
    [
        (0.001, 0.06, 0.6, "posterior collapse"),
        (9.0, 0.168, 1.0, "no better than the mean image"),
        (0.001, 0.112, 0.001, "dead decoder"),
        (9.0, 0.01, 1.0, None),
    ],
)
def test_a_model_that_learned_nothing_is_diagnosed(kl: float, error: float, brightest: float, says: str | None) -> None:
    diagnosis = diagnose(kl, error, 0.067, brightest)
    assert diagnosis is None if says is None else diagnosis is not None and says in diagnosis


def test_a_saved_model_is_the_same_model(tmp_path: Path) -> None:
    config = TrainConfig(architecture="attention", num_layers=2, latent_dim=5)
    model = build(config).eval()
    save(model, config, tmp_path / "model")
    z = torch.randn(4, 5)
    assert torch.equal(load(tmp_path / "model").decode(z), model.decode(z))


@pytest.mark.parametrize(
    "wrong",
    [
        {"var": 0},
        {"var": math.nan},
        {"lr": -1},
        {"dataset": "x"},
        {"num_layers": 5},
        {"seed": -1},
        {"precision": "fp8"},
    ],
)
def test_a_config_out_of_range_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TrainConfig(**wrong)  # type: ignore[arg-type]


def test_the_defaults_are_the_reports_setting() -> None:
    c = TrainConfig()
    assert (c.dataset, c.architecture, c.num_layers, c.latent_dim) == ("mnist", "conv", 3, 20)
    assert (c.var, c.batch_size, c.lr, c.epochs, c.seed, c.precision) == (0.25, 1024, 5e-3, 50, 0, "fp32")


def test_weights_depend_on_the_seed_alone() -> None:
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return torch.cat([p.flatten() for p in build(TrainConfig()).parameters()])

    for a, b in itertools.combinations_with_replacement((0, 1), 2):
        assert torch.equal(weights(a), weights(b)) == (a == b)
