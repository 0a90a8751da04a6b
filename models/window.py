"""The last steps of a training, and which quantity diverged first in them.

A quantity has *diverged* at a step in which it is not finite, or its magnitude is more than TIMES its *usual* value:
the median of its earlier steps in the window at which it had not diverged. The usual value is at least 1 for the
posterior's mean and log variance, whose prior has unit variance, and at least SHARE of the usual total for a term of
the loss and for the gradient of a layer, since growth from almost nothing is not a cause. The divergence begins with
the first of the steps at the window's end in each of which some quantity has diverged. Quantities are ordered by the
step at which they diverge; within a step by the order in which they are computed, and then by how far they diverge.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor

from models.config import TrainConfig
from models.random import shuffled
from models.readings import MEASURES

TIMES, SHARE = 10.0, 0.1
COMPUTED = ({"mean", "log_variance"}, {"recon", "kl"}, {"loss"})  # in this order; then come the gradients

Series = Sequence[float]


class DivergedQuantity(NamedTuple):
    """A quantity that has diverged: at which step, its value there, and its usual value, if there is any."""

    quantity: str
    step: int
    value: float
    usual: float | None

    @property
    def times(self) -> float:
        """How many times the usual value."""
        return _times(self.value, self.usual)

    def as_json(self) -> dict[str, Any]:
        """Fields by name; a value that is not finite as a string."""
        return self._asdict() | {"value": _plain([self.value])[0]}


@dataclass(frozen=True)
class Window:
    """The last steps of a training: what was measured, and which images were learned."""

    config: TrainConfig
    steps: Sequence[int]
    epochs: Sequence[int]
    measures: Mapping[str, Series]  # by MEASURES
    layers: Mapping[str, Series]  # norms of the gradients, by layer
    images: Sequence[Sequence[int]]  # indices into the training images

    @classmethod
    def of(
        cls, config: TrainConfig, images: int, step: int, rows: Sequence[Tensor], weights: Sequence[str]
    ) -> "Window":
        """The window that ends with a step.

        Args:
            config: of the training.
            images: how many it learns.
            step: the last step.
            rows: of each step, as `models.readings.measured` gives them.
            weights: names of the parameters, in the order of their gradients.
        """
        columns = torch.stack([*rows]).double().T
        measures = {name: columns[i].tolist() for i, name in enumerate(MEASURES)}
        squares: dict[str, Tensor] = {}
        for name, norms in zip(weights, columns[len(MEASURES) :], strict=True):
            layer = name.rpartition(".")[0] or name
            squares[layer] = squares.get(layer, 0) + norms.square()
        steps = range(step - len(rows) + 1, step + 1)
        by_epoch = -(-images // config.batch_size)
        epochs = [(number - 1) // by_epoch + 1 for number in steps]
        batches = {epoch: shuffled(images, config.seed, epoch).split(config.batch_size) for epoch in set(epochs)}
        learned = [
            batches[epoch][(number - 1) % by_epoch].tolist() for number, epoch in zip(steps, epochs, strict=True)
        ]
        layers = {layer: total.sqrt().tolist() for layer, total in squares.items()}
        return cls(config, steps, epochs, measures, layers, learned)

    def ranges(self, quantity: str) -> tuple[Series, Series]:
        """The least and the most, by step, of `mean` or `log_variance`."""
        return self.measures[f"{quantity}_min"], self.measures[f"{quantity}_max"]

    def diverged(self) -> list[DivergedQuantity]:
        """The quantities that have diverged, in their order; empty where none has at the last step."""
        whole = {name: self.measures[name] for name in ("loss", "grad_norm")}
        usual = {name: _usual(series, [0.0] * len(series)) for name, series in whole.items()}
        ones = [1.0] * len(self.steps)
        found: dict[str, tuple[Series, Series]] = {name: (whole[name], usual[name]) for name in whole}
        for name in ("mean", "log_variance"):
            extremes = [max(pair, key=_size) for pair in zip(*self.ranges(name), strict=True)]
            found[name] = extremes, _usual(extremes, ones)
        parts = [(name, self.measures[name], usual["loss"]) for name in ("recon", "kl")]
        parts += [(f"gradient of {layer}", norms, usual["grad_norm"]) for layer, norms in self.layers.items()]
        for name, series, of_whole in parts:
            found[name] = series, _usual(series, [SHARE * value for value in of_whole])

        is_out = {name: [_has_diverged(*pair) for pair in zip(*both, strict=True)] for name, both in found.items()}
        begin = len(self.steps)
        while begin > 0 and any(of_steps[begin - 1] for of_steps in is_out.values()):
            begin -= 1
        ranked = []
        for name, of_steps in is_out.items():
            at = next((i for i in range(begin, len(of_steps)) if of_steps[i]), None)
            if at is not None:
                value, was = found[name][0][at], found[name][1][at]
                rank = at, _place(name), -_times(value, was)
                ranked.append(
                    (rank, DivergedQuantity(name, self.steps[at], value, was if math.isfinite(was) else None))
                )
        return [quantity for _, quantity in sorted(ranked)]

    def as_json(self) -> dict[str, Any]:
        """Columns by name, a value for each step; values that are not finite as strings."""
        return {
            "lr": self.config.lr,
            "steps": list(self.steps),
            "epochs": list(self.epochs),
            **{name: _plain(series) for name, series in self.measures.items()},
            "grad_norm_by_layer": {layer: _plain(series) for layer, series in self.layers.items()},
            "images": self.images,
        }


def _usual(series: Series, least: Series) -> Series:
    """At each step the median magnitude of the earlier steps that had not diverged, at least `least`; else infinite."""
    steady: list[float] = []
    usual: list[float] = []
    for value, floor in zip(series, least, strict=True):
        known = max(median(steady), floor) if steady else floor or math.inf
        usual.append(known)
        if not _has_diverged(value, known):
            steady.append(_size(value))
    return usual


def _has_diverged(value: float, usual: float) -> bool:
    return not math.isfinite(value) or _size(value) > TIMES * usual


def _times(value: float, usual: float | None) -> float:
    return _size(value) / usual if usual and math.isfinite(value) else math.inf


def _size(value: float) -> float:
    """Magnitude; that of NaN is infinite."""
    return math.inf if math.isnan(value) else abs(value)


def _place(quantity: str) -> int:
    """The place of a quantity in the order of computation."""
    return next((i for i, names in enumerate(COMPUTED) if quantity in names), len(COMPUTED))


def _plain(series: Series) -> list[float | str]:
    """Numbers for JSON; values that are not finite as strings."""
    return [value if math.isfinite(value) else str(value) for value in series]
