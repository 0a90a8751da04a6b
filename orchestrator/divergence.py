"""Tell an exploding loss from a healthy one, by comparing a run with itself.

Losses have no scale of their own (they change with the model, the data and the decoder's variance), so no absolute
threshold can serve. What an explosion looks like in any of them: values that are not finite and stay so, or losses far
above the best that the run has had, one after the other, that do not fall again. A single step that jumps a
thousandfold and heals is not an explosion, nor are large losses at the start, nor is a jump from which the run learns
once more.
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
SHARE_OF_GAIN = 0.1  # that is lost where a loss is far away, however small its level
LOST = 0.9  # of the gain: then all of it counts as lost
LOST_BY_EPOCH = 1.25  # the same, of what has been gained since the first epoch, in which most may be gained already
MUCH = 0.5  # of the level: a gain that is worth losing; of a gain or of a jump: what has come back
PROGRESS = 0.1  # of how far it is away: so far a loss falls that is learning again
NEAR = 0.25  # of the way to the bound: from here on, a rise is counted
NOT_FINITE = 5  # losses in a row
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
    quiet_until: Annotated[
        int,
        Field(
            ge=0,
            description="The last epoch in which a loss may rise as far as it likes, as where a term of it gets its "
            "weight by and by. After that a run is compared with what comes then. A loss that is not finite explodes "
            "at any time.",
        ),
    ] = 0


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
    most_not_finite: int = 1  # in a row
    lost: float = LOST_BY_EPOCH  # as a share of the gain
    not_finite: int = 0  # in a row
    not_finite_since: tuple[int, int] = (0, 0)  # epoch and step of the first of them
    not_finite_as: str = ""  # what it was, in words, since a journal has no such numbers
    climbing: int = 0  # losses since the last one that was near the level
    outside: list[float] = field(default_factory=list)  # the last of those that are far away
    peak: float = 0.0  # the highest level of those, at the beginning of the jump
    low: float = 0.0  # the lowest since
    stale: int = 0  # losses since they fell to a new low
    is_gradual: bool = False  # whether they came there by and by

    def update(self, step: int, loss: float, epoch: int) -> Explosion | None:
        """Take in the next loss; returns where and how the loss has exploded, if by now it has.

        Args:
            step: optimizer steps so far; 0 where the function does not count them.
            loss: of that step, or of that epoch.
            epoch: in which the loss stands, from 1 on.
        """
        if not math.isfinite(loss):
            if self.not_finite == 0:
                self.not_finite_since, self.not_finite_as = (epoch, step), f"{loss}"
            self.not_finite += 1
            return self.exploded
        self.last_finite, self.not_finite = loss, 0
        self.climbing = 0 if loss <= self._up(NEAR) else self.climbing + 1
        if loss <= self.bound:
            self.strain, self.away, self.excess = self.strained, 0, 0.0
            self._learn(loss, epoch)
            return None
        if self.away == 0:
            self.away_since, self.outside, self.stale = (epoch, step), [], 0
            self.is_gradual = self.climbing > self.patience
        self.away += 1
        self.excess = max(self.excess, self._rise(loss))
        self._follow(loss, epoch)
        return self.exploded

    def restart(self) -> None:
        """From now on the loss means something else: the run is compared with what comes."""
        self.level, self.first, self.recent = None, None, []
        self.away, self.excess, self.climbing = 0, 0.0, 0

    @property
    def exploded(self) -> Explosion | None:
        """The explosion of a run that has exploded by now, whatever comes."""
        if self.not_finite >= self.most_not_finite:
            return self._not_finite()
        return self._gone() if self._is_settled and (self._is_lost or not self.is_gradual) else None

    def gone(self, least: int) -> Explosion | None:
        """The explosion of a run that has ended, and was far away for at least so many losses, or is not finite."""
        if self.not_finite:
            return self._not_finite()
        comes_back = self.is_gradual or self.away >= self.patience
        return self._gone() if self.away >= least and (self._is_lost or not comes_back) else None

    def _not_finite(self) -> Explosion:
        epoch, step = self.not_finite_since
        self.excess = 10**FARTHEST
        before = "" if self.last_finite is None else f" after {self.last_finite:.4g}"
        reason = f"{self.name} became {self.not_finite_as}{before} at {_place(epoch, step)}"
        return Explosion(reason, epoch, step or epoch, self.last_finite)

    def _gone(self) -> Explosion:
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
        """Far away is above this: `factor` times the best, or nearly all that was gained lost again.

        The second is for losses that cannot rise so far, since a model that has learned nothing has a loss of its own
        (that of chance), and for those that go below zero, where a multiple of the best says nothing. What has gained
        little has little to lose, as adversaries and values whose rewards are not found yet: `factor` counts twice.
        """
        if self.level is None:
            return math.inf
        gained, size = self._gained, abs(self.level)
        if self._has_gained:
            return self.level + min(max((self.factor - 1) * size, SHARE_OF_GAIN * gained), self.lost * gained)
        return self.level + max((self.factor**2 - 1) * size, SHARE_OF_GAIN * gained)

    @property
    def _gained(self) -> float:
        return 0.0 if self.level is None or self.first is None else max(self.first - self.level, 0.0)

    @property
    def _has_gained(self) -> bool:
        return self.level is not None and self._gained > MUCH * abs(self.level)

    @property
    def _is_settled(self) -> bool:
        """Whether losses have been far away for long, and have not fallen for as long."""
        return min(self.away, self.stale) >= self.patience

    @property
    def _is_lost(self) -> bool:
        """Whether the losses that are far away have lost all that was gained."""
        if self.level is None or not self.outside:
            return False
        return not self._has_gained or statistics.median(self.outside) >= self.level + self.lost * self._gained

    @property
    def _has_come_back(self) -> bool:
        """Whether losses that are far away have fallen again, by much of their jump and of what had been gained."""
        return self.low - (self.level or 0.0) <= MUCH * min(self.peak - (self.level or 0.0), self._gained)

    def _follow(self, loss: float, epoch: int) -> None:
        """Follow losses that are far away: how high they came, and whether they fall."""
        self.outside = [*self.outside[1 - MEDIAN_OF :], loss]
        median = statistics.median(self.outside)
        self.stale += 1
        if self.away == 1 or (self.away <= self.patience and median > self.peak):
            self.peak = self.low = median
        elif median <= self.low - PROGRESS * (self.low - (self.level or 0.0)):
            self.low, self.stale = median, 0
        if self._is_settled and self._has_come_back:
            self.level, self.level_epoch, self.recent, self.away = self.low, epoch, self.outside, 0

    def _learn(self, loss: float, epoch: int) -> None:
        if self.first is None:
            if loss == 0:  # there is nothing to learn yet, as where no reward has been found
                return
            self.first = loss
        self.recent = [*self.recent[1 - MEDIAN_OF :], loss]
        level = statistics.median(self.recent)
        if self.level is None or level < self.level:
            self.level, self.level_epoch = level, epoch
        self.strain = max(self.strain, self._rise(level))

    def _up(self, share: float) -> float:
        return math.inf if self.level is None else self.level + share * (self.bound - self.level)

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
