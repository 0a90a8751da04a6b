"""Follows the losses of a trial, and ends it when it explodes."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from orchestrator.divergence import FARTHEST, Divergence, DivergenceRule, margin
from orchestrator.events import Explosion
from orchestrator.functions.declaration import UNDECLARED, Declaration

STEPS_AT_END = 3  # far away in a row: a single one may be a jump that would have healed


class ExplodedError(Exception):
    """Raised out of `watch` to end an exploding trial; without an `explosion`, one that has its end already."""

    def __init__(self, reason: str, explosion: Explosion | None = None) -> None:
        super().__init__(reason)
        self.explosion = explosion


@dataclass(frozen=True)
class MonitorState:
    """What a watcher knows at the end of an epoch; `epoch` is the next one."""

    epoch: int
    last_step: int
    by_step: Divergence | None
    by_epoch: dict[str, Divergence]


@dataclass
class Monitor:
    """Follows the losses of a trial: by step where the function calls `watch`, and by epoch.

    Of a function that calls `watch`, only the validation loss is followed by epoch: its training loss is a mean over
    steps that have been seen already, and a single one that healed may have raised it.
    """

    rule: DivergenceRule
    memories: Sequence[MonitorState] = ()  # of a trial that is taken up again, one for each epoch, oldest first
    beat: Callable[[int, float], None] = lambda *_: None  # called at each step, with its loss: a sign of life
    epoch: int = 1
    last_step: int = 0
    explosion: Explosion | None = None
    by_step: Divergence | None = None
    by_epoch: dict[str, Divergence] = field(default_factory=dict)
    declaration: Declaration = UNDECLARED  # of the trial function: which of its metrics are losses
    is_broken: bool = False  # something beside a loss became a number that is none

    @property
    def memory(self) -> MonitorState:
        """What is known by now."""
        return MonitorState(self.epoch, self.last_step, self.by_step, self.by_epoch)

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
        step, loss = int(step), float(loss)
        self.beat(step, loss)
        self._recall(lambda memory: memory.last_step < step)
        self.last_step = step
        if not self.rule.enabled:
            return
        if self.by_step is None:
            self.by_step = Divergence("loss", self.rule.factor, self.rule.patience)
        explosion = self.by_step.update(step, loss, self.epoch)
        if explosion is None and not math.isfinite(grad_norm):
            self.is_broken = True
            reason = f"gradient norm became {float(grad_norm)} at a loss of {loss:.4g}"
            explosion = Explosion(f"{reason} at epoch {self.epoch}, step {step}", self.epoch, step, loss)
        if explosion is not None:
            told = "".join(f"; {name.replace('_', ' ')} reached {value:.4g}" for name, value in also.items())
            self.explosion = replace(explosion, reason=explosion.reason + told)
            raise ExplodedError(self.explosion.reason, self.explosion)

    @property
    def margin(self) -> float | None:
        """How far beyond an explosion the run is, as `divergence.margin` tells it; None where nobody watches."""
        if not self.rule.enabled:
            return None
        if self.is_broken:
            return FARTHEST
        series = [*self.by_epoch.values(), *([self.by_step] if self.by_step else [])]
        return margin(series, exploded=self.explosion is not None)

    def epoch_ended(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Take in what a function yielded; sets `explosion` where it tells of one."""
        self._recall(lambda memory: memory.epoch <= epoch)
        self.epoch = epoch + 1
        if not self.rule.enabled:
            return
        losses = self.declaration.validation_losses if self.by_step else self.declaration.losses
        for name in sorted(metrics.keys() & {*losses}):
            series = self.by_epoch.setdefault(name, Divergence(name, self.rule.factor, self.rule.patience_epochs))
            self.explosion = self.explosion or series.update(self.last_step, metrics[name], epoch)

    def run_ended(self, final: Mapping[str, float]) -> None:
        """The function has returned: what is far away now will not come back."""
        self.recall()
        if not self.rule.enabled or self.explosion:
            return
        epoch = self.epoch - 1
        for name, value in final.items():
            if not math.isfinite(value):
                self.is_broken = True
                reason = f"the final {name} is {value}"
                self.explosion = Explosion(reason, epoch, self.last_step or epoch, None)
        series = [] if self.by_step is None else [(self.by_step, STEPS_AT_END)]
        for one, least in [*series, *((one, 1) for one in self.by_epoch.values())]:
            self.explosion = self.explosion or one.gone(least)

    def recall(self) -> None:
        """Know what was known when the last epoch ended, of a trial that has been taken up again after that."""
        self._recall(lambda _: True)
        for one in (*self.by_epoch.values(), *([self.by_step] if self.by_step else [])):
            self.explosion = self.explosion or one.gone(one.patience)

    def _recall(self, came_before: Callable[[MonitorState], bool]) -> None:
        """Go on from what was known when the epoch ended from which the trial has been taken up."""
        memory = next((memory for memory in reversed(self.memories) if came_before(memory)), None)
        self.memories = ()
        if memory is not None:
            self.epoch, self.last_step = memory.epoch, memory.last_step
            self.by_step, self.by_epoch = memory.by_step, memory.by_epoch
