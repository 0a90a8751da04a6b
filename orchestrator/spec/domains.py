"""What values a parameter may take: a list to choose from, or a range with a distribution."""

import math
import random
from dataclasses import dataclass
from typing import Any

from orchestrator.functions import Parameter
from orchestrator.spec.form import RangeForm

MOST_GRID_VALUES = 10_000


@dataclass(frozen=True)
class Choice:
    """A list of values, drawn with equal probability or with the given ones. One value is a constant."""

    values: tuple[Any, ...]
    probabilities: tuple[float, ...] | None = None

    @property
    def is_constant(self) -> bool:
        return len(self.values) == 1

    def draw(self, rng: random.Random) -> Any:
        return rng.choices(self.values, self.probabilities)[0]

    def grid(self) -> tuple[Any, ...]:
        return self.values

    def examples(self) -> tuple[Any, ...]:
        """Values that stand for all."""
        return self.values

    def middle(self) -> Any:
        return self.values[len(self.values) // 2]

    def index(self, value: Any) -> int:
        return [*map(repr, self.values)].index(repr(value))

    def has(self, value: Any) -> bool:
        return repr(value) in map(repr, self.values)


@dataclass(frozen=True)
class Range:
    """Numbers from low to high, uniform in the value or in its logarithm, in steps from low where a step is given."""

    parameter: Parameter
    low: float
    high: float
    log: bool = False
    step: float | None = None
    integer: bool = False

    is_constant = False

    def draw(self, rng: random.Random) -> float:
        if self.integer and self.step == 1 and not self.log:
            return self.typed(rng.randint(int(self.low), int(self.high)))
        if self.log:
            return self.typed(math.exp(rng.uniform(math.log(self.low), math.log(self.high))))
        return self.typed(rng.uniform(self.low, self.high))

    def grid(self) -> tuple[float, ...]:
        """Every step from low.

        Raises:
            ValueError: there are infinitely many values, or far too many.
        """
        if self.step is None or self.log:
            raise ValueError("a grid needs `values`, or a step `q` with min and max")
        count = math.floor((self.high - self.low) / self.step + 1e-9) + 1
        if count > MOST_GRID_VALUES:
            raise ValueError(f"{count:,} values are too many for a grid")
        return tuple(self.typed(self.low + i * self.step) for i in range(count))

    def examples(self) -> tuple[float, ...]:
        """A value that stands for all."""
        return (self.typed(self.low),)

    def middle(self) -> float:
        """The value in the middle, on its own scale."""
        return self.typed(math.sqrt(self.low) * math.sqrt(self.high) if self.log else self.low / 2 + self.high / 2)

    def has(self, value: Any) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high

    def typed(self, value: float) -> float:
        """On a step, within the range, and of the parameter's own type: 1 and 1.0 would be two trials."""
        if self.step is not None:
            value = self.low + round((value - self.low) / self.step) * self.step
            if not self.integer:
                value = float(f"{value:.12g}")  # its shortest decimal form, so that 0.1 * 3 is 0.3
        value = min(max(value, self.low), self.high)
        typed: float = self.parameter.validate(round(value) if self.integer else value)
        return typed


Domain = Choice | Range


def domain_of(form: RangeForm, parameter: Parameter) -> Range:
    """The range that W&B's form describes.

    Raises:
        ValueError: min, max, q and distribution do not go together, or leave the parameter's own range.
    """
    if not parameter.is_number:
        raise ValueError("min and max are for numbers; give `values`")
    distribution = form.distribution or ("int_uniform" if _is_integral(form, parameter) else "uniform")
    if distribution not in _DISTRIBUTIONS:
        raise ValueError(f"distribution {distribution} takes `value` or `values`, not min and max")
    if not form.min < form.max:
        raise ValueError(f"min {form.min:g} is not below max {form.max:g}")
    log, quantized, exponents = _DISTRIBUTIONS[distribution]
    if form.q is not None and not quantized:
        raise ValueError(f"q goes with q_uniform and q_log_uniform_values, not with {distribution}")
    try:
        low, high = (math.exp(form.min), math.exp(form.max)) if exponents else (form.min, form.max)
    except OverflowError as error:
        raise ValueError("log_uniform takes logarithms; for plain bounds use log_uniform_values") from error
    if log and low <= 0:
        raise ValueError("a logarithmic distribution needs min above 0")
    integer = parameter.is_integer or distribution == "int_uniform"
    if integer and exponents:
        low, high = math.ceil(low * (1 - 1e-9)), math.floor(high * (1 + 1e-9))  # e to the logarithm of 3 is above 3
        if low >= high:
            raise ValueError("there are fewer than two whole numbers between min and max")
    if integer and not exponents and not (float(low).is_integer() and float(high).is_integer()):
        raise ValueError("min and max must be whole numbers here")
    for bound in (low, high):
        parameter.validate(round(bound) if integer else bound)
    step = (form.q or 1.0) if quantized else (1.0 if integer else None)
    if not math.isfinite((high - low) / (step or 1.0)):
        raise ValueError("min and max are too far apart" if step is None else "q is too small for so wide a range")
    return Range(parameter, low, high, log, step, integer)


# name -> is it uniform in the logarithm, does it take q, are min and max exponents of e
_DISTRIBUTIONS = {
    "uniform": (False, False, False),
    "int_uniform": (False, False, False),
    "q_uniform": (False, True, False),
    "log_uniform": (True, False, True),
    "log_uniform_values": (True, False, False),
    "q_log_uniform_values": (True, True, False),
}


def _is_integral(form: RangeForm, parameter: Parameter) -> bool:
    return parameter.is_integer or (isinstance(form.min, int) and isinstance(form.max, int))
