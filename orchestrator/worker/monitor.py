"""Follows the losses of a trial, and ends it when it explodes."""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from orchestrator.divergence import FARTHEST, Divergence, DivergenceRule, margin
from orchestrator.events import BY_STEP, Explosion
from orchestrator.functions.declaration import UNDECLARED, Declaration
from orchestrator.programs.losses import is_of_validation, losses_of

STEPS_AT_END = 3  # far away in a row: a single step may be a jump that would have healed


class ExplodedError(Exception):
    """Raised out of `watch` to end an exploding trial; without an `explosion`, a trial that has ended already."""

    def __init__(self, reason: str, explosion: Explosion | None = None) -> None:
        super().__init__(reason)
        self.explosion = explosion


@dataclass(frozen=True)
class MonitorState:
    """What a monitor knows at the end of an epoch; `epoch` is the next epoch."""

    epoch: int
    last_step: int
    by_step: Divergence | None
    by_epoch: dict[str, Divergence]
    skipped: Explosion | None = None
    skips: int = 0


@dataclass
class Monitor:
    """Follows the losses of a trial: by step where the function calls `watch`, and by epoch.

    Of a function that calls `watch`, only the validation loss is followed by epoch: its training loss is a mean over
    steps that have been seen already, and a single step that healed may have raised it.

    A gradient alone that is not finite is what mixed precision skips, while it looks for the largest scale that does
    not overflow. It has to be so for `patience` steps in a row, or the loss after it not finite as well.
    """

    rule: DivergenceRule
    states: Sequence[MonitorState] = ()  # of a trial that is resumed, by epoch, oldest first
    on_step: Callable[[int, float], None] = lambda *_: None  # called at each step, with its loss: a heartbeat
    epoch: int = 1
    last_step: int = 0
    explosion: Explosion | None = None
    by_step: Divergence | None = None
    by_epoch: dict[str, Divergence] = field(default_factory=dict)
    declaration: Declaration = UNDECLARED  # of the trial function: which of its metrics are losses
    maximized: Collection[str] = ()  # metrics of which more is better
    _followed: str | None = None  # the loss that is followed by step, where a program logs it so
    is_broken: bool = False  # something other than a loss is not finite
    skipped: Explosion | None = None  # the first of the gradients in a row that are not finite
    skips: int = 0  # how many they are
    _reached: dict[str, float] = field(default_factory=dict)  # the last finite value of what may explain an explosion

    @property
    def state(self) -> MonitorState:
        """What is known by now."""
        return MonitorState(self.epoch, self.last_step, self.by_step, self.by_epoch, self.skipped, self.skips)

    def step(self, step: int, loss: float, grad_norm: float, *, restart: bool = False, **also: float) -> None:
        """The `watch` that a trial function is given.

        Args:
            step: optimizer steps so far, from 1 on.
            loss: of this step.
            grad_norm: of this step.
            restart: whether losses mean something else from this step on, so that they are no longer compared with
                those before it.
            also: further quantities that may explain an explosion, by name; added to its reason.

        Raises:
            ExplodedError: the trial has exploded and is to end.
        """
        step, loss = int(step), float(loss)
        self.on_step(step, loss)
        self._recall(lambda state: state.last_step < step)
        self.last_step = step
        if not self.rule.enabled:
            return
        if self.by_step is None:
            self.by_step = Divergence.of_steps(self.rule)
        for series in self._series if restart else ():
            series.restart()
        explosion = self.by_step.update(step, loss, self.epoch)
        self._leave_quiet(self.by_step, self.epoch)
        self._skip(step, loss, float(grad_norm))
        self._reached |= {name: value for name, value in also.items() if math.isfinite(value)}
        if explosion is None and self.skips >= self.rule.patience:
            explosion, self.is_broken = self.skipped, True
        if explosion is not None:
            last = {name: self._reached.get(name, value) for name, value in also.items()}
            causes = "".join(f"; {name.replace('_', ' ')} reached {value:.4g}" for name, value in last.items())
            self.explosion = replace(explosion, reason=explosion.reason + causes)
            raise ExplodedError(self.explosion.reason, self.explosion)

    def _skip(self, step: int, loss: float, grad_norm: float) -> None:
        """Count gradients in a row that are not finite."""
        if math.isfinite(grad_norm):
            self.skipped, self.skips = None, 0
            return
        self.skips += 1
        reason = f"gradient norm became {grad_norm} at a loss of {loss:.4g} at epoch {self.epoch}, step {step}"
        last = loss if math.isfinite(loss) else None
        self.skipped = self.skipped or Explosion(reason, self.epoch, step, last)

    def _leave_quiet(self, series: Divergence, epoch: int) -> None:
        """Know nothing of the losses of an epoch in which they may rise."""
        if epoch <= self.rule.quiet_until:
            series.restart()

    @property
    def _series(self) -> list[Divergence]:
        return [*self.by_epoch.values(), *([self.by_step] if self.by_step else [])]

    def points(self, values: Mapping[str, Sequence[tuple[int, float, float]]]) -> None:
        """Take in what came more often than by epoch, under `<metric>.by_step`: of the losses of training, the first.

        Raises:
            ExplodedError: the trial has exploded and is to end.
        """
        metrics = {name.removesuffix(BY_STEP): series for name, series in values.items() if name.endswith(BY_STEP)}
        losses = {name: sign for name, sign in self.losses(metrics).items() if not self._is_of_validation(name)}
        self._followed = self._followed or min(losses, default=None)
        if self._followed in losses:
            for step, value, _ in metrics[self._followed]:
                self.step(step, losses[self._followed] * value, grad_norm=0.0)

    @property
    def margin(self) -> float | None:
        """How far beyond an explosion the run is, as `divergence.margin` gives it; None where the rule is disabled."""
        if not self.rule.enabled:
            return None
        if self.is_broken:
            return FARTHEST
        return margin(self._series, exploded=self.explosion is not None)

    def epoch_ended(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Take in the metrics that a function yielded; sets `explosion` where a loss has exploded."""
        self._recall(lambda state: state.epoch <= epoch)
        self.epoch = max(self.epoch, epoch + 1)  # an epoch may get a metric later
        if not self.rule.enabled:
            return
        signs = self.losses(metrics)
        losses = {name: signs[name] * metrics[name] for name in sorted(signs, key=self._order)}
        held_out = [losses[name] for name in losses if self._is_of_validation(name)]
        works = bool(held_out) and all(map(math.isfinite, held_out))
        for name, loss in losses.items():
            if not self._is_of_validation(name) and (self.by_step is not None or (works and not math.isfinite(loss))):
                continue
            series = self.by_epoch.setdefault(name, Divergence(name, self.rule.factor, self.rule.patience_epochs))
            series.is_second = self._is_second(name)
            self.explosion = self.explosion or series.update(self.last_step, loss, epoch)
            self._leave_quiet(series, epoch)

    def _order(self, name: str) -> tuple[bool, str]:
        """Losses of training come first."""
        return self._is_of_validation(name), name

    def _is_second(self, name: str) -> bool:
        """Whether a loss is of validation, and steps are followed beside it, or a training loss that has not risen."""
        if not self._is_of_validation(name):
            return False
        of_training = [series for other, series in self.by_epoch.items() if not self._is_of_validation(other)]
        return self.by_step is not None or any(series.keeps_most for series in of_training)

    def losses(self, names: Iterable[str]) -> dict[str, int]:
        """Those of some metrics that are losses, with the sign that makes a loss of each."""
        declared = self.declaration.losses if self.declaration.declares_losses else None
        given = declared if self.rule.losses is None else self.rule.losses
        return losses_of(names, given, self.maximized)

    def _is_of_validation(self, name: str) -> bool:
        if not self.declaration.declares_losses or name not in self.declaration.losses:
            return is_of_validation(name)
        return name in self.declaration.losses_of_validation

    def run_ended(self, final: Mapping[str, float]) -> None:
        """The function has returned: what is far away now will not come back."""
        self.recall()
        if not self.rule.enabled or self.explosion:
            return
        epoch = self.epoch - 1
        for name in self.losses(final):
            if not math.isfinite(value := final[name]):
                self.is_broken = True
                reason = f"the final {name} is {value}"
                self.explosion = Explosion(reason, epoch, self.last_step or epoch, None)
        for series in self._series:
            self.explosion = self.explosion or series.gone(STEPS_AT_END if series is self.by_step else 1)

    def raised(self) -> None:
        """The function has raised: where its last step was not finite, that is why."""
        if self.rule.enabled and self.by_step is not None and not self.explosion:
            self.explosion = self.by_step.exploded if not self.by_step.not_finite else self.by_step.gone(1)
            self.explosion = self.explosion or self.skipped
            self.is_broken = self.explosion is not None and self.explosion is self.skipped

    @property
    def has_exploded_before(self) -> bool:
        """Whether a trial that is resumed had exploded already: it was killed before it could end."""
        if not self.states or not self.rule.enabled:
            return False
        last = self.states[-1]
        series = [*last.by_epoch.values(), *([last.by_step] if last.by_step else [])]
        return any(one.exploded for one in series)

    def forget(self) -> None:
        """Begin again, as a trial of which nothing is known."""
        self.states, self.epoch, self.last_step, self.by_step, self.by_epoch = (), 1, 0, None, {}
        self.skipped, self.skips = None, 0

    def recall(self) -> None:
        """Restore the state at the end of the last epoch, of a trial that is resumed after that."""
        self._recall(lambda _: True)
        for series in self._series:
            self.explosion = self.explosion or series.exploded

    def _recall(self, came_before: Callable[[MonitorState], bool]) -> None:
        """Restore the state at the end of the epoch from which the trial is resumed."""
        state = next((state for state in reversed(self.states) if came_before(state)), None)
        self.states = ()
        if state is not None:
            self.epoch, self.last_step = state.epoch, state.last_step
            self.by_step, self.by_epoch = state.by_step, state.by_epoch
            self.skipped, self.skips = state.skipped, state.skips
