"""What the metrics of a trial have to keep to, as the file says: `constraints`."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.divergence import FARTHEST
from orchestrator.events import ADDED
from orchestrator.spec.form import SweepFile
from orchestrator.spec.methods import Method
from orchestrator.spec.mistakes import Mistakes
from orchestrator.spec.objective import Objective, ObjectiveSoFar
from orchestrator.system.figures import compared

LEAST = 1e-12  # a size of numbers


@dataclass(frozen=True)
class Constraint:
    """A metric, and what it may be at most and at least."""

    objective: Objective  # the metric, and which of its values counts
    max: float | None = None
    min: float | None = None

    @property
    def name(self) -> str:
        """Of the metric."""
        return self.objective.name

    @property
    def bounds(self) -> str:
        """What it may be, for people: "n_params at least 10 and at most 1000"."""
        known = (("at least", self.min), ("at most", self.max))
        return f"{self.name} {' and '.join(f'{side} {bound:g}' for side, bound in known if bound is not None)}"

    def margin(self, value: float) -> float:
        """How far beyond a bound a value is, above 0 where it breaks one: in powers of ten where both are above 0.

        Else in parts of the greater one, by size. Never beyond 3 on either side.
        """
        above = [] if self.max is None else [_beyond(value, self.max)]
        below = [] if self.min is None else [-_beyond(value, self.min)]
        return max(-FARTHEST, min(FARTHEST, max(*above, *below, -FARTHEST)))

    def in_words(self, value: float | None) -> str:
        """How a value breaks it: "latency_ms 9.1 is above 8"."""
        if value is None:
            return f"{self.name} is not finite"
        is_above = self.max is not None and value > self.max
        bound = self.max if is_above else self.min
        shown, limit = compared(value, value if bound is None else bound)
        return f"{self.name} {shown} is {'above' if is_above else 'below'} {limit}"


@dataclass
class ConstraintsSoFar:
    """What a trial has told of the constrained metrics, epoch by epoch."""

    constraints: Sequence[Constraint]
    values: dict[str, ObjectiveSoFar] = field(default_factory=dict)
    not_finite: set[str] = field(default_factory=set)

    def take(self, metrics: Mapping[str, float], epoch: int, not_finite: Collection[str] = ()) -> None:
        """Take in an epoch."""
        for constraint in self.constraints:
            so_far = self.values.setdefault(constraint.name, ObjectiveSoFar(constraint.objective))
            so_far.take(metrics.get(constraint.name), epoch)
        self.not_finite.update(not_finite)

    def told(self, final: Mapping[str, float], not_finite: Collection[str] = ()) -> "Told":
        """The values that count, by constraint, once the trial has ended with these metrics."""
        found: dict[Constraint, float | None] = {}
        for constraint in self.constraints:
            so_far = self.values.get(constraint.name, ObjectiveSoFar(constraint.objective))
            value = so_far.value(final.get(constraint.name))
            if value is not None or constraint.name in {*self.not_finite, *not_finite}:
                found[constraint] = value
        return found


Told = Mapping[Constraint, float | None]  # of the constraints that a trial told of; None where it had no finite value


def margins(told: Told) -> dict[str, float]:
    """How far beyond its constraints a trial was, by the names of their metrics; above 0 where it broke one."""
    return {one.name: FARTHEST if value is None else one.margin(value) for one, value in told.items()}


def broken(told: Told) -> tuple[str, ...]:
    """The constraints that a trial broke, each in words."""
    return tuple(one.in_words(value) for one, value in told.items() if value is None or one.margin(value) > 0)


def constraints_of(
    form: SweepFile, method: Method, objectives: Sequence[Objective], mistakes: Mistakes
) -> tuple[Constraint, ...]:
    """The constraints of a file. Of a metric that trials are compared by, the same value counts."""
    if form.constraints and method.finds_boundary:
        mistakes.note(("constraints",), f"method {method.name} ranks no trials, which constraints would; remove them")
    compared_by = {objective.name: objective for objective in objectives}
    found = []
    for name, bounds in form.constraints.items():
        if name in ADDED:
            mistakes.note(("constraints", name), f"{name} is added to what a trial reports; name a metric of its own")
        if bounds.max is None and bounds.min is None:
            mistakes.note(("constraints", name), "has no bound; give it a `max`, a `min`, or both")
        elif bounds.max is not None and bounds.min is not None and bounds.min > bounds.max:
            mistakes.note(("constraints", name), f"no value is at least {bounds.min:g} and at most {bounds.max:g}")
        own = Objective(name, "minimize" if bounds.min is None else "maximize", counts_best=False)
        found.append(Constraint(compared_by.get(name, own), bounds.max, bounds.min))
    return tuple(found)


def _beyond(value: float, bound: float) -> float:
    """How far a value is above a bound."""
    if value > 0 and bound > 0:
        return math.log10(value) - math.log10(bound)
    return (value - bound) / max(abs(value), abs(bound), LEAST)
