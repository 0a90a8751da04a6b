"""Whether a published figure was reproduced: the rule, and its verdict on each figure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean

from orchestrator.comparison.intervals import half_width
from orchestrator.functions.declaration import UNDECLARED, Declaration, Tolerance
from orchestrator.spec.metrics import listed
from orchestrator.trial import Outcome

USUAL = Tolerance(0.05, relative=True)  # of a metric for which the trial function declares none
WIDEST = 2  # tolerances: the largest half of an interval that allows a verdict

FIGURES = (
    "Our figure is the mean over the seeds that completed. It reproduces the published figure if the two differ by at "
    "most {allowed}. "
    f"With two or more seeds, it also does so if the published figure lies within the 95% interval of our mean "
    f"(Student's t), unless half of that interval is more than {WIDEST} tolerances: then our seeds scatter too much, "
    f"and the figure is not comparable. In all other cases the figure differs."
)
OUTCOMES = (
    "An explosion is reproduced if at least half of our seeds exploded; otherwise it differs. A figure of a published "
    "run that completed differs if at least half of our seeds exploded.",
    "A figure is not comparable if either side lacks it, or if our trials have other settings than the sweep file.",
)


class Verdict(StrEnum):
    """Whether a published figure was reproduced."""

    REPRODUCED = "reproduced"
    DIFFERS = "differs"
    NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True)
class OurResult:
    """A metric of the seeds that completed, and how many of the seeds that ended exploded."""

    values: Sequence[float] = ()
    exploded: int = 0
    ended: int = 0

    @property
    def explodes(self) -> bool:
        """Whether at least half of the seeds exploded."""
        return 0 < self.ended <= 2 * self.exploded

    @property
    def count(self) -> str:
        """How many of the seeds exploded, as text."""
        return f"{self.exploded} of {self.ended} exploded here"


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
    return FIGURES.replace("{allowed}", allowed), *OUTCOMES


def of_figure(
    metric: str, published: float | None, ours: OurResult, declaration: Declaration = UNDECLARED
) -> Judgement:
    """Compare a published figure of a metric with ours, by the tolerance that the trial function declares."""
    if published is None:
        return Judgement(Verdict.NOT_COMPARABLE, "nothing published")
    if ours.explodes:
        return Judgement(Verdict.DIFFERS, f"{ours.count}; the published run completed")
    if not ours.values:
        return Judgement(Verdict.NOT_COMPARABLE, "we have no such figure" if ours.ended else "we have no result")
    allowed = (declaration.tolerance(metric) or USUAL).around(published)
    half = half_width(ours.values)
    difference = abs(fmean(ours.values) - published)
    if difference <= allowed:
        return Judgement(Verdict.REPRODUCED, f"within {allowed:.2g}")
    if half is not None and difference <= half:
        if half > WIDEST * allowed:
            return Judgement(Verdict.NOT_COMPARABLE, f"our seeds scatter too much: ±{half:.2g}")
        return Judgement(Verdict.REPRODUCED, "within our 95% interval")
    return Judgement(Verdict.DIFFERS, f"more than {allowed:.2g} apart")


def of_outcome(published: Outcome, ours: OurResult) -> Judgement:
    """Compare a published outcome with ours."""
    if published not in (Outcome.EXPLODED, Outcome.COMPLETED):
        return Judgement(Verdict.NOT_COMPARABLE, f"{published} is not a result of the model")
    if not ours.ended:
        return Judgement(Verdict.NOT_COMPARABLE, "we have no result")
    same = ours.explodes is (published is Outcome.EXPLODED)
    return Judgement(Verdict.REPRODUCED if same else Verdict.DIFFERS, ours.count)
