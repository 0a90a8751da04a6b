"""Which epoch a call that logs belongs to, as far as the call itself says."""

import math
from collections.abc import Iterable
from fnmatch import fnmatchcase

from orchestrator.programs.logged import Logged, Source, StepMetric

ALL = "*"  # what frameworks define steps for: it names no metric
MOST = 2.0**53  # a number above it is no count of anything, and soon none that a database takes


def epoch_key(names: Iterable[str]) -> str | None:
    """The name under which an epoch is logged: `epoch`, or one that ends so, such as `train/epoch`."""
    named = [name for name in names if name.replace(".", "/").rsplit("/", 1)[-1].lower() == "epoch"]
    return min(named, key=len, default=None)


class Axis:
    """Reads the epochs of calls, in this order of preference.

    The step metric that is defined for the compared metric by its name or by a pattern; `epoch` among the values; a
    step metric that is defined for all metrics; the step that the call names. A call that has none of them is counted
    by the caller. Of the last two only those calls tell that have the compared metric, or that have the step of such a
    call: a batch has steps of its own.

    Epochs are whole numbers from 1 on. Within epoch 1 is what was logged at 0.37, and so on. Where a script begins at
    0, all its epochs are one more than it says: `offset`, which an attempt that goes on needs from the one before.

    Args:
        compared: The metric by which trials are compared; None if there is none, so that all metrics are alike.
        offset: What is added to the script's own numbers; None if that is still to be seen.
    """

    def __init__(self, compared: str | None, offset: int | None = None) -> None:
        self.offset = offset
        self.name: str | None = None  # the metric that has the epochs
        self.is_labelled = False  # whether calls without the compared metric, too, say their epoch
        self._compared = compared
        self._defined: dict[str, str] = {}  # step metrics by pattern
        self._values: dict[str, float] = {}  # last ones of the step metrics
        self._last_step: int | None = None
        self._offsets: dict[Source, int] = {}  # those of other ways, as long as this one has none

    def define(self, message: StepMetric) -> None:
        """Take in that a metric has a step metric."""
        self._defined[message.metric] = message.step_metric

    def has_compared(self, logged: Logged) -> bool:
        """Whether a call is one that is counted."""
        return self._compared is None or self._compared in logged.metrics

    def said(self, logged: Logged) -> int | None:
        """The epoch that a call of another way says; None if it does not, or means other epochs than these."""
        key = epoch_key(logged.metrics)
        if key is None or self._step_metric() is not None or not abs(value := logged.metrics[key]) <= MOST:
            return None
        whole = math.ceil(round(value, 6))
        known = self.offset if self.is_labelled else None
        offset = self._offsets.setdefault(logged.source, max(0, 1 - whole)) if known is None else known
        return max(1, whole + offset)

    def read(self, logged: Logged) -> int | None:
        """The epoch of a call; None if it does not say."""
        names = set(self._defined.values())
        self._values.update({name: value for name, value in logged.metrics.items() if name in names})
        if (named := self._step_metric()) is not None:
            self.name, self.is_labelled = named, True
            return self._number(self._values.get(named))
        if (key := epoch_key(logged.metrics)) is not None:
            self.name, self.is_labelled = key, True
            return self._number(logged.metrics[key])
        if self.is_labelled:
            return None
        return self._by_step(logged)

    def _step_metric(self) -> str | None:
        """The one that is defined for the compared metric by name, or else by pattern."""
        if self._compared is None:
            return None
        fitting = [(p, name) for p, name in self._defined.items() if p != ALL and fnmatchcase(self._compared, p)]
        # the longest pattern is the most particular
        return max(fitting, key=lambda pair: (pair[0] == self._compared, len(pair[0])), default=(None, None))[1]

    def _by_step(self, logged: Logged) -> int | None:
        step = self._values.get(self._defined.get(ALL, ""), logged.step)
        if step is None or (not self.has_compared(logged) and step != self._last_step):
            return None
        self._last_step = int(step) if math.isfinite(step) else None
        return self._number(step)

    def _number(self, value: float | None) -> int | None:
        if value is None or not abs(value) <= MOST:
            return None
        whole = math.ceil(round(value, 6))
        if self.offset is None or 0 < value < 1:
            # an epoch of 0 before one of 0.37 is the start of the first
            self.offset = max(0, 1 - whole)
        return max(1, whole + self.offset)
