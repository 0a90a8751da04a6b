"""The linear VAE under examples/, and the boundary that theory gives it."""

import math
from collections.abc import Generator
from pathlib import Path

import linear_vae
import pytest
import torch

from models.data import pixels
from orchestrator.spec import load as load_sweep


def end(training: Generator[dict[str, float], None, dict[str, float | str]]) -> tuple[float, dict[str, float | str]]:
    """The divergence of the last epoch, in nats, and what the training returns."""
    kl = math.nan
    while True:
        try:
            kl = next(training)["kl"]
        except StopIteration as stopped:
            return kl, stopped.value


def test_its_bound_from_the_covariance_is_the_mean_over_images_and_codes() -> None:
    randomness = torch.Generator().manual_seed(0)
    images = torch.randint(256, (500, 1, 3, 3), generator=randomness, dtype=torch.uint8)
    encoder, decoder = torch.randn(2, 9, 2, generator=randomness)
    log_variance = torch.tensor([-1.0, 0.5])
    error, kl = linear_vae.terms(linear_vae.covariance(images), encoder, decoder, log_variance)
    centred = pixels(images).flatten(1) - pixels(images).flatten(1).mean(0)
    means = centred @ encoder
    codes = means + (log_variance / 2).exp() * torch.randn(400, *means.shape, generator=randomness)
    sampled = (centred - codes @ decoder.T).square().sum(-1).mean()
    assert error.item() == pytest.approx(sampled.item(), rel=0.02)
    divergence = torch.distributions.kl_divergence(
        torch.distributions.Normal(means, (log_variance / 2).exp()), torch.distributions.Normal(0, 1)
    )
    torch.testing.assert_close(kl, divergence.mean(0))


@pytest.mark.slow
@pytest.mark.parametrize(("var", "collapses"), [(4.5, False), (5.5, True)])
def test_its_posterior_collapses_above_the_largest_eigenvalue_and_is_the_theorys_below(
    var: float, collapses: bool
) -> None:
    kl, result = end(linear_vae.train(linear_vae.Config(var=var)))
    assert str(result.get("diagnosis", "")).startswith("posterior collapse") == collapses
    assert kl == pytest.approx(max(0.0, math.log(5.12 / var) / 2), abs=0.01)


def test_its_file_asks_for_the_boundary_of_that_diagnosis() -> None:
    spec = load_sweep(Path(linear_vae.__file__).parent / "linear_vae.yaml")
    assert spec.event.diagnosis == "posterior collapse"
