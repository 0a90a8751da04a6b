"""The result of a boundary sweep: where training breaks along a parameter, for each choice of the others."""

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from orchestrator.comparison.markdown import markdown_table
from orchestrator.comparison.psychometric import STEPS, Estimate, Posterior, Scale
from orchestrator.spec import SweepSpec
from orchestrator.spec.domains import Range
from orchestrator.trial import Outcome, Params, Trial
from orchestrator.trials.labels import listed, short
from orchestrator.trials.record import Record
from orchestrator.trials.search_space import ROWS, SearchSpace

EXPLODED = {Outcome.EXPLODED: True, Outcome.COMPLETED: False}  # other outcomes carry no information
FORBIDDEN = re.compile(r"[^\w. :-]")  # characters that MLflow does not allow in the name of a metric
LONGEST = 200  # of the 250 characters that such a name may have


@dataclass
class BoundaryCurve:
    """How often trials explode along a parameter, at one value of a second one, or at one row of `zip` or `configs`."""

    name: str  # of the parameter
    swept: Range
    choice: Params = field(default_factory=dict)  # as a search proposes it: a value, or the index of a row
    at: Params = field(default_factory=dict)  # the parameters that its trials share
    title: str = ""  # of the choice, for people
    points: list[tuple[float, bool]] = field(default_factory=list)  # a value, and whether it exploded
    posterior: Posterior = field(default_factory=Posterior)

    @cached_property
    def scale(self) -> Scale:
        return Scale(self.swept.low, self.swept.high, self.swept.log)

    def position(self, value: float) -> float:
        """Where a value lies on the scale; a value that was rounded beyond the range, at its end."""
        return self.scale.position(self.swept.encoded(value))

    def candidates(self) -> list[float]:
        """Values evenly over the range, on its own scale, as short numbers."""
        exact = [self.scale.value(step / STEPS) for step in range(STEPS + 1)]
        gaps = [after - value for value, after in itertools.pairwise(exact)]
        return sorted({self.swept.typed(_shortened(*pair)) for pair in zip(exact, [*gaps, gaps[-1]], strict=True)})

    def take(self, value: float, outcome: Outcome) -> None:
        """Take in the outcome of a trial at a value."""
        exploded = EXPLODED.get(outcome)
        if exploded is not None:
            self.points.append((value, exploded))
            self.posterior.observe(self.position(value), exploded)

    def is_narrower_than(self, width: float) -> bool:
        """Whether the threshold's 95% interval is: by the ratio of its ends on a logarithmic range."""
        _, low, high = self.posterior.interval()
        return self.scale.width(low, high) < width


def curves_of(space: SearchSpace) -> list[BoundaryCurve]:
    """The curves of a sweep, without trials."""
    ranges = {name: domain for name, domain in space.domains.items() if isinstance(domain, Range)}
    ((name, domain),) = ranges.items()
    seconds = space.domains.keys() - ranges.keys()
    choices = [{second: value} for second in seconds for value in space.domains[second].grid()]
    return [
        BoundaryCurve(name, domain, choice, space.shared(choice), _title(space, choice)) for choice in choices or [{}]
    ]


def index_of(curves: Sequence[BoundaryCurve], params: Params) -> int:
    """Which of the curves a trial of these parameters lies on."""
    # by their text, since True is 1
    return next(i for i, curve in enumerate(curves) if all(repr(params[k]) == repr(v) for k, v in curve.at.items()))


@dataclass(frozen=True)
class Finding:
    """The estimate of a curve, as text."""

    curve: BoundaryCurve
    estimate: Estimate
    risk: float

    @property
    def exploded(self) -> int:
        """How many trials exploded."""
        return sum(exploded for _, exploded in self.curve.points)

    @property
    def breaks(self) -> str:
        """Where half of the trials explode: "above 0.02"."""
        if self.exploded in (0, len(self.curve.points)):
            return "never" if self.exploded == 0 else "always"
        return f"{'above' if self.estimate.breaks_above else 'below'} {self.at(self.estimate.threshold)}"

    @property
    def interval(self) -> str:
        """The ends of the 95% interval of the threshold."""
        return f"{self.at(self.estimate.low)} to {self.at(self.estimate.high)}"

    @property
    def spread(self) -> str:
        """From where 10% of the trials explode to where 90% do."""
        return f"{self.at(self.estimate.ten)} to {self.at(self.estimate.ninety)}"

    @property
    def safest(self) -> str:
        """Up to which value, or from which value on, the risk is below the given risk."""
        if self.estimate.safest is None:
            return "nowhere"
        return f"{'up to' if self.estimate.breaks_above else 'from'} {self.at(self.estimate.safest)}"

    def at(self, position: float) -> str:
        """The value at a position: "0.0231"; "<0.001" where it lies beyond a range that begins there."""
        beyond = "<" if position < 0 else ">" if position > 1 else ""
        return f"{beyond}{self.curve.scale.value(position):.3g}"

    def metrics(self, suffix: str = "") -> dict[str, float]:
        """For MLflow, with `suffix` behind their names; positions beyond the range have the value of its end."""
        estimate = self.estimate
        positions = {
            "threshold": estimate.threshold,
            "threshold_low": estimate.low,
            "threshold_high": estimate.high,
            "safest": estimate.safest,
        }
        return {f"{name}{suffix}": self.curve.scale.value(at) for name, at in positions.items() if at is not None}


@dataclass(frozen=True)
class Boundary:
    """The result of a boundary sweep, curve by curve."""

    sweep: str
    risk: float
    findings: tuple[Finding, ...]

    @classmethod
    def of(cls, spec: SweepSpec, trials: Iterable[Trial], records: Mapping[str, Record]) -> "Boundary":
        """From the trials of a file and their records."""
        curves = curves_of(SearchSpace(spec))
        for trial in trials:
            record = records.get(trial.trial_key)
            if record is not None and record.outcome is not None:
                curve = curves[index_of(curves, trial.params)]
                curve.take(trial.params[curve.name], record.outcome)
        risk = spec.boundary.risk
        return cls(spec.name, risk, tuple(Finding(curve, curve.posterior.estimate(risk), risk) for curve in curves))

    @property
    def title(self) -> str:
        """Of a table or a picture."""
        return f"{self.sweep}: where half of the trials explode, by {self.findings[0].curve.name}"

    def header(self) -> list[str]:
        """The columns of the table."""
        choice = list(self.findings[0].curve.choice)
        columns = ["breaks", "95% interval", "10% to 90% explode", f"risk below {self.risk:.3g}", "exploded", "trials"]
        return [*choice, *columns]

    def cells(self) -> list[list[str]]:
        """A row for each curve, as text."""
        return [self._cells(finding) for finding in self.findings]

    def markdown(self) -> str:
        """The table in Markdown."""
        return markdown_table(self.header(), self.cells())

    def metrics(self) -> dict[str, float]:
        """Of every curve with trials, by names that MLflow allows."""
        metrics: dict[str, float] = {}
        uses: Counter[str] = Counter()
        for finding in self.findings:
            title = FORBIDDEN.sub("_", finding.curve.title)
            suffix = "".join(f"/{name} {title}"[:LONGEST] for name in finding.curve.choice)
            uses[suffix] += 1
            if finding.curve.points:
                metrics |= finding.metrics(suffix if uses[suffix] == 1 else f"{suffix}:{uses[suffix]}")
        return metrics

    def _cells(self, finding: Finding) -> list[str]:
        curve, exploded = finding.curve, finding.exploded
        estimate = [finding.breaks, finding.interval, finding.spread, finding.safest]
        return [
            *([curve.title] if curve.choice else []),
            *(estimate if curve.points else [""] * 4),
            str(exploded),
            str(len(curve.points)),
        ]


def _title(space: SearchSpace, choice: Params) -> str:
    """A value alone; of a row, the parameters in which rows differ."""
    given = space.values(choice)
    if choice.keys().isdisjoint(ROWS):
        return "".join(map(short, given.values()))
    names = [name for name in space.spec.function.parameters if name in given and name in space.spec.varying]
    return listed(given, names) or "defaults"


def _shortened(value: float, gap: float) -> float:
    """Rounded to a hundredth of the gap to the next value."""
    return round(value, 2 - math.floor(math.log10(gap))) if gap > 0 else value
