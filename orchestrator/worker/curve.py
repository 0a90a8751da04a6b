"""Which epoch or step the values belong to that a trial function yields."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Complex, Real
from typing import Any

from orchestrator.events import BY_STEP, Event, Points, Progress, Tagged, metric_name
from orchestrator.system.printable import in_a_line

EPOCH, STEP = "epoch", "step"
FIRST_EPOCH = "epoch.first"  # a tag of runs whose function counts from 0
LARGEST = 2**53  # up to which floating point has every whole number
STEPS_KEPT = 1000


class MisplacedError(ValueError):
    """A function has yielded values under an epoch or a step that they cannot have; the message says what to yield."""


@dataclass(frozen=True)
class EpochValues:
    """Values of an epoch, counted from 1."""

    epoch: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class StepValues:
    """Values that come oftener than by epoch: of each metric its step and value, and which of them are to be kept."""

    metrics: Mapping[str, tuple[int, float]]
    kept: frozenset[str]


class YieldedCurve:
    """What a function yields in an attempt, in order.

    Epochs rise. Another yield of the same epoch adds metrics to it. A function that begins at epoch 0 has each epoch
    recorded as one more. What has a `step` and no epoch, or an epoch that is no whole number, comes by step: at the
    given step, else at its count.

    Args:
        journaled: what earlier attempts have reported.
    """

    def __init__(self, journaled: Sequence[Event]) -> None:
        self._journaled = journaled
        self._offset = int(any(isinstance(event, Tagged) and FIRST_EPOCH in event.tags for event in journaled))
        self._epoch: float | None = None  # the last one, as the function counts
        self._had: set[str] = set()  # the metrics of that epoch
        self._steps: dict[str, int] = {}  # the last step of each metric
        self._counts: dict[str, int] = {}  # of the values by step, of each metric

    @property
    def tags(self) -> dict[str, str]:
        """What is to be said on the run about its epochs."""
        return {FIRST_EPOCH: "0; each epoch is recorded as one more"} if self._offset else {}

    def place(self, yielded: Mapping[str, Any]) -> EpochValues | StepValues:
        """Place what the function has yielded.

        Raises:
            MisplacedError: it has an epoch or a step that cannot be.
            TypeError: a value is not a number.
        """
        if EPOCH not in yielded and STEP in yielded:
            return self._by_step(yielded)
        epoch = _counter(EPOCH, yielded[EPOCH]) if EPOCH in yielded else self._next
        if self._epoch is None:
            self._offset = self._offset or int(epoch == 0)
            self._resume(math.floor(epoch) + self._offset)
        elif epoch < self._epoch:
            problem = f"epoch {epoch:.15g} came after epoch {self._epoch:.15g}, and epochs only rise"
            raise MisplacedError(f"{problem}; {_advice(yielded)}")
        if epoch != self._epoch:
            self._epoch, self._had = epoch, set()
        if epoch != math.floor(epoch):
            return self._by_step(yielded)
        metrics = numbers({name: value for name, value in yielded.items() if name != EPOCH})
        if again := [name for name in metrics if name in self._had]:
            name = next((name for name in again if name != STEP), STEP)
            raise MisplacedError(f"epoch {epoch:.15g} has its {name} already; {_advice(yielded)}")
        self._had |= metrics.keys()
        return EpochValues(int(epoch) + self._offset, metrics)

    @property
    def _next(self) -> float:
        return 1 - self._offset if self._epoch is None else math.floor(self._epoch) + 1

    def _resume(self, epoch: int) -> None:
        """Count on from what came before an epoch in earlier attempts."""
        whole = [i for i, event in enumerate(self._journaled) if isinstance(event, Progress) and event.epoch <= epoch]
        for event in self._journaled[: whole[-1] + 1] if whole else ():
            for name, series in event.values.items() if isinstance(event, Points) else ():
                self._counts[name.removesuffix(BY_STEP)] = series[-1][0]

    def _by_step(self, yielded: Mapping[str, Any]) -> StepValues:
        given = _counter(STEP, yielded[STEP]) if STEP in yielded else None
        if given is not None and given != math.floor(given):
            raise MisplacedError(f"the step is {yielded[STEP]!r}; steps are whole numbers, from 0 or 1 on")
        metrics: dict[str, tuple[int, float]] = {}
        for name, value in numbers({k: v for k, v in yielded.items() if k not in (EPOCH, STEP)}).items():
            self._counts[name] = self._counts.get(name, 0) + 1
            step = self._counts[name] if given is None else int(given)
            if step <= self._steps.get(name, -1):
                problem = f"step {step} of {name} came after step {self._steps[name]}"
                raise MisplacedError(f"{problem}; each step has a value once, and steps only rise")
            metrics[name] = step, value
            self._steps[name] = step
        return StepValues(metrics, frozenset(name for name in metrics if is_kept(self._counts[name])))


def numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Metrics as numbers, by names that can be recorded.

    Raises:
        TypeError: a value is not a number, or a name not a text.
    """
    return {(name := metric_name(given)): _number(name, value) for given, value in metrics.items()}


def is_kept(count: int) -> bool:
    """All of the first thousand values, every second one up to two thousand, every fourth one up to four thousand."""
    return count % (1 << (count // STEPS_KEPT).bit_length()) == 0


def _number(name: str, value: Any) -> float:
    """The value of a metric; NaN where it is None, infinity where no float is so large."""
    if value is None:
        return math.nan
    is_complex = isinstance(value, Complex) and not isinstance(value, Real)  # numpy's would lose their imaginary part
    try:
        return float(str(value) if is_complex else value)
    except OverflowError:
        return math.inf
    except (TypeError, ValueError, RuntimeError) as error:  # tensors raise the last
        raise TypeError(f"the metric {name} is {in_a_line(repr(value))}, not a number") from error


def _counter(name: str, given: Any) -> float:
    """An epoch or a step as a number."""
    try:
        number = float("nan") if isinstance(given, str) or type(given).__name__ in ("bool", "bool_") else float(given)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not 0 <= number <= LARGEST:
        raise MisplacedError(f"the {name} is {repr(given)[:40]}; use a number that counts {name}s, from 0 or 1 on")
    return number


def _advice(yielded: Mapping[str, Any]) -> str:
    """What to yield in place of this."""
    name = next((name for name in yielded if name not in (EPOCH, STEP)), "loss")
    return f'values that come oftener have "step" in place of "epoch": {{"step": 12, "{name}": 0.5}}'
