"""Numbers of a normal, log-normal or beta distribution, as W&B draws them."""

import math
import random
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import Any, Protocol

from orchestrator.functions import Parameter
from orchestrator.spec.parameter_forms import BetaForm, NormalForm
from orchestrator.spec.rounding import multiple, step_of

LEAST = 2.0**-53  # share that a draw may have
SHARES = 1e-4, 1 - 1e-4  # between which searches look
SHARE_PLACES = 6  # of a share in a search, so that a value and its share lead to each other


class Shape(Protocol):
    """A distribution of numbers."""

    def value(self, share: float) -> float:
        """The number below which a share of all numbers lies; the share is between 0 and 1, without these."""

    def share(self, value: float) -> float:
        """Which share of all numbers lies below."""


@dataclass(frozen=True)
class Normal:
    """The normal distribution; where `log`, of the logarithm."""

    mu: float
    sigma: float
    log: bool

    @cached_property
    def _plain(self) -> NormalDist:
        return NormalDist(self.mu, self.sigma)

    def value(self, share: float) -> float:
        exponent = self._plain.inv_cdf(share)
        return math.exp(exponent) if self.log else exponent

    def share(self, value: float) -> float:
        if self.log:
            return self._plain.cdf(math.log(value)) if value > 0 else 0.0
        return self._plain.cdf(value)

    def __str__(self) -> str:
        return f"{'log-' * self.log}normal, mu {self.mu:g}, sigma {self.sigma:g}"


@dataclass(frozen=True)
class Beta:
    """The beta distribution."""

    a: float
    b: float

    def value(self, share: float) -> float:
        from scipy.special import betaincinv  # takes longer to import than a plan to make

        return float(betaincinv(self.a, self.b, share))

    def share(self, value: float) -> float:
        from scipy.special import betainc

        return float(betainc(self.a, self.b, min(max(value, 0.0), 1.0)))

    def __str__(self) -> str:
        return f"beta, a {self.a:g}, b {self.b:g}"


@dataclass(frozen=True)
class Density:
    """Numbers of a shape, rounded to multiples of `q` where it is given. Searches see their shares."""

    parameter: Parameter
    shape: Shape
    q: float | None = None

    is_constant = False
    log = False
    low, high = SHARES

    @property
    def is_continuous(self) -> bool:
        return self.q is None

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the greatest of the values that may be drawn."""
        return self._typed(LEAST), self._typed(1 - LEAST)

    @property
    def words(self) -> str:
        return str(self.shape)

    def draw(self, rng: random.Random) -> float:
        return self._typed(max(rng.random(), LEAST))

    def grid(self) -> tuple[float, ...]:
        """None.

        Raises:
            ValueError: always.
        """
        raise ValueError("a grid needs `values`; method random draws from any distribution")

    def check_draws(self) -> None:
        """Refuse a distribution of which more than one draw in ten thousand is none of its parameter's values.

        Raises:
            ValueError: it is.
        """
        for value in map(self._rounded, SHARES):
            try:
                self.parameter.validate(value)
            except ValueError as error:
                raise ValueError(f"a draw may be {value:.3g}: {error}") from error

    def examples(self) -> tuple[float, ...]:
        """A value that stands for all."""
        return (self.middle(),)

    def middle(self) -> float:
        """The value that half of the draws are below."""
        return self._typed(0.5)

    def encoded(self, value: float) -> float:
        """A value as searches see it."""
        return min(max(round(self.shape.share(value), SHARE_PLACES), self.low), self.high)

    def decoded(self, share: float) -> float:
        """The value that a search means."""
        return self._typed(round(share, SHARE_PLACES))

    def has(self, value: Any) -> bool:
        return isinstance(value, int | float)

    def _rounded(self, share: float) -> float:
        value = self.shape.value(share)
        return value if self.q is None else multiple(value, self.q)

    def _typed(self, share: float) -> float:
        """The value at a share, of the parameter's own type; where that refuses it, the combination is invalid."""
        value = self._rounded(share)
        with suppress(ValueError):
            value = self.parameter.validate(value)
        return value


def density_of(form: NormalForm | BetaForm, parameter: Parameter) -> Density:
    """The distribution that W&B's form describes.

    Raises:
        ValueError: it does not go together, or with the parameter.
    """
    if not parameter.is_number:
        raise ValueError(f"distribution {form.distribution} is for numbers; give `values`")
    q = step_of(form.distribution, form.q, parameter)
    if q is None and parameter.is_integer:
        raise ValueError(f"{form.distribution} draws fractions; for whole numbers use q_{form.distribution}")
    if isinstance(form, NormalForm):
        shape: Shape = Normal(form.mu, form.sigma, "log" in form.distribution)
    else:
        shape = Beta(form.a, form.b)
    for share in (LEAST, 1 - LEAST):
        try:
            finite = math.isfinite(shape.value(share) / (q or 1))
        except OverflowError:
            finite = False
        if not finite:
            raise ValueError("its numbers would be too large" if q is None else "q is too small for so wide a range")
    return Density(parameter, shape, q)
