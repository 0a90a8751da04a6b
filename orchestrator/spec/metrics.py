"""The metrics that a sweep file names."""

from collections.abc import Collection, Sequence

from orchestrator.events import METRIC_NAME
from orchestrator.spec.form import DEFAULT_TRIAL, MetricForm, SweepFile
from orchestrator.spec.mistakes import Mistakes
from orchestrator.spec.source import Location

DEFAULT_METRIC = MetricForm(name="val_ssim", goal="maximize")
OF_THE_LOSS = ("_loss", "_recon")


def metrics_of(form: SweepFile, varying: Collection[str], mistakes: Mistakes) -> Sequence[MetricForm]:
    """What trials are compared by, which differ in the parameters `varying`."""
    if form.metric is not None and form.metrics is not None:
        mistakes.note(("metrics",), "give `metric` or `metrics`, not both")
    metrics = form.metrics or [form.metric or DEFAULT_METRIC]
    for i, metric in enumerate(metrics):
        here: Location = ("metrics", i, "name") if form.metrics else ("metric", "name")
        check_metric(here, metric, form, varying, mistakes)
        if metric.name in [earlier.name for earlier in metrics[:i]]:
            mistakes.note(here, f"{metric.name} stands here twice")
    return metrics


def check_metric(
    location: Location, metric: MetricForm, form: SweepFile, varying: Collection[str], mistakes: Mistakes
) -> None:
    """Refuse a metric that there cannot be, or that does not compare trials which differ in `varying`."""
    if not METRIC_NAME.fullmatch(metric.name):
        mistakes.note(location, f"{metric.name!r} is no metric name: letters, digits, _ - . : / and spaces")
    if form.trial == DEFAULT_TRIAL and "var" in varying and metric.name.endswith(OF_THE_LOSS):
        # the decoder's variance is in it, so it cannot say which variance is best
        mistakes.note(
            location,
            f"{metric.name} has var in it, so its values do not compare between values of var; "
            "use val_ssim, val_mse or val_nll",
        )
