"""Keras reports to a sweep: `model.fit(.., callbacks=[KerasCallback(report, watch)])`."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import keras


class KerasCallback(keras.callbacks.Callback):
    """Reports the metrics of each epoch, validation included, and with the torch backend each step's loss and gradient.

    Stands before callbacks that write checkpoints, so that an epoch is reported before there is one of it.

    Args:
        report: that of the trial function; what it raises to end a trial comes out of `fit`.
        watch: that of the trial function, if explosions are to be seen within an epoch. Other backends than torch do
            not show gradients to callbacks: with them it is not called.
    """

    def __init__(self, report: Callable[..., None], watch: Callable[..., None] | None = None) -> None:
        super().__init__()
        self.report = report
        self.watch = watch if keras.backend.backend() == "torch" else None
        self._loss: Any = None  # of the last batch; the one in `logs` is the mean of the epoch so far

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        compute = self.model.compute_loss

        @wraps(compute)
        def kept(*arguments: Any, **named: Any) -> Any:
            loss = compute(*arguments, **named)
            self._loss = None if loss is None else loss.detach()
            return loss

        if self.watch is not None:
            self.model.compute_loss = kept

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        optimizer = self.model.optimizer
        is_scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)  # and so are its gradients
        if self.watch is not None and self._loss is not None and not is_scaled:
            self.watch(int(optimizer.iterations), float(self._loss), _norm(self.model.trainable_variables))

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self.report({**(logs or {}), "epoch": epoch + 1})


def _norm(variables: Any) -> float:
    """Of the gradient of a step, with the torch backend."""
    from torch.nn.utils import get_total_norm

    return float(get_total_norm([each.value.grad for each in variables if each.value.grad is not None]))
