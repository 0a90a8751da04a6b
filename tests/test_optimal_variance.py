"""The trial function under examples/ whose decoder has the variance of its error."""

import math
from itertools import islice
from pathlib import Path
from typing import Any

import optimal_variance
import pytest
import torch

from models.data import data_root, load
from orchestrator.spec import load as load_sweep
from orchestrator.trials.grid import expand

EXAMPLES = Path(optimal_variance.__file__).parent
DIGITS: dict[str, Any] = {"dataset": "digits", "batch_size": 256, "lr": 2e-3, "epochs": 2}


@pytest.mark.slow
def test_it_trains_goes_on_where_it_was_cut_off_and_tells_the_variance_that_its_likelihood_has(tmp_path: Path) -> None:
    config = optimal_variance.Config(**DIGITS)
    whole = list(islice(optimal_variance.train(config), 2))
    told = []
    for _ in range(2):
        cut_off = optimal_variance.train(config, tmp_path)
        told.append(next(cut_off))
        cut_off.close()
    clock = "images_per_second"
    assert [{**epoch, clock: 0} for epoch in told] == [{**epoch, clock: 0} for epoch in whole]
    for epoch in whole:
        var, pixels = epoch["decoder_var"], 784
        likelihood = pixels / 2 * (epoch["val_mse"] / var + math.log(2 * math.pi * var))
        assert epoch["val_nll"] == pytest.approx(likelihood + epoch["val_kl"])
        assert epoch["train_recon"] == pytest.approx(pixels / 2, rel=1e-4)
    assert whole[1]["decoder_var"] < whole[0]["decoder_var"]


def test_its_gradient_is_that_of_the_likelihood_at_the_best_variance() -> None:
    data = load("digits", data_root())
    training = optimal_variance.CalibratedTraining(optimal_variance.Config(**DIGITS), None, None, data)
    training.begin_epoch()
    images, nothing = torch.rand(4, 1, 28, 28), torch.zeros(4, 20)
    gradients = []
    for loss in (
        lambda made: training.loss(images, made, nothing, nothing).loss,
        lambda made: 784 / 2 * (images - made).square().mean().log(),
    ):
        made = torch.full_like(images, 0.3, requires_grad=True)
        loss(made).backward()
        gradients.append(made.grad)
    torch.testing.assert_close(*gradients)


def test_the_files_ask_for_what_they_say_and_var_is_not_to_be_given() -> None:
    assert len(expand(load_sweep(EXAMPLES / "optimal_variance.yaml")).trials) == 1
    fixed = expand(load_sweep(EXAMPLES / "fixed_var.yaml")).trials
    assert [trial.params["var"] for trial in fixed] == [0.009, 0.035, 0.25]
    with pytest.raises(ValueError, match="leave it out"):
        optimal_variance.Config(var=0.1)
