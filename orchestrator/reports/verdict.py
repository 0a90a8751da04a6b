"""Whether a published figure was reproduced: the rule, and its verdict on each figure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from orchestrator.comparison.intervals import half_width
from orchestrator.functions.declaration import UNDECLARED, Declaration, Tolerance
from orchestrator.spec.metrics import listed
from orchestrator.system.averages import average
from orchestrator.trial import Outcome

USUAL = Tolerance(0.05, relative=True)  # of a metric for which the trial function declares none
WIDEST = 2  # tolerances: the largest half of an interval that allows a verdict

MOST_NAMES = 3

FIGURES = (
    "Our figure is the mean over the seeds that completed. It agrees with the published figure if the two differ by at "
    "most {allowed}. "
    f"With two or more seeds, it also does so if the published figure lies within the 95% interval of our mean "
    f"(Student's t). But if half of that interval is more than {WIDEST} tolerances, our seeds scatter too much for "
    f"either, and the figure is not comparable. In all other cases the figure differs."
)
OTHERS = (
    "A figure that agrees is reproduced if our row is the nearest to it and our other rows are told from ours: they do "
    "not agree, or differ from ours beyond chance on the seeds that both have (95%, paired t). Otherwise it is "
    "compatible: the published figure may be that of another row of ours, just as well."
)
OUTCOMES = (
    "An explosion is reproduced if at least half of our seeds exploded; otherwise it differs. If all of our other rows "
    "ended alike, it is compatible. A figure of a published run that completed differs if at least half of our seeds "
    "exploded.",
    "A figure is not comparable if either side lacks it, or if our trials have other settings than the sweep file.",
)


class Verdict(StrEnum):
    """Whether a published figure was reproduced."""

    REPRODUCED = "reproduced"
    COMPATIBLE = "compatible"
    DIFFERS = "differs"
    NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True)
class OurResult:
    """A metric of the seeds that completed, how many of the seeds that ended exploded, and which seeds completed."""

    values: Sequence[float] = ()
    exploded: int = 0
    ended: int = 0
    seeds: Sequence[object] = ()  # of the values, where they are known

    @cached_property
    def half(self) -> float:
        """Half of the 95% interval of the mean; 0 of a single seed."""
        return half_width(self.values) or 0.0

    @cached_property
    def mean(self) -> float:
        """Over the seeds that completed.

        Raises:
            StatisticsError: there are none.
        """
        return average(self.values)

    def is_near(self, published: float, allowed: float) -> bool:
        """Whether a published figure may be its, by the tolerance or by the scatter of the seeds, however wide."""
        return bool(self.values) and not self.explodes and abs(self.mean - published) <= max(allowed, self.half)

    def agrees(self, published: float, allowed: float) -> bool:
        """Whether it is near, by seeds that do not scatter too much."""
        return self.is_near(published, allowed) and self.half <= WIDEST * allowed

    def is_told_from(self, other: "OurResult") -> bool:
        """Whether it differs from another one beyond chance, on the seeds that both have."""
        theirs = dict(zip(other.seeds, other.values, strict=False))
        pairs = zip(self.seeds, self.values, strict=False)
        differences = [mine - theirs[seed] for seed, mine in pairs if seed in theirs]
        half = half_width(differences)
        return half is not None and abs(average(differences)) > half

    @property
    def explodes(self) -> bool:
        """Whether at least half of the seeds exploded."""
        return 0 < self.ended <= 2 * self.exploded

    @property
    def count(self) -> str:
        """How many of the seeds exploded, as text."""
        return f"{self.exploded} of {self.ended} exploded here"


Others = Sequence[tuple[str, OurResult]]  # our other rows, by name


@dataclass(frozen=True)
class Judgement:
    """A verdict and its reason."""

    verdict: Verdict
    reason: str


def rule(declarations: Iterable[Declaration]) -> tuple[str, ...]:
    """The rule of verdicts, in sentences, with the tolerances of these declarations."""
    metrics = [metric for declaration in declarations for metric in declaration.final if metric.tolerance]
    tolerances = dict.fromkeys(f"{metric.tolerance} ({metric.heading})" for metric in metrics)
    allowed = listed([*tolerances, f"{USUAL} (any other)"], "or") if tolerances else str(USUAL)
    return FIGURES.replace("{allowed}", allowed), OTHERS, *OUTCOMES


def of_figure(
    metric: str,
    published: float | None,
    ours: OurResult,
    declaration: Declaration = UNDECLARED,
    others: Others = (),
) -> Judgement:
    """Compare a published figure of a metric with ours, by the tolerance that the trial function declares.

    Args:
        metric: its name.
        published: the figure, if there is one.
        ours: the same of our row.
        declaration: of the trial function.
        others: the same of our other rows, with their names.
    """
    if published is None:
        return Judgement(Verdict.NOT_COMPARABLE, "nothing published")
    if ours.explodes:
        return Judgement(Verdict.DIFFERS, f"{ours.count}; the published run completed")
    if not ours.values:
        return Judgement(Verdict.NOT_COMPARABLE, "we have no such figure" if ours.ended else "we have no result")
    allowed = (declaration.tolerance(metric) or USUAL).around(published)
    if not ours.is_near(published, allowed):
        return Judgement(Verdict.DIFFERS, f"more than {allowed:.2g} apart")
    if ours.half > WIDEST * allowed:
        return Judgement(Verdict.NOT_COMPARABLE, f"our seeds scatter too much: ±{ours.half:.2g}")
    difference = abs(ours.mean - published)
    reason = f"within {allowed:.2g}" if difference <= allowed else "within our 95% interval"
    values = [(name, other) for name, other in others if other.values and not other.explodes]
    if alike := [name for name, other in values if other.agrees(published, allowed) and not ours.is_told_from(other)]:
        return Judgement(Verdict.COMPATIBLE, f"{reason}, as {_named(alike)}")
    if nearer := [name for name, other in values if abs(other.mean - published) < difference]:
        return Judgement(Verdict.COMPATIBLE, f"{reason}, and not as near as {_named(nearer)}")
    return Judgement(Verdict.REPRODUCED, f"{reason}, and the nearest of {len(others) + 1} rows" if others else reason)


def _named(names: Sequence[str]) -> str:
    """Rows by name: "lr=0.1", "lr=0.1 and 5 other rows"."""
    shown = [*names[:MOST_NAMES]] if len(names) <= MOST_NAMES else [names[0], f"{len(names) - 1} other rows"]
    return listed(shown, "and")


def of_outcome(published: Outcome, ours: OurResult, others: Others = ()) -> Judgement:
    """Compare a published outcome with ours, beside those of our other rows."""
    if published not in (Outcome.EXPLODED, Outcome.COMPLETED):
        return Judgement(Verdict.NOT_COMPARABLE, f"{published} is not a result of the model")
    if not ours.ended:
        return Judgement(Verdict.NOT_COMPARABLE, "we have no result")
    if ours.explodes is not (published is Outcome.EXPLODED):
        return Judgement(Verdict.DIFFERS, ours.count)
    known = [other for _, other in others if other.ended]
    if known and all(other.explodes is ours.explodes for other in known):
        return Judgement(Verdict.COMPATIBLE, f"{ours.count}, and our other rows ended alike")
    return Judgement(Verdict.REPRODUCED, ours.count)
