"""Lightning reports to a sweep: `Trainer(callbacks=[LightningCallback(report, watch)])`.

For `lightning.pytorch` and for `pytorch_lightning`; where both are installed, import yours before this module.
"""

import math
import sys
from collections.abc import Callable
from typing import Any

from torch.nn.utils import get_total_norm

try:
    if "pytorch_lightning" in sys.modules:
        from pytorch_lightning.callbacks import EarlyStopping
    else:
        from lightning.pytorch.callbacks import EarlyStopping
except ImportError:
    from pytorch_lightning.callbacks import EarlyStopping


class LightningCallback(EarlyStopping):
    """Reports the metrics that are logged, by epoch, and each optimizer step's loss and gradient norm.

    It is one of Lightning's EarlyStopping for its place in an epoch: after the module's own `on_train_epoch_end`, so
    that it sees what that logs, and before checkpoints are written.

    Args:
        report: that of the trial function; what it raises to end a trial comes out of `Trainer.fit`.
        watch: that of the trial function, if explosions are to be seen within an epoch.
    """

    def __init__(self, report: Callable[..., None], watch: Callable[..., None] | None = None) -> None:
        super().__init__(monitor="")
        self.report, self.watch = report, watch
        self._norm: float | None = None  # of the gradient of the optimizer step that is under way

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        if self.watch is not None:
            parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            self._norm = float(get_total_norm([each.grad for each in parameters if each.grad is not None]))

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        norm, self._norm = self._norm, None
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if self.watch is None or norm is None or loss is None:
            return
        if math.isfinite(norm) or getattr(trainer.precision_plugin, "scaler", None) is None:  # else the step is skipped
            self.watch(trainer.global_step, float(loss) * trainer.accumulate_grad_batches, norm)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        pass

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.report({**metrics, "epoch": trainer.current_epoch + 1})
