"""Measures of the steps of a training, read from the device several at a time, since each read makes a GPU wait."""

from collections import deque
from collections.abc import Callable

import torch
from torch import Tensor

from models.loss import Loss

# of each step, in this order; the norms of the parameters' gradients follow
MEASURES = ("loss", "recon", "kl", "grad_norm", "mean_min", "mean_max", "log_variance_min", "log_variance_max")
METRICS = ("train_loss", "train_recon", "train_kl", "grad_norm")  # by epoch, of the first measures
LAST_STEPS = 64  # that are kept for a post-mortem

Watch = Callable[..., None]


@torch.no_grad()
def measured(loss: Loss, gradients: list[Tensor], mean: Tensor, log_variance: Tensor) -> Tensor:
    """The measures of a step, as one tensor on its device: MEASURES, then a norm for each of the gradients."""
    norms = torch.stack(torch._foreach_norm(gradients))
    whole = [*loss, torch.linalg.vector_norm(norms), *mean.aminmax(), *log_variance.aminmax()]
    return torch.cat([torch.stack(whole), norms])


class Readings:
    """Takes in the steps of an epoch. `last` keeps the last measures, also of earlier epochs."""

    def __init__(self, watch: Watch | None, step: int, last: deque[Tensor], every: int) -> None:
        self.step = step
        self.last = last
        self._watch = watch
        self._every = every
        self._unread: list[tuple[Tensor, int]] = []
        self._totals = torch.zeros(len(METRICS), dtype=torch.float64)
        self._images = 0

    def add(self, values: Tensor, images: int) -> None:
        """Add the values that `measured` gave for a step on so many images; may call `watch`, which may raise."""
        self._unread.append((values, images))
        if len(self._unread) == self._every:
            self.read()

    def read(self) -> None:
        """Read all steps that are unread."""
        unread, self._unread = self._unread, []
        for values, (_, images) in zip(_on_cpu([values for values, _ in unread]), unread, strict=True):
            self.step += 1
            self._images += images
            self._totals += values[: len(METRICS)] * images
            self.last.append(values)
            if self._watch is not None:
                measures = dict(zip(MEASURES, values.tolist(), strict=False))
                self._watch(
                    self.step, measures["loss"], measures["grad_norm"], log_variance=measures["log_variance_max"]
                )

    def means(self) -> dict[str, float]:
        """The epoch's metrics, as means over its images."""
        self.read()
        return dict(zip(METRICS, (self._totals / self._images).tolist(), strict=True))


def _on_cpu(values: list[Tensor]) -> Tensor:
    return torch.stack(values).double().cpu() if values else torch.empty(0)
