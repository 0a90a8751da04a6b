"""The loop that most trainings here share, and the images that several of them learn."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import torch
from labelling import Recording, of_the_last
from sklearn.datasets import load_digits
from torch import Tensor, nn

Batch = tuple[Tensor, ...]
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "momentum": lambda weights, lr: torch.optim.SGD(weights, lr, momentum=0.9),
    "heavy": lambda weights, lr: torch.optim.SGD(weights, lr, momentum=0.99),
    "adam": torch.optim.Adam,
    "rmsprop": torch.optim.RMSprop,
}


@dataclass(frozen=True)
class Digits:
    """scikit-learn's digits: images (N, 64) in [0, 1], and what they are."""

    images: Tensor
    labels: Tensor
    test_images: Tensor
    test_labels: Tensor


@cache
def digits() -> Digits:
    data = load_digits()
    order = torch.randperm(len(data.target), generator=torch.Generator().manual_seed(0))
    images = torch.tensor(data.data, dtype=torch.float32)[order] / 16
    labels = torch.tensor(data.target)[order]
    return Digits(images[:1400], labels[:1400], images[1400:], labels[1400:])


def mlp(*widths: int) -> nn.Sequential:
    layers = [layer for i, o in pairwise(widths) for layer in (nn.Linear(i, o), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def shuffled(tensors: Batch, size: int, seed: int) -> Callable[[int], Iterator[Batch]]:
    """Batches of an epoch, in an order of its own."""

    def batches(epoch: int) -> Iterator[Batch]:
        order = torch.randperm(len(tensors[0]), generator=torch.Generator().manual_seed(1000 * seed + epoch))
        for rows in order.split(size):
            if len(rows) == size:
                yield tuple(tensor[rows] for tensor in tensors)

    return batches


def norm_of(model: nn.Module) -> float:
    return float(torch.nn.utils.get_total_norm([w.grad for w in model.parameters() if w.grad is not None]))


def fit(
    recording: Recording,
    model: nn.Module,
    loss: Callable[..., Tensor],
    batches: Callable[[int], Iterable[Batch]],
    quality: Callable[[], float],
    *,
    optimizer: str = "adam",
    lr: float = 1e-3,
    epochs: int = 20,
    schedule: Callable[[int, int], float] = lambda epoch, step: 1.0,
    validation: Callable[[], Tensor] | None = None,
    clip: float = math.inf,
    before: Callable[[int], Any] = lambda epoch: None,
) -> None:
    """Train as most people do.

    Args:
        recording: takes down all that happens.
        model: to train.
        loss: of a batch.
        batches: of an epoch, from 1 on.
        quality: of the model.
        optimizer: one of OPTIMIZERS.
        lr: the learning rate.
        epochs: how many.
        schedule: a factor of the learning rate, from the epoch and the step, from 1 on.
        validation: the loss on what is not learned.
        clip: the largest norm of a gradient.
        before: is called before each epoch.
    """
    steps = 0
    rule = OPTIMIZERS[optimizer](model.parameters(), lr=lr)
    recording.begin(measured(quality))
    for epoch in range(1, epochs + 1):
        before(epoch)
        for batch in batches(epoch):
            steps += 1
            for group in rule.param_groups:
                group["lr"] = lr * schedule(epoch, steps)
            value = loss(*batch)
            rule.zero_grad()
            value.backward()
            norm = norm_of(model)
            if norm > clip:
                torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
            rule.step()
            recording.step(float(value.detach()), norm)
        with torch.no_grad():
            others = {} if validation is None else {"val_loss": float(validation())}
        recording.epoch(measured(quality), **others)


def idle_end(train: Callable[[Recording], None]) -> float:
    """The loss of the untrained model as it is meant in the end: all is done as in training, but no step is made."""
    kinds = torch.optim.SGD, torch.optim.Adam, torch.optim.RMSprop
    steps = [kind.step for kind in kinds]
    recording = Recording("")
    try:
        for kind in kinds:
            kind.step = lambda rule, closure=None: None  # type: ignore[method-assign, assignment, misc]
        train(recording)
    finally:
        for kind, step in zip(kinds, steps, strict=True):
            kind.step = step  # type: ignore[method-assign, assignment, misc]
    return of_the_last(recording.losses)


def measured(quality: Callable[[], float]) -> float:
    with torch.no_grad():
        return float(quality())


def jump(at: int, factor: float) -> Callable[[int, int], float]:
    """A learning rate that is `factor` times as high from an epoch on."""
    return lambda epoch, step: factor if epoch >= at else 1.0
