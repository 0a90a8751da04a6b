"""The metrics that a sweep file names, or its trial function declares."""

from collections.abc import Callable, Collection, Sequence

from orchestrator.events import ADDED
from orchestrator.functions import Declaration, TrialFunction
from orchestrator.spec.form import SweepFile
from orchestrator.spec.methods import Method
from orchestrator.spec.mistakes import Mistakes
from orchestrator.spec.source import Location
from orchestrator.spec.strict import MetricForm

Reported = Callable[[str], Sequence[str]]  # metrics that finished trials have reported, by a function's name


def nothing_reported(function: str) -> Sequence[str]:
    """Where there is no store to read."""
    return ()


def metrics_of(
    form: SweepFile, function: TrialFunction, varying: Collection[str], mistakes: Mistakes
) -> Sequence[MetricForm]:
    """What trials are compared by, which differ in the parameters `varying`; nothing where no metric is given."""
    if form.metric is not None and form.several is not None:
        mistakes.note(("metrics",), "give `metric` or `metrics`, not both")
    declared = [MetricForm(name=metric.name, goal=metric.goal) for metric in function.declaration.metrics[:1]]
    metrics = form.several or ([form.metric] if form.metric else declared)
    for i, metric in enumerate(metrics):
        here: Location = ("metrics", i, "name") if form.several else ("metric", "name")
        check_metric(here, metric, function.declaration, varying, mistakes)
        if metric.name in [earlier.name for earlier in metrics[:i]]:
            mistakes.note(here, f"{metric.name} appears twice")
    return metrics


def check_needed(
    form: SweepFile,
    method: Method,
    metrics: Collection[MetricForm],
    names: Callable[[], Sequence[str]],
    mistakes: Mistakes,
) -> None:
    """Refuse what compares trials where there is no metric to compare by; `names` are metrics that it could name."""
    own = isinstance(form.early_terminate, dict) and form.early_terminate.get("metric") is not None
    missing = {
        "method": method.needs_metric and form.metric is None and form.several is None,
        "replicates": form.replicates is not None and not metrics,
        "survivors": form.survivors and not metrics,
        "early_terminate": form.early_terminate is not None and not metrics and not own,
    }
    for key in (key for key, is_missing in missing.items() if is_missing):
        what = form.method if key == "method" else key
        known = names()
        hint = f"; its trials have reported {', '.join(known)}" if known else ""
        mistakes.note((key,), f"{what} needs a metric to compare trials by: add metric: {{name: ..., goal: ...}}{hint}")


def check_metric(
    location: Location, metric: MetricForm, declaration: Declaration, varying: Collection[str], mistakes: Mistakes
) -> None:
    """Refuse a metric that no trial reports, or that does not compare trials which differ in `varying`."""
    if metric.name in ADDED:
        mistakes.note(location, f"{metric.name} is added to what a trial reports; name a metric that it reports")
    for rule in declaration.incomparable:
        between = [name for name in rule.between if name in varying]
        if metric.name in rule.metrics and between:
            mistakes.note(
                location,
                f"{metric.name} {rule.reason}, so it cannot be compared between values of "
                f"{listed(between, 'and')}; use {listed(rule.instead, 'or')}",
            )


def listed(names: Sequence[str], conjunction: str) -> str:
    """Names in a sentence: "a, b or c"."""
    *others, last = names
    return f"{', '.join(others)} {conjunction} {last}" if others else last
