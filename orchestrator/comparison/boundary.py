"""The result of a boundary sweep: where an event begins along a parameter, for each choice of the others."""

import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from orchestrator.comparison.markdown import markdown_table
from orchestrator.comparison.psychometric import STEPS, Edge, Estimate, Posterior, Scale
from orchestrator.spec import SweepSpec
from orchestrator.spec.domains import Range
from orchestrator.spec.event import BoundaryEvent
from orchestrator.trial import Params, Trial
from orchestrator.trials.labels import listed, short
from orchestrator.trials.observation import Observation
from orchestrator.trials.record import Record
from orchestrator.trials.search_space import ROWS, SearchSpace

FORBIDDEN = re.compile(r"[^\w. :-]")  # characters that MLflow does not allow in the name of a metric
LONGEST = 200  # of the 250 characters that such a name may have


@dataclass
class BoundaryCurve:
    """How often an event happens along a parameter, at a value of a second one, or at a row of `zip` or `configs`."""

    name: str  # of the parameter
    swept: Range
    choice: Params = field(default_factory=dict)  # as a search proposes it: a value, or the index of a row
    at: Params = field(default_factory=dict)  # the parameters that its trials share
    title: str = ""  # of the choice, for people
    points: list[tuple[float, bool]] = field(default_factory=list)  # a value, and whether it happened
    silent: list[float] = field(default_factory=list)  # the values of trials that told nothing of it
    posterior: Posterior = field(default_factory=Posterior)

    @property
    def named(self) -> str:
        """The choice with its name: "width=8"; a row says its own."""
        name = next(iter(self.choice))
        return self.title if name in ROWS else f"{name}={self.title}"

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

    def take(self, value: float, happened: bool | None) -> None:
        """Take in whether it happened in a trial at a value; None where that is not known."""
        if happened is None:
            self.silent.append(value)
        else:
            self.points.append((value, happened))
            self.posterior.observe(self.position(value), happened)

    def leave(self, value: float, happened: bool | None) -> None:
        """Be without a trial that was taken in so."""
        if happened is None:
            self.silent.remove(value)
            return
        self.points.remove((value, happened))
        self.posterior = Posterior()
        for known, did in self.points:
            self.posterior.observe(self.position(known), did)

    def is_narrower_than(self, width: float) -> bool:
        """Whether the 95% interval of each threshold is: by the ratio of its ends on a logarithmic range."""
        return all(self.scale.width(edge.low, edge.high) < width for edge in self.posterior.edges)


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

    @property
    def count(self) -> int:
        """In how many trials the event happened."""
        return sum(happened for _, happened in self.curve.points)

    @property
    def counted(self) -> str:
        """In how many trials the event happened: "18 of 37"."""
        return f"{self.count} of {len(self.curve.points)}"

    @property
    def where(self) -> str:
        """On which sides of the thresholds the event is more frequent: "above 0.02", "below 0.2 and above 0.8"."""
        if self.count in (0, len(self.curve.points)):
            return "never" if self.count == 0 else "always"
        first, *others = self.estimate.edges
        if others and first.rises:
            return f"between {self.at(first.threshold)} and {self.at(others[0].threshold)}"
        if not others and not 0 <= first.threshold <= 1:
            return "no edge on the range"
        return " and ".join(
            f"{'above' if edge.rises else 'below'} {self.at(edge.threshold)}" for edge in (first, *others)
        )

    @property
    def interval(self) -> str:
        """The ends of the 95% interval of each threshold."""
        return self._by_edge(lambda edge: (edge.low, edge.high))

    @property
    def spread(self) -> str:
        """From where the rate has gone 10% of its way to where it has gone 90% of it."""
        return self._by_edge(lambda edge: (edge.ten, edge.ninety))

    @property
    def rates(self) -> str:
        """The rates on either side: "1% to 99%"."""
        return f"{self.estimate.least:.0%} to {self.estimate.greatest:.0%}"

    @property
    def safest(self) -> str:
        """The values at which the risk is below the given risk: "up to 0.01", "0.3 to 0.7"."""
        if not self.estimate.safe:
            return "nowhere" if self.estimate.is_nowhere_safe else "not shown yet"
        return " and ".join(self._region(*region) for region in self.estimate.safe)

    def at(self, position: float) -> str:
        """The value at a position: "0.0231"; "<0.001" where it lies beyond a range that begins there."""
        beyond = "<" if position < 0 else ">" if position > 1 else ""
        return f"{beyond}{self.curve.scale.value(position):.3g}"

    def metrics(self, suffix: str = "") -> dict[str, float]:
        """For MLflow, with `suffix` behind their names; positions beyond the range have the value of its end."""
        positions: dict[str, float] = {}
        for name, edge in zip(("threshold", "threshold_2"), self.estimate.edges, strict=False):
            positions |= {name: edge.threshold, f"{name}_low": edge.low, f"{name}_high": edge.high}
        if self.estimate.safe:
            low, high = max(self.estimate.safe, key=lambda region: region[1] - region[0])
            is_single = len(self.estimate.edges) == 1
            ends = {"safest": high if self.estimate.edges[0].rises else low}
            positions |= ends if is_single else {"safest_from": low, "safest_to": high}
        values = {name: self.curve.scale.value(at) for name, at in positions.items()}
        values |= {"rate_least": self.estimate.least, "rate_greatest": self.estimate.greatest}
        return {f"{name}{suffix}": value for name, value in values.items()}

    def _by_edge(self, ends: Callable[[Edge], tuple[float, float]]) -> str:
        pairs = (sorted(ends(edge)) for edge in self.estimate.edges)
        return " and ".join(f"{self.at(low)} to {self.at(high)}" for low, high in pairs)

    def _region(self, low: float, high: float) -> str:
        if low > 0 and high < 1:
            return f"{self.at(low)} to {self.at(high)}"
        is_upper = not self.estimate.edges[0].rises if low <= 0 and high >= 1 else high >= 1
        return f"from {self.at(low)}" if is_upper else f"up to {self.at(high)}"


@dataclass(frozen=True)
class Boundary:
    """The result of a boundary sweep, curve by curve."""

    sweep: str
    event: BoundaryEvent
    risk: float
    findings: tuple[Finding, ...]

    @classmethod
    def of(cls, spec: SweepSpec, trials: Iterable[Trial], records: Mapping[str, Record]) -> "Boundary":
        """From the trials of a file and their records."""
        curves = curves_of(SearchSpace(spec))
        for trial in trials:
            record = records.get(trial.trial_key)
            if record is not None and (seen := Observation.of_record(spec.objectives, record)):
                curve = curves[index_of(curves, trial.params)]
                curve.take(trial.params[curve.name], has_happened(spec.event, seen))
        risk = spec.boundary.risk
        findings = tuple(Finding(curve, curve.posterior.estimate(risk)) for curve in curves)
        return cls(spec.name, spec.event, risk, findings)

    @property
    def title(self) -> str:
        """Of a table or a picture."""
        return f"{self.sweep}: {self.event.name} along {self.findings[0].curve.name}"

    def header(self) -> list[str]:
        """The columns of the table."""
        choice = list(self.findings[0].curve.choice)
        rates = ["10% to 90% of the rise", "rates"]
        return [*choice, self.event.name, "95% interval", *rates, f"risk below {self.risk:.3g}", "in trials"]

    def cells(self) -> list[list[str]]:
        """A row for each curve, as text."""
        return [self._cells(finding) for finding in self.findings]

    def markdown(self) -> str:
        """The table in Markdown."""
        return markdown_table(self.header(), self.cells())

    def sentences(self) -> list[str]:
        """For people, the edge and what is safe, two lines for each curve."""
        lines = []
        for finding in self.findings:
            curve = finding.curve
            title = f" at {curve.named}" if curve.choice else ""
            interval = "" if finding.count in (0, len(curve.points)) else f"95% interval {finding.interval}; "
            found = f"{finding.where} ({interval}in {finding.counted} trials)" if curve.points else "no trial tells yet"
            lines.append(f"{self.event.name} along {curve.name}{title}: {found}")
            lines += [f"safe, with a risk below {self.risk:.3g}: {finding.safest}"] if curve.points else []
        return lines

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
        curve = finding.curve
        estimate = [finding.where, finding.interval, finding.spread, finding.rates, finding.safest]
        return [
            *([curve.title] if curve.choice else []),
            *(estimate if curve.points else [""] * len(estimate)),
            finding.counted,
        ]


def has_happened(event: BoundaryEvent, seen: Observation) -> bool | None:
    """Whether the event of a sweep has happened in a trial; None where that is not known."""
    value = seen.known[0] if seen.known else None
    return event.has_happened(seen.outcome, value, seen.diagnosis)


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
