"""Tell an exploding loss from a healthy one, by comparing a run with itself.

Losses have no scale of their own (they change with the model, the data and the decoder's variance), so no absolute
threshold can serve. What an explosion looks like in any of them: values that are not finite and stay so, or losses that
are as high again as those of the untrained model, or higher, and do not fall from there. A single step that jumps a
thousandfold and heals is not an explosion, nor are large losses at the start, nor is a jump from which the run learns
once more, nor a rise that leaves some of what was learned.
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
LOST = 0.9  # of the way from the best level of a run to its worst: what is above has lost what was learned
LOST_BY_EPOCH = 1.0  # the same; in the first epoch most may be learned already
LOST_BELOW_ZERO = 1.2  # the same, of a loss that has no level of chance to which it could return
KEPT = 0.5  # of the same way: what is below has kept most of what was learned
MUCH = 0.5  # of the level: a gain that is worth losing
STANDS_OUT = 3.0  # times the spread of losses of steps at their best: a gain that is none by chance
DIVERGED = 5.0  # times its first loss: where a run comes in its first steps that diverges from the beginning
PROGRESS = 0.1  # of how far it is away: so far a loss falls that is learning again
BACK = 5  # losses of steps in a row that are near again: then it has come back
NOT_FINITE = 5  # losses in a row
NEAREST, FARTHEST = 0.01, 3.0  # of a margin, on either side


@validated(frozen=True, config=ConfigDict(extra="forbid", defer_build=True))
class DivergenceRule:
    """When a loss has left its run's history for good."""

    enabled: Annotated[bool, Field(description="Whether to watch for explosions.")] = True
    factor: Annotated[
        float,
        Field(
            gt=1,
            description="Where a run has learned little yet, a loss is far away when it is more than so many times the "
            "run's own best. Where it has learned, when nine tenths of that are lost.",
        ),
    ] = 100.0
    patience: Annotated[
        int,
        Field(
            ge=1,
            description="How many steps a run must be far away without falling again; after fewer, it counts as "
            "recovered.",
        ),
    ] = 30
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
    most_not_finite: int = 1  # in a row
    lost: float = LOST_BY_EPOCH  # of the way from the best to the worst
    back: int = 1  # losses near in a row, after which those far away are over
    by_step: bool = False  # each loss has noise
    from_start: bool = False  # its first loss is that of the untrained model
    is_second: bool = False  # a loss of training is watched as well: this one rises where data are learned by heart
    level: float | None = None  # best of the run, as a median of losses
    level_epoch: int = 0
    spread: float = 0.0  # by which losses differ there by chance
    first: float | None = None
    lowest: float | None = None  # of all losses after the first
    top: float = 0.0  # the highest of the first of them, `patience` many
    top_at: tuple[int, int] = (0, 0)  # epoch and step of that
    later: int = 0  # how many they are
    worst: float | None = None  # the highest median of what was not far away, or came back from there
    recent: list[float] = field(default_factory=list)  # the last that were not far away
    last_finite: float | None = None
    strain: float = 0.0  # how near the level of losses that were not far away has come to the bound, which is 1
    excess: float = 0.0  # how far beyond it those have come that are far away now
    away: int = 0  # losses since the first of those that are far away now
    away_since: tuple[int, int] = (0, 0)  # epoch and step of that
    near: int = 0  # losses in a row among those that were not far away
    outside: list[float] = field(default_factory=list)  # the last of those
    peak: float = 0.0  # the highest median of those, at the beginning of the jump
    low: float = 0.0  # the lowest since
    highest: float = 0.0  # the highest of all medians of nine of those
    stale: int = 0  # losses since they fell to a new low
    not_finite: int = 0  # in a row
    not_finite_since: tuple[int, int] = (0, 0)  # epoch and step of the first of them
    not_finite_as: str = ""  # what it was, in words, since a journal has no such numbers

    @classmethod
    def of_steps(cls, rule: DivergenceRule) -> "Divergence":
        """What watches the losses of steps."""
        return cls("loss", rule.factor, rule.patience, NOT_FINITE, LOST, BACK, by_step=True, from_start=True)

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
        if self.first is not None:
            self._remember(loss, (epoch, step))
        is_far = loss > self.bound
        self.near = 0 if is_far else self.near + 1
        if not is_far and (self.near >= self.back or self.near >= self.away):
            if self.away >= self.patience:
                self.worst = max(self._worst, self.highest)
            self.strain, self.away, self.excess = self.strained, 0, 0.0
            self._learn(loss, epoch)
            return None
        if self.away == 0:
            self.away_since, self.outside, self.stale = (epoch, step), [], 0
        self.excess = max(self.excess, self._rise(loss))
        self._follow(loss)
        return self.exploded

    def restart(self) -> None:
        """From now on the loss means something else: the run is compared with what comes."""
        self.level, self.first, self.worst, self.recent = None, None, None, []
        self.lowest, self.top, self.later, self.from_start = None, 0.0, 0, False
        self.away, self.excess = 0, 0.0

    @property
    def exploded(self) -> Explosion | None:
        """The explosion of a run that has exploded by now, whatever comes."""
        if self.not_finite >= self.most_not_finite:
            return self._not_finite()
        return self._gone() if self._is_lost and min(self.away, self.stale) >= self.patience else None

    def gone(self, least: int) -> Explosion | None:
        """The explosion of a run that has ended, and was far away for at least so many losses, or is not finite."""
        if self.not_finite:
            return self._not_finite()
        is_far = self.away >= least and min(self.outside[-least:]) > self.bound
        if is_far and self._is_lost:
            return self._gone()
        return self._diverged() if self._has_never_come_back else None

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

    def _diverged(self) -> Explosion:
        epoch, step = self.top_at
        self.excess = max(self.excess, self.top / (self.first or self.top))
        reason = (
            f"{self.name} rose from {self.first:.4g} to {self.top:.4g} at {_place(epoch, step)}, and never came back"
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
        """Far away is above this: most of the way back from the run's best level to its worst.

        So it is for losses of any scale and any sign, and for those that cannot rise far above that of chance. What has
        gained little has little to lose, as adversaries and values whose rewards are not found yet: there it is
        `factor` times the level, if that is more. So it is for a second loss.
        """
        if self.level is None:
            return math.inf
        share = self.lost if self.level >= 0 else max(self.lost, LOST_BELOW_ZERO)
        lost = self.level + share * (self._worst - self.level)
        far = self.level + (self.factor - 1) * abs(self.level)
        return lost if self._has_gained and not self.is_second else max(lost, far)

    @property
    def keeps_most(self) -> bool:
        """Whether by its last loss a run keeps most of what it had learned."""
        if self.level is None or self.last_finite is None:
            return False
        return self.last_finite - self.level <= KEPT * (self._worst - self.level)

    @property
    def _worst(self) -> float:
        """The highest that the run has been without having exploded."""
        return max((loss for loss in (self.first, self.worst) if loss is not None), default=0.0)

    @property
    def _has_gained(self) -> bool:
        if self.level is None or self.first is None or len(self.recent) < min(MEDIAN_OF, self.patience):
            return False
        return self.first - self.level > max(MUCH * abs(self.level), self.spread)

    @property
    def _has_never_come_back(self) -> bool:
        """Whether a run rose far in its first steps, and has never again been where the untrained model was."""
        if not self.from_start or self.first is None or self.lowest is None or self.later < self.patience:
            return False
        return self.lowest > self.first > 0 and self.top > DIVERGED * self.first

    @property
    def _is_lost(self) -> bool:
        """Whether most of the last losses are far away, and the very last of them is."""
        return self.away > 0 and self.near == 0 and statistics.median(self.outside) > self.bound

    def _remember(self, loss: float, place: tuple[int, int]) -> None:
        self.later += 1
        self.lowest = loss if self.lowest is None else min(self.lowest, loss)
        if self.later == 1 or (self.later <= self.patience and loss > self.top):
            self.top, self.top_at = loss, place

    def _follow(self, loss: float) -> None:
        """Follow losses that are far away: how high they came, and whether they fall."""
        self.outside = [*self.outside[1 - MEDIAN_OF :], loss]
        median = statistics.median(self.outside)
        self.away += 1
        self.stale += 1
        self.highest = median if self.away <= MEDIAN_OF else max(self.highest, median)
        if self.away == 1 or (self.away <= self.patience and median > self.peak):
            self.peak = self.low = median
        elif median <= self.low - PROGRESS * (self.low - (self.level or 0.0)):
            self.low, self.stale = median, 0

    def _learn(self, loss: float, epoch: int) -> None:
        if self.first is None:
            if loss == 0:  # there is nothing to learn yet, as where no reward has been found
                return
            self.first = loss
        self.recent = [*self.recent[1 - MEDIAN_OF :], loss]
        level = statistics.median(self.recent)
        if self.level is None or len(self.recent) < MEDIAN_OF or level < self.level:
            self.level, self.level_epoch = level, epoch
            self.spread = STANDS_OUT * _spread(self.recent) if self.by_step else 0.0
        if len(self.recent) == MEDIAN_OF:
            self.worst = max(self._worst, level)
        self.strain = max(self.strain, self._rise(level))

    def _rise(self, loss: float) -> float:
        """How far a loss is above the run's best, as a share of what the bound allows."""
        allowed = self.bound - (self.level or 0.0)
        if self.level is None or not allowed > 0:
            return 0.0
        return min((loss - self.level) / allowed, 10**FARTHEST)


def _spread(losses: list[float]) -> float:
    """What lies between the quartiles of some losses."""
    ordered = sorted(losses)
    return ordered[3 * len(ordered) // 4] - ordered[len(ordered) // 4]


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
