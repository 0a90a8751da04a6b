"""Recorded passes, on a machine without a GPU: what is recorded, and when it is replayed."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from test_train import drained
from torch import Tensor, nn

from models import graphs
from models.config import TrainConfig
from models.data import data_root, load
from models.train import train

CONFIG = TrainConfig(dataset="digits", architecture="fc", num_layers=1, latent_dim=4, batch_size=500, epochs=2, lr=2e-3)


@pytest.fixture(autouse=True)
def as_if_the_cpu_had_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "DEVICES", {"cpu"})


@pytest.fixture
def plain() -> list[dict[str, float]]:
    """The epochs of a training without graphs."""
    with pytest.MonkeyPatch.context() as context:
        context.setattr(graphs, "DEVICES", set())
        return numbers()


def numbers() -> list[dict[str, float]]:
    return [{k: v for k, v in epoch.items() if k != "images_per_second"} for epoch in drained(train(CONFIG))[0]]


def test_whole_batches_are_replayed_and_the_smaller_last_one_is_not(
    monkeypatch: pytest.MonkeyPatch, plain: list[dict[str, float]]
) -> None:
    replayed: list[int] = []

    def record(module: nn.Module, examples: tuple[Tensor, ...]) -> Callable[..., Any]:
        assert [tuple(example.shape) for example in examples] == [(500, 1, 28, 28), (500, 4)]
        assert module.training

        def replay(images: Tensor, noise: Tensor) -> Any:
            replayed.append(len(images))
            return module(images, noise)

        return replay

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", record)
    whole = len(load("digits", data_root()).train) // 500
    assert numbers() == plain
    assert replayed == [500] * whole * CONFIG.epochs


@pytest.mark.filterwarnings("default")
def test_where_nothing_can_be_recorded_training_says_so_and_goes_on(plain: list[dict[str, float]]) -> None:
    with pytest.warns(UserWarning, match="without CUDA graphs"):
        assert numbers() == plain
