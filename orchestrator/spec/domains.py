"""What values a parameter may take: a list to choose from, a range of numbers, or another distribution of them."""

import math
import random
from dataclasses import dataclass
from typing import Any

from orchestrator.functions import Parameter
from orchestrator.spec.densities import Density
from orchestrator.spec.parameter_forms import RangeForm
from orchestrator.spec.rounding import multiple, shortest, step_of

MOST_GRID_VALUES = 10_000
EXPONENTS = ("log_uniform", "inv_log_uniform")  # whose min and max are exponents of e


@dataclass(frozen=True)
class Choice:
    """A list of values, drawn with equal probability or with the given ones. One value is a constant."""

    values: tuple[Any, ...]
    probabilities: tuple[float, ...] | None = None

    is_continuous = False

    @property
    def is_constant(self) -> bool:
        return len(self.values) == 1

    def draw(self, rng: random.Random) -> Any:
        return rng.choices(self.values, self.probabilities)[0]

    def grid(self) -> tuple[Any, ...]:
        return self.values

    def check_draws(self) -> None:
        """Nothing: values were checked when the file was read."""

    def examples(self) -> tuple[Any, ...]:
        """Values that stand for all."""
        return self.values

    def middle(self) -> Any:
        return self.values[len(self.values) // 2]

    def encoded(self, value: Any) -> int:
        """A value as searches see it: by its index."""
        return [*map(repr, self.values)].index(repr(value))

    def decoded(self, index: int) -> Any:
        """The value that a search means."""
        return self.values[index]

    def has(self, value: Any) -> bool:
        return repr(value) in map(repr, self.values)


@dataclass(frozen=True)
class Range:
    """Numbers from low to high, uniform in the value or in its logarithm.

    Where `q` is given, draws are rounded to its multiples, which may lie a little beyond low and high, as in W&B.
    """

    parameter: Parameter
    low: float
    high: float
    log: bool = False
    q: float | None = None
    integer: bool = False  # without q: whole numbers, low and high among them

    is_constant = False

    @property
    def is_continuous(self) -> bool:
        return self.q is None and not self.integer

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the greatest of its values."""
        if self.q is None:
            return self.low, self.high
        return min(self.low, multiple(self.low, self.q)), max(self.high, multiple(self.high, self.q))

    @property
    def words(self) -> str:
        return f"{self.low:g} to {self.high:g}{', logarithmic' * self.log}"

    def draw(self, rng: random.Random) -> float:
        if self.integer and not self.log:
            return self.typed(rng.randint(int(self.low), int(self.high)))
        if self.log:
            return self.typed(math.exp(rng.uniform(math.log(self.low), math.log(self.high))))
        return self.typed(rng.uniform(self.low, self.high))

    def grid(self) -> tuple[float, ...]:
        """With `q`, every step from low that is below high, as in W&B; of whole numbers, all.

        Raises:
            ValueError: there are infinitely many values, or far too many, or the parameter cannot have one of them.
        """
        if self.is_continuous or self.log:
            raise ValueError("a grid needs `values`, whole numbers, or a step `q` with min and max (q_uniform)")
        first: float
        step: float
        if self.q is None:
            first, step, count = int(self.low), 1, int(self.high) - int(self.low) + 1
        else:
            first, step, count = self.low, self.q, math.ceil((self.high - self.low) / self.q)
        if count > MOST_GRID_VALUES:
            raise ValueError(f"{count:,} values are too many for a grid")
        return tuple(self.parameter.validate(shortest(first + i * step)) for i in range(count))

    def check_draws(self) -> None:
        """Refuse a range that is rounded to values that its parameter cannot have.

        Raises:
            ValueError: it is.
        """
        for name, bound in (("min", self.low), ("max", self.high)):
            try:
                self.typed(bound)
            except ValueError as error:
                raise ValueError(f"q rounds {name} {bound:g}: {error}") from error

    def examples(self) -> tuple[float, ...]:
        """A value that stands for all."""
        return (self.typed(self.low),)

    def middle(self) -> float:
        """The value in the middle, on its own scale."""
        return self.typed(math.sqrt(self.low) * math.sqrt(self.high) if self.log else self.low / 2 + self.high / 2)

    def encoded(self, value: float) -> float:
        """A value as searches see it: between low and high, where it is rounded from."""
        return min(max(value, self.low), self.high)

    def decoded(self, value: float) -> float:
        """The value that a search means."""
        return self.typed(value)

    def has(self, value: Any) -> bool:
        least, most = self.ends
        return isinstance(value, int | float) and least <= value <= most

    def typed(self, value: float) -> float:
        """Rounded, and of the parameter's own type: 1 and 1.0 would be two trials.

        Raises:
            ValueError: the parameter cannot have the multiple of `q`.
        """
        if self.q is not None:
            value = multiple(value, self.q)
        else:
            value = self.low + round(value - self.low) if self.integer else value
            value = min(max(value, self.low), self.high)
        typed: float = self.parameter.validate(round(value) if self.integer else value)
        return typed


Domain = Choice | Range | Density


def domain_of(form: RangeForm, parameter: Parameter) -> Range:
    """The range that W&B's form describes.

    Raises:
        ValueError: min, max, q and distribution do not go together, or leave the parameter's own range.
    """
    if not parameter.is_number:
        raise ValueError("min and max are for numbers; give `values`")
    if not form.min < form.max:
        raise ValueError(f"min {form.min:g} is not below max {form.max:g}")
    distribution = form.distribution or _usual(form, parameter)
    q = step_of(distribution, form.q, parameter)
    integer = q is None and (parameter.is_integer or distribution == "int_uniform")
    low, high = _bounds(distribution.removeprefix("q_"), form, integer)
    if "log" in distribution and low <= 0:
        raise ValueError("a logarithmic distribution needs min above 0")
    for bound in (low, high) if q is None else ():  # what is rounded is checked where it is known how it is used
        parameter.validate(round(bound) if integer else bound)
    if not math.isfinite(high - low):
        raise ValueError("min and max are too far apart")
    if q is not None and not math.isfinite(max(abs(low), abs(high)) / q):
        raise ValueError("q is too small for so wide a range")
    return Range(parameter, low, high, "log" in distribution, q, integer)


def _usual(form: RangeForm, parameter: Parameter) -> str:
    """The distribution of a form that names none."""
    if form.q is not None:
        return "q_uniform"
    whole = isinstance(form.min, int) and isinstance(form.max, int)
    return "int_uniform" if whole or parameter.is_integer else "uniform"


def _bounds(distribution: str, form: RangeForm, integer: bool) -> tuple[float, float]:
    """The least and the greatest value before it is rounded."""
    if distribution not in EXPONENTS:
        if integer and not (float(form.min).is_integer() and float(form.max).is_integer()):
            raise ValueError("min and max must be whole numbers here")
        return form.min, form.max
    exponents = (-form.max, -form.min) if distribution == "inv_log_uniform" else (form.min, form.max)
    try:
        low, high = map(math.exp, exponents)
    except OverflowError as error:
        raise ValueError(f"{distribution} takes logarithms; for plain bounds use {distribution}_values") from error
    if integer:
        low, high = math.ceil(low * (1 - 1e-9)), math.floor(high * (1 + 1e-9))  # e to the logarithm of 3 is above 3
        if low >= high:
            raise ValueError("there are fewer than two whole numbers between min and max")
    return low, high
