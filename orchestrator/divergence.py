"""Tell an exploding loss from a healthy one, by comparing a run with itself.

Losses have no scale of their own (they change with the model, the data and the decoder's variance), so no absolute
threshold can serve. What an explosion looks like in any of them: a value that is not finite, or losses far above the
best that the run has had, one after the other, without coming back. A single step that jumps a thousandfold and heals
is not an explosion, nor are large losses at the start.
"""

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as validated

from orchestrator.events import Explosion

MEDIAN_OF = 9  # losses whose median counts as the level of a run: one lucky batch is not the best
SHARE_OF_GAIN = 0.1
NEAREST, FARTHEST = 0.01, 3.0  # of a margin, on either side


@validated(frozen=True, config=ConfigDict(extra="forbid", defer_build=True))
class DivergenceRule:
    """When a loss has left its run's history for good."""

    enabled: Annotated[bool, Field(description="Whether to watch for explosions.")] = True
    factor: Annotated[
        float, Field(gt=1, description="A loss is far away when it is more than so many times the run's own best.")
    ] = 5.0
    patience: Annotated[
        int,
        Field(ge=1, description="How many steps in a row must be far away; after fewer, the run counts as recovered."),
    ] = 20
    patience_epochs: Annotated[
        int, Field(ge=1, description="The same in epochs, for the losses that a function reports by epoch.")
    ] = 3
    losses: Annotated[
        tuple[str, ...] | None,
        Field(
            min_length=1,
            description="The losses to watch, by name. Default: those that the trial function declares, else all "
            "metrics that are called a loss.",
        ),
    ] = None


@dataclass
class Divergence:
    """Watches one series of losses of a run."""

    name: str
    factor: float
    patience: int
    level: float | None = None  # best of the run, as a median of losses
    level_epoch: int = 0
    first: float | None = None
    away: int = 0  # losses in a row that were far away
    away_since: tuple[int, int] = (0, 0)  # epoch and step of the first of them
    last_finite: float | None = None
    recent: list[float] = field(default_factory=list)
    strain: float = 0.0  # how near the level of losses that were not far away has come to the bound, which is 1
    excess: float = 0.0  # how far beyond it those have come that are far away now

    def update(self, step: int, loss: float, epoch: int) -> Explosion | None:
        """Take in the next loss; returns where and how the loss has exploded, if by now it has.

        Args:
            step: optimizer steps so far; 0 where the function does not count them.
            loss: of that step, or of that epoch.
            epoch: in which the loss stands, from 1 on.
        """
        if not math.isfinite(loss):
            before = "" if self.last_finite is None else f" after {self.last_finite:.4g}"
            self.excess = 10**FARTHEST
            reason = f"{self.name} became {loss}{before} at {_place(epoch, step)}"
            return Explosion(reason, epoch, step or epoch, self.last_finite)
        self.last_finite = loss
        if loss <= self.bound:
            self.strain, self.away, self.excess = self.strained, 0, 0.0
            self._learn(loss, epoch)
            return None
        if self.away == 0:
            self.away_since = (epoch, step)
        self.away += 1
        self.excess = max(self.excess, self._rise(loss))
        return self.gone(self.patience)

    def gone(self, least: int) -> Explosion | None:
        """The explosion of a run that has been far away for at least so many losses, up to now."""
        if self.away < least:
            return None
        epoch, step = self.away_since
        reason = (
            f"{self.name} rose from {self.level:.4g} (epoch {self.level_epoch}) at {_place(epoch, step)}, "
            f"and came to {self.last_finite:.4g}"
        )
        return Explosion(reason, epoch, step or epoch, self.last_finite)

    @property
    def strained(self) -> float:
        """How near the run has come to an explosion (1): by its level, or by its losses far away in a row.

        A single one is a jump, and counts for nothing.
        """
        return max(self.strain, (self.away - 1) / self.patience)

    @property
    def bound(self) -> float:
        """Far away is above this: `factor` times the best, and a good part of all that was gained lost again.

        The second condition is for losses that come near zero or go below it, where a multiple of the best says
        nothing.
        """
        if self.level is None or self.first is None:
            return math.inf
        gained = max(self.first - self.level, 0.0)
        return self.level + max((self.factor - 1) * abs(self.level), SHARE_OF_GAIN * gained)

    def _learn(self, loss: float, epoch: int) -> None:
        if self.first is None:
            self.first = loss
        self.recent = [*self.recent[1 - MEDIAN_OF :], loss]
        level = statistics.median(self.recent)
        if self.level is None or level < self.level:
            self.level, self.level_epoch = level, epoch
        self.strain = max(self.strain, self._rise(level))

    def _rise(self, loss: float) -> float:
        """How far a loss is above the run's best, as a share of what the bound allows."""
        allowed = self.bound - (self.level or 0.0)
        if self.level is None or not allowed > 0:
            return 0.0
        return min((loss - self.level) / allowed, 10**FARTHEST)


def _place(epoch: int, step: int) -> str:
    return f"epoch {epoch}, step {step}" if step else f"epoch {epoch}"


def margin(series: Iterable[Divergence], *, exploded: bool) -> float:
    """How far beyond its bound a run's loss came, in powers of ten: 0.01 to 3 if it exploded, -3 to -0.01 if not.

    So a search can tell a run that nearly exploded from a run that was far from it. Where only a loss that is not
    finite shows the explosion, it is 3.
    """
    reached = max((losses.excess if exploded else losses.strained for losses in series), default=0.0)
    if exploded:
        return min(max(math.log10(reached), NEAREST), FARTHEST) if reached else FARTHEST
    return max(min(math.log10(reached), -NEAREST), -FARTHEST) if reached else -FARTHEST
