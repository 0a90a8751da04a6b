"""Whole epochs, and what comes oftener, from the calls in which a program logs."""

from collections.abc import Mapping
from copy import deepcopy

from orchestrator.programs.axis import Axis, epoch_key
from orchestrator.programs.beside import Beside, Place
from orchestrator.programs.instant import Instant, OpenEpoch
from orchestrator.programs.logged import Ended, Logged, Message, StepMetric
from orchestrator.programs.made import Between, Late, Made, NewCurve, Whole

QUIET = 1.0  # seconds after which an epoch that has what the one before had is taken as whole


class Epochs:
    """Puts epochs together, in the order in which calls come.

    What an epoch is, `Axis` says; where calls do not say it, those that have the compared metric are counted (without
    a compared metric, an epoch ends where a name comes again). A call that does not say its epoch falls into the one
    that is under way. It falls into the next one if it has a metric that the epoch, which is counted already, has
    had: the losses of batches, which come before the line of their epoch.

    An epoch is whole when a later one begins, when the program ends, or when it has been quiet for a second and has
    each metric as often as the epoch before it had; the first one, when it has the compared metric. Each comes out
    once, in order. Metrics that it did not have by then come out as `Late`. A metric that comes a second time within
    an epoch comes out value by value from then on, at its own count. What comes by other ways, `Beside` puts into these
    epochs; that is late, too, unless the epoch is still under way.

    Only the first curve of a script makes epochs, so it is what a trial is compared by. Where epochs fall back (k
    folds), the values of later curves come out as `<metric>.fold2`, `<metric>.fold3` and so on, at their epochs. A
    metric that no curve before had keeps its name; if it is the compared one, such as the mean over folds, it belongs
    to the last epoch of the first curve.

    Args:
        compared: The metric by which trials are compared, if there is one.
        begun_after: The last epoch that an attempt before has had.
        counted_after: The epoch after which a script that only counts goes on; by default that one.
        offset: What `offset` was in that attempt.
        counts: What `counts` was in that attempt.
        instant: Instead of these two: where that attempt was, to go on from there.
    """

    def __init__(
        self,
        compared: str | None,
        begun_after: int = 0,
        *,
        counted_after: int | None = None,
        offset: int | None = None,
        counts: Mapping[str, int] | None = None,
        instant: Instant | None = None,
    ) -> None:
        known = instant or Instant(offset, counts or {}, counts or {})
        self.counts: dict[str, int] = dict(known.counts)  # how many values of each metric there were
        self._beside = Beside(self.counts, dict(known.series), [*known.calls])
        self._due = known.ready.at + QUIET if known.ready else None  # when the epoch under way has been quiet
        self._whole: Place = (1, begun_after)  # the last one
        self._compared = compared
        self._axis = Axis(compared, known.offset)
        self._begun_after = begun_after
        self._counted_after = begun_after if counted_after is None else counted_after
        self._open = known.ready
        self._last = (known.ready and known.ready.number) or 0  # the last epoch of this attempt that has a number
        self._ended = dict(known.ended)  # the counts at the end of the last whole epoch
        self._usual = dict(known.usual)  # how often each metric came in the epoch before
        self._oftener = {*known.oftener}
        self._reached = dict.fromkeys(known.ready.tally if known.ready else (), self._last)  # last epochs, by metric
        self._curve = 1
        self._curves: dict[str, int] = {}  # the first curve of each metric
        self._last_of_first = 0  # the last epoch of the first curve, once there are others
        self._leads: bool | None = None  # whether the first call of all said its epoch
        self._has_ended = False

    @property
    def offset(self) -> int | None:
        """What is added to the script's own numbers, 1 where it begins at 0; None if that is not known yet."""
        return self._axis.offset

    @property
    def due(self) -> float | None:
        """When to call `settle`, in seconds since 1970."""
        dues = [self._due, self._beside.due(self._whole, QUIET)]
        return min((due for due in dues if due is not None), default=None)

    @property
    def epoch(self) -> int:
        """The epoch under way, for what is logged without one, such as a picture."""
        return (self._open.number if self._open else None) or self._last or max(1, self._counted_after)

    @property
    def has_begun(self) -> bool:
        """Whether an epoch has a number."""
        return self._last > 0

    @property
    def is_settled(self) -> bool:
        """Whether nothing is under way, but an epoch that may be whole: what comes later does not change what is."""
        return self._open is None or self._open.is_whole or self._due is not None

    @property
    def ended(self) -> dict[str, int]:
        """How many values of each metric there were up to the end of the last whole epoch."""
        return self._ended | self.ended_beside(self._whole[1])

    def ended_beside(self, epoch: int) -> dict[str, int]:
        """How many there were of other ways up to the end of an epoch."""
        return self._beside.ended((self._curve, epoch))

    @property
    def instant(self) -> Instant:
        """What is known by now, where it is settled."""
        ready = self._open if self._curve == 1 and self._due is not None else None
        by_name = dict(self.counts), self.ended, dict(self._usual), sorted(self._oftener)
        return Instant(self.offset, *by_name, deepcopy(ready), *self._beside.known)

    def take(self, message: Message, *, beside: bool = False) -> list[Made]:
        """What a message completes.

        Args:
            message: The message; those that log nothing and tell nothing of steps complete nothing.
            beside: It is of a way that only adds to another, and begins no epoch.
        """
        match message:
            case StepMetric():
                self._axis.define(message)
                return []
            case Ended():
                self._has_ended = True
                return self._close(is_end=True)
            case Logged() if beside:
                said, key = self._axis.said(message), epoch_key(message.metrics)
                return self._join(self._beside.take(message.without(key), said))
            case Logged():
                made = self._take(message)
                self._set_due()
                return made
        return []

    def settle(self, now: float) -> list[Made]:
        """The epoch under way, if it has been quiet for long enough; `now` is in seconds since 1970."""
        made: list[Made] = []
        if self._due is not None and now >= self._due and self._open is not None:
            self._due = None
            made = self._finish(self._open)
        return made + self._join(self._beside.settle(now, self._whole, QUIET))

    def end(self) -> list[Made]:
        """What is left when the program has ended."""
        return self._join(self._beside.end()) + self._close(is_end=True)

    def cut(self) -> list[Made]:
        """What is left where the program was killed, without an epoch that may not be whole: that comes again."""
        made = self._finish(self._open) if self._due is not None and self._open is not None else []
        left = self._join(self._beside.end())
        return made + [one for one in left if not isinstance(one, Late) or (self._curve, one.epoch) <= self._whole]

    def _join(self, made: list[Made]) -> list[Made]:
        """What other ways have completed, without what belongs to the epoch under way: that is a part of it."""
        left: list[Made] = []
        for one in made:
            epoch = self._open if isinstance(one, Late) and self._curve == 1 else None
            if isinstance(one, Late) and epoch is not None and epoch.number == one.epoch and not epoch.is_whole:
                epoch.values |= {name: (value, one.at) for name, value in one.metrics.items()}
            else:
                left.append(one)
        return left

    def _take(self, logged: Logged) -> list[Made]:
        number = self._axis.read(logged)
        counts = not self._axis.is_labelled and self._axis.has_compared(logged)
        logged = logged.without(self._axis.name)
        if self._leads is None:
            self._leads = number is not None
        if number is not None:
            made, into = self._epoch_of(number, logged)
        elif counts:
            made, into = self._counted(logged)
        else:
            made, into = self._under_way(logged)
        self._has_ended = False
        made += self._join(self._beside.leave(logged.metrics))
        if into is self._open and into.number is not None and (number is not None or counts):
            made += self._join(self._beside.called((self._curve, into.number), logged.at))
        return made + self._put(into, logged)

    def _epoch_of(self, number: int, logged: Logged) -> tuple[list[Made], OpenEpoch]:
        """The epoch of this number, and what its begin completes."""
        had = max((self._reached.get(name, 0) for name in logged.metrics), default=0)
        if had > number or (self._has_ended and had >= number):
            return self._fall_back(number)
        under_way = self._open
        if under_way is not None and under_way.number is None and number > self._last:
            return self._begin(under_way, number), under_way
        if number < self._last or (number == self._last and (under_way is None or under_way.number is None)):
            return [], OpenEpoch(number, is_whole=True, tally=self._tally_of(number))
        if under_way is None or under_way.number != number:
            made = self._close()
            self._open = OpenEpoch()
            return made + self._begin(self._open, number), self._open
        return [], under_way

    def _counted(self, logged: Logged) -> tuple[list[Made], OpenEpoch]:
        """The epoch of a call that is counted, and what its begin completes."""
        again = self._open is not None and any(name in self._open.tally for name in logged.metrics)
        if self._has_ended and any(name in self._reached for name in logged.metrics):
            return self._fall_back(1)
        made = self._close() if again or self._compared is not None else []
        self._open = self._open or OpenEpoch()
        if self._open.number is None:
            made += self._begin(self._open, (self._last or self._counted_after) + 1)
        return made, self._open

    def _under_way(self, logged: Logged) -> tuple[list[Made], OpenEpoch]:
        """The epoch of a call that neither says nor makes one, and what it completes."""
        again = self._open is not None and any(name in self._open.tally for name in logged.metrics)
        follows_its_line = self._axis.is_labelled and self._leads
        made = self._close() if again and not follows_its_line else []
        self._open = self._open or OpenEpoch()
        return made, self._open

    def _begin(self, epoch: OpenEpoch, number: int) -> list[Made]:
        """Give an epoch its number."""
        is_first = self._curve == 1 and not self._reached
        epoch.number = self._last = number
        for name in epoch.tally:
            self._reached[name] = number
        return [NewCurve(1, number)] if is_first and number <= self._begun_after else []

    def _fall_back(self, number: int) -> tuple[list[Made], OpenEpoch]:
        """Begin a new curve."""
        made = self._close()
        self._last_of_first = self._last_of_first or self._last
        self._curve += 1
        self._reached = {}
        self._open = self._open or OpenEpoch()
        self._begin(self._open, number)
        return [*made, NewCurve(self._curve, number)], self._open

    def _tally_of(self, number: int) -> dict[str, int]:
        """Which metrics an epoch that is past has had, as far as that is known."""
        return {name: 1 for name, last in self._reached.items() if last >= number}

    def _put(self, epoch: OpenEpoch, logged: Logged) -> list[Made]:
        made: list[Made] = []
        late: dict[str, float] = {}
        for name, value in logged.metrics.items():
            self._curves.setdefault(name, self._curve)
            made += self._count(epoch, name, value, logged.at)
            if epoch.is_whole and name not in epoch.tally:
                late[name] = value
            epoch.put(name, value, logged.at, self.counts[name])
            if epoch.number is not None:
                self._reached[name] = max(epoch.number, self._reached.get(name, 0))
        return made + (self._out(epoch.number, late, logged.at, is_late=True) if late and epoch.number else [])

    def _count(self, epoch: OpenEpoch, name: str, value: float, at: float) -> list[Made]:
        """The values of a metric that comes oftener than epochs do."""
        self.counts[name] = count = self.counts.get(name, 0) + 1
        made = self._kept_back(epoch, name) if name in epoch.tally else []
        return [*made, self._step(name, count, value, at)] if name in self._oftener else []

    def _kept_back(self, epoch: OpenEpoch, name: str) -> list[Made]:
        """The value of a metric of which nobody could know that it comes oftener."""
        if name in self._oftener:
            return []
        self._oftener.add(name)
        where = next((one for one in (epoch, self._open) if one is not None and name in one.values), None)
        return [self._step(name, where.counts[name], *where.values[name])] if where else []

    def _step(self, name: str, count: int, value: float, at: float) -> Between:
        return Between(f"{self._named(name)}.by_step", name, count, value, at)

    def _named(self, name: str) -> str:
        return name if self._curves[name] == self._curve else f"{name}.fold{self._curve}"

    def _close(self, *, is_end: bool = False) -> list[Made]:
        """End the epoch under way; without a number it goes on, unless this is the end."""
        epoch, self._due = self._open, None
        if epoch is None or not epoch.values or (epoch.number is None and not is_end):
            return []
        self._open = None
        if epoch.number is None:
            return self._leave(epoch)
        made = [] if epoch.is_whole else self._finish(epoch)
        self._usual = epoch.tally
        self._ended |= epoch.counts
        return made

    def _leave(self, epoch: OpenEpoch) -> list[Made]:
        """What came after the last epoch, and belongs to it; or is all that there was."""
        if not self._reached:
            made = self._begin(epoch, (self._last or self._counted_after) + 1)
            return made + self._finish(epoch)
        again = [name for name in epoch.values if self._reached.get(name, 0) >= self._last]
        new = {name: value for name, (value, _) in epoch.values.items() if name not in again}
        self._reached.update(dict.fromkeys(new, self._last))
        made = self._out(self._last, new, epoch.at, is_late=True) if new else []
        return made + [step for name in again for step in self._kept_back(epoch, name)]

    def _finish(self, epoch: OpenEpoch) -> list[Made]:
        epoch.is_whole = True
        self._ended |= epoch.counts
        self._whole = (self._curve, epoch.number or 1)
        return self._out(epoch.number or 1, epoch.metrics, epoch.at)

    def _out(self, number: int, metrics: Mapping[str, float], at: float, *, is_late: bool = False) -> list[Made]:
        if self._curve > 1:
            return [self._of_later_curve(name, number, value, at) for name, value in metrics.items()]
        return [Late(number, metrics, at) if is_late else Whole(number, metrics, at)]

    def _of_later_curve(self, name: str, number: int, value: float, at: float) -> Made:
        """A value of an epoch of a later curve."""
        if self._curves[name] < self._curve:
            return Between(self._named(name), name, number, value, at)
        return Late(self._last_of_first if name == self._compared else number, {name: value}, at)

    def _set_due(self) -> None:
        self._due = self._open.at + QUIET if self._open is not None and self._has_all(self._open) else None

    def _has_all(self, epoch: OpenEpoch) -> bool:
        """Whether an epoch that is not out yet has what the one before had."""
        if epoch.is_whole or epoch.number is None or not epoch.values:
            return False
        if self._usual:
            return all(epoch.tally.get(name, 0) >= often for name, often in self._usual.items())
        if self._compared is None:
            return self._axis.offset is not None  # what is only counted ends with a name that comes again
        return self._compared in epoch.values
