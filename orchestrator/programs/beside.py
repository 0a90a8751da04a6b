"""The metrics of ways that only add to another one, put into the epochs of that one."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from orchestrator.programs.logged import Logged, Source
from orchestrator.programs.made import Between, Late, Made

MOST_CALLS, MOST_KEPT = 10_000, 50  # epochs of the chosen way whose times are known here, and to the next attempt

Place = tuple[int, int]  # a curve and an epoch


@dataclass(frozen=True)
class Calls:
    """When the first and the last call of the chosen way came that has an epoch; seconds since 1970."""

    place: Place
    begin: float
    end: float


@dataclass(frozen=True)
class Values:
    """Values that came one after the other, of which the last one counts: that one, and how many there were."""

    value: float
    at: float
    count: int  # of the value, among all of its metric
    often: int = 1
    said: int | None = None  # the epoch, if the call said it
    step: int | None = None


@dataclass
class Series:
    """A metric, in the epoch that it has come to."""

    source: Source
    curve: int | None = None  # the first one
    place: Place = (0, 0)
    values: Values | None = None  # of that epoch
    is_out: bool = False  # and whether they have been taken as whole
    waiting: Values | None = None  # what came since the last call of the chosen way, if it may belong to the next
    usual: int = 0  # how many values there were in the epoch before
    before: int = 0  # the count of the last one of these
    is_oftener: bool = False
    follows: bool | None = None  # whether its values come after the call that has their epoch


@dataclass
class Beside:
    """Gives the metrics of other ways to the epochs of the chosen one, whenever they are read.

    The epoch of a value is the one that its call says. Otherwise it follows from when it was logged: between two calls
    of the chosen way that have the same epoch, it is in that. Between those of two epochs, it is in the first of them,
    if its metric came first after such a call, and else in the second; values of the same step are in the same epoch.

    The last value of an epoch comes out once a value of a later epoch has come, or the program has ended, or the metric
    has come as often as in the epoch before and was quiet.

    Args:
        counts: How many values of each metric there were, which is kept up to date here.
        series: What is known of each metric, by its name.
        calls: When the chosen way has logged each epoch.
    """

    counts: dict[str, int]
    series: dict[str, Series] = field(default_factory=dict)
    calls: list[Calls] = field(default_factory=list)
    _gone: dict[str, Series] = field(default_factory=dict)  # what has ended
    _steps: dict[Source, tuple[int | None, Place | None]] = field(
        default_factory=dict
    )  # the last ones, and their place

    def called(self, place: Place, at: float) -> list[Made]:
        """Take in that the chosen way has logged something of an epoch; what waited for that may belong to it."""
        last = self.calls[-1] if self.calls else None
        if last is not None and place <= last.place:
            if place == last.place:
                self.calls[-1] = replace(last, end=max(at, last.end))
        else:
            self.calls.append(Calls(place, at, at))
            del self.calls[1 : len(self.calls) - MOST_CALLS]  # the first one tells what follows
        made: list[Made] = []
        for name, series in self.series.items():
            if series.waiting is not None and (found := self._place(series, series.waiting)):
                made += self._put_waiting(name, series, found)
        return made

    def take(self, logged: Logged, said: int | None) -> list[Made]:
        """Take in a call that says an epoch, or says none; what that completes."""
        made: list[Made] = []
        if self._steps.get(logged.source, (None, None))[0] != logged.step:
            self._steps[logged.source] = logged.step, None
        for name, value in logged.metrics.items():
            series = self.series.setdefault(name, Series(logged.source, before=self.counts.get(name, 0)))
            self.counts[name] = count = self.counts.get(name, 0) + 1
            values = Values(value, logged.at, count, said=said, step=logged.step)
            if series.waiting is not None and series.waiting.said != said:
                made += self._put_waiting(name, series, (self._curve, series.waiting.said or self._last))
            if found := self._place(series, values):
                made += self._put(name, series, found, values)
            else:
                made += self._wait(name, series, values)
        return made

    def due(self, whole: Place, quiet: float) -> float | None:
        """When to call `settle`, in seconds since 1970."""
        return min((values.at + quiet for _, _, values in self._complete(whole)), default=None)

    def settle(self, now: float, whole: Place, quiet: float) -> list[Made]:
        """What has been quiet for so many seconds, and belongs to epochs up to the last whole one of the chosen way."""
        complete = [(name, series) for name, series, values in self._complete(whole) if values.at + quiet <= now]
        return [made for name, series in complete for made in self._out(name, series)]

    def ended(self, whole: Place) -> dict[str, int]:
        """How many values of each metric there were up to the end of an epoch."""
        known = ((name, one, one.values) for name, one in (self._gone | self.series).items())
        return {name: values.count if values and one.place <= whole else one.before for name, one, values in known}

    def leave(self, names: Iterable[str]) -> list[Made]:
        """What is left of some metrics, once they come from the chosen way."""
        left = {name: self.series.pop(name) for name in names if name in self.series}
        self._gone |= left
        return [made for name, series in left.items() for made in self._end(name, series)]

    def end(self) -> list[Made]:
        """What is left when the program has ended."""
        return self.leave([*self.series])

    @property
    def known(self) -> tuple[Mapping[str, Series], Sequence[Calls]]:
        """What is known by now, as far as the next attempt needs it."""
        return {name: replace(one) for name, one in self.series.items()}, [
            *self.calls[:1],
            *self.calls[1:][-MOST_KEPT:],
        ]

    @property
    def _curve(self) -> int:
        return self.calls[-1].place[0] if self.calls else 1

    @property
    def _last(self) -> int:
        return self.calls[-1].place[1] if self.calls else 1

    def _complete(self, whole: Place) -> list[tuple[str, Series, Values]]:
        return [
            (name, series, series.values)
            for name, series in self.series.items()
            if series.values is not None
            and not series.is_out
            and series.waiting is None
            and series.place <= whole
            and 0 < series.usual <= series.values.often
        ]

    def _place(self, series: Series, values: Values) -> Place | None:
        """Where values belong; None as long as that depends on the next call of the chosen way."""
        after = bisect_right(self.calls, values.at, key=lambda calls: calls.begin) - 1  # of the calls
        before = bisect_left(self.calls, values.at, key=lambda calls: calls.end)
        if values.said is not None:
            return self._place_said(
                series, values.said, self.calls[max(0, after) : after + 1], self.calls[before : before + 1]
            )
        step, place = self._steps.get(series.source, (None, None))
        if place is not None and step == values.step and after >= 0 and place == self.calls[after].place:
            return place
        if series.follows is None:
            series.follows = after == 0 or (after > 0 and self._follows(series.source))
        if after == before or (series.follows and after >= 0):
            return self.calls[after].place
        return self.calls[before].place if before < len(self.calls) else None

    def _place_said(self, series: Series, said: int, after: Sequence[Calls], before: Sequence[Calls]) -> Place | None:
        """Where values belong that say their epoch, between two calls of the chosen way: it may begin a curve there."""
        for calls in after:
            if said >= calls.place[1] or (before and before[0].place[0] == calls.place[0]):
                return calls.place[0], said
        if before:
            return before[0].place[0], said
        return (after[0].place[0], said) if after and (after[0].place[0], said) > series.place else None

    def _follows(self, source: Source) -> bool:
        """Whether the first metric of a way follows: so does one that begins later, as far as can be known."""
        first = next((one for one in self.series.values() if one.source == source and one.follows is not None), None)
        return first is not None and bool(first.follows)

    def _wait(self, name: str, series: Series, values: Values) -> list[Made]:
        before, series.waiting = series.waiting, values
        if before is None:
            return [self._step(name, series, values)] if series.is_oftener else []
        series.waiting = replace(values, often=before.often + 1)
        return self._come_oftener(name, series, before, values)

    def _put_waiting(self, name: str, series: Series, place: Place) -> list[Made]:
        """Put into an epoch what has waited: each value that comes oftener is out by then."""
        values, series.waiting = series.waiting, None
        return [] if values is None else self._put(name, series, place, values, is_out=series.is_oftener)

    def _put(self, name: str, series: Series, place: Place, values: Values, *, is_out: bool = False) -> list[Made]:
        """Put values into an epoch; if that is a later one, the one before is complete."""
        if values.step is not None and self._steps.get(series.source, (None, None))[0] == values.step:
            self._steps[series.source] = values.step, place
        before = series.values
        if place > series.place:
            made = self._out(name, series)
            series.usual, series.before = (before.often, before.count) if before is not None else (0, series.before)
            series.place, series.values, series.is_out = place, values, False
            series.curve = series.curve or place[0]
            return [*made, self._step(name, series, values)] if series.is_oftener and not is_out else made
        made = [] if is_out else self._come_oftener(name, series, values)
        if place == series.place and before is not None:
            series.values = replace(values, often=before.often + values.often)
        return made

    def _come_oftener(self, name: str, series: Series, *values: Values) -> list[Made]:
        """A value that comes a second time within an epoch, after those of which nobody could know that."""
        if series.is_oftener:
            return [self._step(name, series, values[-1])]
        series.is_oftener = True
        before = [] if series.values is None else [series.values]
        return [self._step(name, series, one) for one in (*before, *values)]

    def _end(self, name: str, series: Series) -> list[Made]:
        values, series.waiting = series.waiting, None
        if values is None:
            return self._out(name, series)
        place = (self._curve, values.said or self._last)
        if values.said is None and place <= series.place:  # of an epoch that has not come
            left = [] if series.is_oftener else self._come_oftener(name, series, values)
            return self._out(name, series) + left
        return self._put(name, series, place, values, is_out=series.is_oftener) + self._out(name, series)

    def _out(self, name: str, series: Series) -> list[Made]:
        """The epoch that a metric has come to, if it is not out yet."""
        if series.values is None or series.is_out:
            return []
        series.is_out = True
        (curve, epoch), value, at = series.place, series.values.value, series.values.at
        if series.curve is not None and series.curve < curve:
            return [Between(f"{name}.fold{curve}", name, epoch, value, at)]
        return [Late(epoch, {name: value}, at)]

    def _step(self, name: str, series: Series, values: Values) -> Between:
        place = bisect_left(self.calls, values.at, key=lambda calls: calls.end)
        curve = self.calls[min(place, len(self.calls) - 1)].place[0] if self.calls else 1
        named = name if curve <= (series.curve or curve) else f"{name}.fold{curve}"
        return Between(f"{named}.by_step", name, values.count, values.value, values.at)
