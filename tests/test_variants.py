"""The trial function under examples/ that varies what the report leaves unsaid."""

import csv
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import variants

from models.config import TrainConfig
from models.data import data_root
from models.data import load as load_data
from models.train import learn
from models.vae import build
from orchestrator.comparison.boundary import curves_of
from orchestrator.spec import load
from orchestrator.trials.grid import expand
from orchestrator.trials.search_space import SearchSpace

EXAMPLES = Path(variants.__file__).parent

DIGITS: dict[str, Any] = {"dataset": "digits", "epochs": 1, "batch_size": 256, "lr": 2e-3}


def first_epoch(config: variants.Config, workdir: Path | None = None) -> dict[str, float]:
    epochs: Iterator[dict[str, float]] = variants.train(config, workdir)
    return next(epochs)


def test_the_variant_of_the_defaults_is_the_architecture_conv() -> None:
    models = []
    for made in (lambda: build(TrainConfig()), lambda: variants.VariantVAE(variants.Config())):
        torch.manual_seed(0)
        models.append(made())
    images, noise = torch.rand(8, 1, 28, 28), torch.randn(8, 20)
    for ours, theirs in zip(*(model(images, noise) for model in models), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_another_architecture_is_the_models_own_and_has_no_choices_of_convolutions() -> None:
    config = variants.Config(**DIGITS, architecture="fc", clip=1.0)
    training = variants.VariantTraining(config, None, None, load_data("digits", data_root()))
    torch.manual_seed(config.seed)
    for ours, theirs in zip(training.model.parameters(), build(config).parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    with pytest.raises(ValueError, match="hidden, clamp: for the architecture conv, not for fc"):
        variants.Config(architecture="fc", hidden=32, clamp=5.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "choices",
    [
        {"kernel": 4, "num_layers": 4, "norm": "batch", "head": "softplus", "init": "kaiming"},
        {"kernel": 5, "innermost_stride": 1, "hidden": 32, "head": "log_deviation", "clamp": 5.0, "init": "small"},
    ],
    ids=str,
)
def test_a_variant_trains_on_the_digits_and_writes_its_steps(choices: dict[str, Any], tmp_path: Path) -> None:
    metrics = first_epoch(variants.Config(**DIGITS, **choices, images=512), tmp_path)
    with (tmp_path / "artifacts" / "steps.csv").open() as file:
        steps = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    assert [row["step"] for row in steps] == [1, 2]
    for row in steps:
        assert row["loss"] == pytest.approx(row["recon"] + row["kl"], rel=1e-4)
        parts = [row[f"grad_{part}"] for part in variants.PARTS]
        assert math.hypot(*parts) == pytest.approx(row["grad_norm"], rel=1e-4)
    assert math.isfinite(metrics["val_loss"])


@pytest.mark.slow
def test_a_variant_that_was_cut_off_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    config = variants.Config(**DIGITS | {"epochs": 3}, hidden=32)
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    *losses, last = list(variants.train(config, whole))
    assert len(losses) == 2
    cut = variants.train(config, resumed)
    next(cut)
    cut.close()
    steps = resumed / "artifacts" / "steps.csv"
    steps.write_text(steps.read_text() + "7,1,1,1,1,1,1,1,1,1,1,1,1\n")  # of the epoch that was cut off
    again = list(variants.train(config, resumed))
    assert [metrics["epoch"] for metrics in again] == [2, 3]
    assert {**again[-1], "images_per_second": 0} == {**last, "images_per_second": 0}
    assert steps.read_text() == (whole / "artifacts" / "steps.csv").read_text()


@pytest.mark.parametrize(("slip", "largest"), [({"noise": "variance"}, 1.0), ({"output": "none"}, math.inf)], ids=str)
def test_a_slip_changes_what_is_reconstructed_and_nothing_else(slip: dict[str, Any], largest: float) -> None:
    given = []
    for choices in ({}, slip):
        torch.manual_seed(0)
        model = variants.VariantVAE(variants.Config(**choices))
        model.log_variance.bias.data.fill_(2.0)
        given.append(model(torch.rand(8, 1, 28, 28), torch.randn(8, 20, generator=torch.Generator().manual_seed(1))))
    (right, *code), (slipped, *same_code) = given
    torch.testing.assert_close(code, same_code)
    assert not torch.allclose(right, slipped)
    assert slipped.max() <= largest
    assert (slipped.min() < 0) == (largest > 1)


@pytest.mark.slow
def test_clipped_gradients_and_another_epsilon_change_what_is_learned() -> None:
    plain = variants.Config(**DIGITS, images=768)
    losses = [first_epoch(config)["val_loss"] for config in (plain, replace(plain, clip=1e-9), replace(plain, eps=1.0))]
    assert len({round(loss, 3) for loss in losses}) == 3


def test_gradients_that_have_vanished_are_clipped_too() -> None:
    data = load_data("digits", data_root())
    training = variants.VariantTraining(variants.Config(**DIGITS, clip=1.0), None, None, data)
    for weights in training.model.parameters():
        weights.grad = torch.zeros_like(weights)
    training.optimizer.step()
    assert all(weights.isfinite().all() for weights in training.model.parameters())


@pytest.mark.slow
def test_the_learning_rate_decays_after_every_so_many_epochs() -> None:
    data = load_data("digits", data_root())
    config = variants.Config(**DIGITS | {"epochs": 5, "lr": 1e-2}, decay=0.5, decay_every=2)
    training = variants.VariantTraining(config, None, None, data)
    rates = []
    for _ in range(5):
        learn(training, training.model, data.train[:64], training.begin_epoch())
        rates.append(training.optimizer.param_groups[0]["lr"])
        training.end_epoch()
    assert rates == [1e-2, 1e-2, 5e-3, 5e-3, 2.5e-3]


def test_its_sweep_of_starts_asks_for_every_variant_with_every_seed() -> None:
    assert len(expand(load(EXAMPLES / "start.yaml")).trials) == 7 * 6


def test_its_boundary_is_one_in_the_learning_rate() -> None:
    cliff = load(EXAMPLES / "cliff.yaml")
    assert cliff.method.finds_boundary
    assert len(curves_of(SearchSpace(cliff))) == 6


def test_its_decaying_learning_rates_are_held_against_the_report() -> None:
    decay = load(EXAMPLES / "decay.yaml")
    assert len(expand(decay).trials) == 2 * 3
    assert decay.reference is not None
    assert len(decay.reference.rows) == 2
