"""Follows the losses of a trial, and ends it when it explodes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from orchestrator.divergence import Divergence, DivergenceRule
from orchestrator.events import Explosion, Finished
from orchestrator.trial import Outcome

LOSSES = ("loss", "train_loss", "val_loss")


class ExplodedError(Exception):
    """Raised out of `watch` to end an exploding trial."""


@dataclass
class Watcher:
    """Follows the losses of a trial, by step where the function calls `watch`, by epoch where it does not."""

    rule: DivergenceRule
    epoch: int = 1
    explosion: Explosion | None = None
    series: dict[str, Divergence] = field(default_factory=dict)

    def step(self, step: int, loss: float, grad_norm: float, **also: float) -> None:
        """The `watch` that a trial function is given.

        Args:
            step: optimizer steps so far, from 1 on.
            loss: of this step.
            grad_norm: of this step.
            also: further quantities that may explain an explosion, by name; told with its reason.

        Raises:
            ExplodedError: the trial has exploded and is to end.
        """
        explosion = self._update("loss", step, float(loss), self.rule.patience)
        if explosion is None and not math.isfinite(grad_norm):
            explosion = Explosion(
                f"gradient norm became {float(grad_norm)} at a loss of {float(loss):.4g} "
                f"at epoch {self.epoch}, step {step}",
                self.epoch,
                step,
                float(loss),
            )
        if explosion is not None and self.rule.enabled:
            told = "".join(f"; {name.replace('_', ' ')} reached {value:.4g}" for name, value in also.items())
            self.explosion = replace(explosion, reason=explosion.reason + told)
            raise ExplodedError(self.explosion.reason)

    def epoch_ended(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Take in what a function yielded; sets `explosion` where it tells of one."""
        self.epoch = epoch + 1
        for name in LOSSES:
            if name in metrics and self.explosion is None and self.rule.enabled:
                self.explosion = self._update(name, epoch, metrics[name], self.rule.patience_epochs, epoch)

    def ended(self) -> Finished | None:
        """The end of a trial that exploded, also where its function kept `watch`'s exception to itself."""
        return Finished(Outcome.EXPLODED, explosion=self.explosion) if self.explosion else None

    def _update(self, name: str, step: int, loss: float, patience: int, epoch: int | None = None) -> Explosion | None:
        by = "epoch" if epoch else "step"
        series = self.series.setdefault(f"{name} by {by}", Divergence(name, self.rule.factor, patience))
        return series.update(step, loss, epoch or self.epoch)
