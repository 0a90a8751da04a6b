"""The post-mortem of an explosion: what its last steps were like, and which quantity went first.

A quantity *goes* at a step in which it is not finite, or its magnitude is more than TIMES what is *usual*: the median
of its earlier steps in the window that had not gone. Usual is at least 1 for the posterior's mean and log variance,
whose prior has unit variance, and at least SHARE of the whole's for a term of the loss and for the gradient of a layer:
what grows from nothing is no cause. What went first went at the first of those steps at the window's end in each of
which something had gone; of what went in the same step, it is what is computed first, and among equals what went
farthest.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor

from models import figures
from models.config import TrainConfig
from models.random import shuffled
from models.readings import MEASURES

TIMES, SHARE = 10.0, 0.1
NAMES = {
    "mean": "the mean of the posterior",
    "log_variance": "the log variance of the posterior",
    "recon": "the reconstruction term",
    "kl": "the KL divergence",
    "loss": "the loss",
    "grad_norm": "the gradient norm",
}
COMPUTED = ({"mean", "log_variance"}, {"recon", "kl"}, {"loss"})  # in this order; then come the gradients
RULE = (
    f"A quantity has gone where it is not finite, or more than {TIMES:g} times what is usual: the median of its "
    "earlier steps here. Usual is at least 1 for mean and log variance, and at least "
    f"{SHARE:.0%} of the whole's for a term of the loss or the gradient of a layer."
)

Series = Sequence[float]


class Gone(NamedTuple):
    """A quantity that has left its range: at which step, its value there, and what had been usual, if anything."""

    quantity: str
    step: int
    value: float
    usual: float | None


@dataclass(frozen=True)
class Window:
    """The last steps of a training: what each measured, and which images it learned."""

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
            step: the last one.
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
        epochs = [(one - 1) // by_epoch + 1 for one in steps]
        batches = {epoch: shuffled(images, config.seed, epoch).split(config.batch_size) for epoch in set(epochs)}
        learned = [batches[epoch][(one - 1) % by_epoch].tolist() for one, epoch in zip(steps, epochs, strict=True)]
        layers = {layer: total.sqrt().tolist() for layer, total in squares.items()}
        return cls(config, steps, epochs, measures, layers, learned)

    def ranges(self, quantity: str) -> tuple[Series, Series]:
        """The least and the most, by step, of `mean` or `log_variance`."""
        return self.measures[f"{quantity}_min"], self.measures[f"{quantity}_max"]

    def gone(self) -> list[Gone]:
        """What went, each quantity once, in its order; empty where nothing has gone by the end."""
        whole = {name: self.measures[name] for name in ("loss", "grad_norm")}
        usual = {name: _usual(series, [0.0] * len(series)) for name, series in whole.items()}
        one = [1.0] * len(self.steps)
        found: dict[str, tuple[Series, Series]] = {name: (whole[name], usual[name]) for name in whole}
        for name in ("mean", "log_variance"):
            extremes = [max(pair, key=_size) for pair in zip(*self.ranges(name), strict=True)]
            found[name] = extremes, _usual(extremes, one)
        parts = [(name, self.measures[name], usual["loss"]) for name in ("recon", "kl")]
        parts += [(f"gradient of {layer}", norms, usual["grad_norm"]) for layer, norms in self.layers.items()]
        for name, series, of_whole in parts:
            found[name] = series, _usual(series, [SHARE * value for value in of_whole])

        has_gone = {name: [_has_gone(*pair) for pair in zip(*both, strict=True)] for name, both in found.items()}
        begin = len(self.steps)
        while begin > 0 and any(of_steps[begin - 1] for of_steps in has_gone.values()):
            begin -= 1
        went = []
        for name, of_steps in has_gone.items():
            at = next((i for i in range(begin, len(of_steps)) if of_steps[i]), None)
            if at is not None:
                value, was = found[name][0][at], found[name][1][at]
                rank = at, _place(name), -_times(value, was)
                went.append((rank, Gone(name, self.steps[at], value, was if math.isfinite(was) else None)))
        return [gone for _, gone in sorted(went)]

    def as_json(self) -> dict[str, Any]:
        """Columns by name, a value for each step; what is not finite as a string."""
        return {
            "lr": self.config.lr,
            "steps": list(self.steps),
            "epochs": list(self.epochs),
            **{name: _plain(series) for name, series in self.measures.items()},
            "grad_norm_by_layer": {layer: _plain(series) for layer, series in self.layers.items()},
            "images": self.images,
        }


def leave(window: Window, reason: str, step: int, folder: Path) -> None:
    """Write the post-mortem into a folder: explosion.json, explosion.md and explosion.png.

    Args:
        window: ending where the explosion was seen.
        reason: of the explosion, in words.
        step: from which on it is one.
        folder: made where it is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    gone = window.gone()
    told = {"reason": reason, "step": step, "gone": [one._asdict() | {"value": _plain([one.value])[0]} for one in gone]}
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in {**told, **window.as_json()}.items()]
    (folder / "explosion.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    (folder / "explosion.md").write_text(paragraph(window, gone, reason))
    figures.explosion(window, gone, step, folder / "explosion.png")


def paragraph(window: Window, gone: Sequence[Gone], reason: str) -> str:
    """What happened, in Markdown."""
    first, last, config = window.steps[0], window.steps[-1], window.config
    loss = window.measures["loss"]
    seen = f"{reason[0].upper()}{reason[1:]}." if reason else ""
    setting = f"The learning rate was {config.lr:g}, var {config.var:g}, seed {config.seed}."
    span = f"Looked at: steps {first} to {last}, in which the loss went from {_number(loss[0])} to {_number(loss[-1])}."
    if not gone:
        story = f"Nothing went beyond {TIMES:g} times what is usual by step {last}: what rose, rose slowly."
    else:
        epoch = window.epochs[gone[0].step - first]
        story = (
            f"**What went first: {said(gone[0].quantity)}, at step {gone[0].step} (epoch {epoch}).** {_how(gone[0])}"
        )
        story += "".join(f" {sentence}" for sentence in _afterwards(gone))
    return f"{story}\n\n{seen} {setting} {span}\n\n{RULE}\n"


def said(quantity: str) -> str:
    """A quantity, for people."""
    return NAMES.get(quantity, f"the {quantity}")


def _afterwards(gone: Sequence[Gone]) -> Iterable[str]:
    first = gone[0].step
    for step in dict.fromkeys(one.step for one in gone):
        named = [one for one in gone[1:] if one.step == step and one.quantity in NAMES]
        layers = [one for one in gone[1:] if one.step == step and one.quantity not in NAMES]
        told = [f"{said(one.quantity)} ({_number(one.value)})" for one in named]
        if len(layers) == 1:
            told.append(f"{said(layers[0].quantity)} ({_number(layers[0].value)})")
        elif layers:
            told.append(f"the gradients of {len(layers)} layers (most the {layers[0].quantity})")
        if told:
            when = "In the same step went" if step == first else f"At step {step} followed"
            yield f"{when} {', '.join(told)}."


def _how(one: Gone) -> str:
    if one.usual is None:
        return f"It was {_number(one.value)}; no step before it tells what is usual."
    times = _times(one.value, one.usual)
    told = f", {times:,.0f} times that" if math.isfinite(times) else ""
    return f"It was {_number(one.value)}, where {_number(one.usual)} had been usual{told}."


def _usual(series: Series, least: Series) -> Series:
    """At each step the median magnitude of the earlier ones that had not gone, at least so much; else infinite."""
    steady: list[float] = []
    usual: list[float] = []
    for value, floor in zip(series, least, strict=True):
        known = max(median(steady), floor) if steady else floor or math.inf
        usual.append(known)
        if not _has_gone(value, known):
            steady.append(_size(value))
    return usual


def _has_gone(value: float, usual: float) -> bool:
    return not math.isfinite(value) or _size(value) > TIMES * usual


def _times(value: float, usual: float) -> float:
    """How many times what is usual."""
    return _size(value) / usual if usual and math.isfinite(value) else math.inf


def _size(value: float) -> float:
    """Magnitude; that of what is no number is infinite."""
    return math.inf if math.isnan(value) else abs(value)


def _place(quantity: str) -> int:
    """Where in a step it is computed."""
    return next((i for i, names in enumerate(COMPUTED) if quantity in names), len(COMPUTED))


def _number(value: float) -> str:
    return f"{value:.4g}"


def _plain(series: Series) -> list[float | str]:
    """Numbers that JSON has; others as strings."""
    return [value if math.isfinite(value) else str(value) for value in series]
