"""Hugging Face's Trainer reports to a sweep: `Trainer(callbacks=[HuggingFaceCallback(report, watch)])`."""

import math
from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback

ROUNDING = 1e-6  # of an epoch, which the Trainer adds up from steps
NO_METRICS = ("epoch", "step", "_runtime", "_per_second")


class HuggingFaceCallback(TrainerCallback):
    """Reports what the Trainer has logged in an epoch, evaluations included, and the losses and gradient norms in it.

    An epoch is reported when the next one begins, or at the end of the training: only then has it been evaluated. A
    checkpoint of it may have been written by then, so an epoch is reported again by a training that goes on from one;
    it is recorded once.

    Args:
        report: that of the trial function; what it raises to end a trial comes out of `Trainer.train`.
        watch: that of the trial function, if explosions are to be seen within an epoch: at each step that is logged,
            which is each step with `logging_steps=1`.
    """

    def __init__(self, report: Callable[..., None], watch: Callable[..., None] | None = None) -> None:
        self.report, self.watch = report, watch
        self._epoch = 0  # the last one that was reported

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        logs = logs or {}
        if self.watch is None or "loss" not in logs or "grad_norm" not in logs:
            return
        if math.isfinite(logs["grad_norm"]) or not args.fp16:  # else the step is skipped, and the scale is reduced
            self.watch(state.global_step, logs["loss"], logs["grad_norm"])

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._report(math.floor((state.epoch or 0) + ROUNDING), state.log_history)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._report(math.ceil((state.epoch or 0) - ROUNDING), state.log_history)

    def _report(self, epoch: int, logged: list[dict[str, Any]]) -> None:
        if epoch <= self._epoch:
            return
        self._epoch = epoch
        own = [logs for logs in logged if math.ceil(logs["epoch"] - ROUNDING) == epoch and "train_runtime" not in logs]
        metrics = {name: value for logs in own for name, value in logs.items() if not name.endswith(NO_METRICS)}
        self.report({**metrics, "epoch": epoch})
