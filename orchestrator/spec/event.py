"""The event whose boundary is looked for: an outcome, a diagnosis, or a metric beyond a bound."""

import math
import operator
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.functions import TrialFunction
from orchestrator.spec.block_forms import DiagnosisForm
from orchestrator.spec.form import SweepFile
from orchestrator.spec.metrics import check_metric, metrics_of
from orchestrator.spec.mistakes import Mistakes, closest, nearest
from orchestrator.spec.source import Location
from orchestrator.spec.strict import MetricForm
from orchestrator.trial import Outcome

HERE: Location = ("boundary", "event")
COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
COMPARED = re.compile(r"\s*(?P<metric>[^<>=!]*?)\s*(?P<sign>[<>=!]+)\s*(?P<bound>[^<>=]*?)\s*")
RAN = (Outcome.COMPLETED, Outcome.EXPLODED, Outcome.PRUNED)


@dataclass(frozen=True)
class BoundaryEvent:
    """What may happen in a trial.

    Args:
        name: for headings: "explosion".
        several: after "the rate of": "explosions".
        outcomes: how a trial ends with which it has happened, and with which it has not; others tell nothing.
        diagnosis: instead, a text that the diagnosis of such a trial has.
        metric: or a metric whose value is beyond a bound, `comparison` and `bound`.
    """

    name: str
    several: str
    outcomes: Mapping[Outcome, bool]
    diagnosis: str = ""
    metric: str = ""
    comparison: str = "<"
    bound: float = 0.0

    def has_happened(self, outcome: Outcome, value: float | None, diagnosis: str) -> bool | None:
        """Whether it has happened in a trial; None where that is not known.

        Args:
            outcome: how the trial has ended.
            value: of the metric; None where it has no finite value.
            diagnosis: of the trial, or "".
        """
        if outcome is Outcome.COMPLETED and self.diagnosis:
            return self.diagnosis.casefold() in diagnosis.casefold()
        if outcome is Outcome.COMPLETED and self.metric:
            return value is None or COMPARISONS[self.comparison](value, self.bound)
        return self.outcomes.get(outcome)


EXPLOSION = BoundaryEvent("explosion", "explosions", {Outcome.EXPLODED: True, Outcome.COMPLETED: False})
INFEASIBLE = BoundaryEvent("infeasible", "infeasible trials", {Outcome.INFEASIBLE: True, **dict.fromkeys(RAN, False)})
NAMED = {event.name: event for event in (EXPLOSION, INFEASIBLE)}
INSTEAD = f"use {', '.join(NAMED)}, {{diagnosis: TEXT}}, or a metric with a bound, as in val_loss > 2.5"


def event_of(form: SweepFile, function: TrialFunction, mistakes: Mistakes) -> BoundaryEvent:
    """The event of a sweep file."""
    given = form.boundary.event if form.boundary else EXPLOSION.name
    if isinstance(given, DiagnosisForm):
        return _diagnosis(given.diagnosis, function.declaration.diagnoses, mistakes)
    if given in NAMED:
        return NAMED[given]
    parts = COMPARED.fullmatch(given)
    if parts is None or not parts["metric"]:
        close = closest(given, [*NAMED])
        mistakes.note(HERE, f"{given!r} is no event; {f'did you mean {close}?' if close else INSTEAD}")
        return EXPLOSION
    return _comparison(parts["metric"], parts["sign"], parts["bound"], mistakes)


def _diagnosis(text: str, declared: Sequence[str], mistakes: Mistakes) -> BoundaryEvent:
    name = " ".join(text.split())
    if not name:
        mistakes.note((*HERE, "diagnosis"), "is empty; give the text that the diagnosis of a trial has")
    elif declared and not any(name.casefold() in one.casefold() for one in declared):
        mistakes.note(
            (*HERE, "diagnosis"), f"the trial function makes no diagnosis {name!r}; {nearest(name, declared)}"
        )
    # a trial that exploded has not come to that; one that never ran might have
    return BoundaryEvent(name, name, {Outcome.EXPLODED: False}, diagnosis=name)


def _comparison(metric: str, sign: str, bound: str, mistakes: Mistakes) -> BoundaryEvent:
    try:
        value = float(bound)
    except ValueError:
        value = math.nan
    if sign not in COMPARISONS:
        mistakes.note(HERE, f"compares with <, <=, > or >=, and not with {sign}")
        sign = "<"
    elif not math.isfinite(value):
        mistakes.note(HERE, f"{bound or 'nothing'} is no number that {metric} could be compared with")
    name = f"{metric} {sign} {value:g}"
    # who asks for a bound gets no good value from a trial without any
    outcomes = {Outcome.EXPLODED: True, Outcome.INFEASIBLE: True}
    return BoundaryEvent(name, name, outcomes, metric=metric, comparison=sign, bound=value)


def metrics_for(
    event: BoundaryEvent, form: SweepFile, function: TrialFunction, varying: Collection[str], mistakes: Mistakes
) -> Sequence[MetricForm]:
    """What trials have to report: the metric of the event, or else what they are compared by.

    Where nobody says which values of the former are better, those are that the event is not about.
    """
    if not event.metric:
        return metrics_of(form, function, varying, mistakes)
    if form.several is not None or (form.metric is not None and form.metric.name != event.metric):
        key = "metrics" if form.metric is None else "metric"
        mistakes.note(HERE, f"is of {event.metric}, and the file has `{key}` beside it; remove that key")
    if form.metric is not None:
        return metrics_of(form, function, varying, mistakes)
    declared = (*function.declaration.metrics, *function.declaration.final)
    goals = [metric.goal for metric in declared if metric.name == event.metric]
    goal = goals[0] if goals else "maximize" if event.comparison.startswith("<") else "minimize"
    metric = mistakes.validated(MetricForm, {"name": event.metric, "goal": goal}, HERE)
    if metric is not None:
        check_metric(HERE, metric, function.declaration, varying, mistakes)
    return [metric] if metric is not None else []
