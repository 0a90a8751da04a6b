"""What ends trials early: a sweep file's `early_terminate`."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from orchestrator.functions import TrialFunction
from orchestrator.spec.form import SweepFile
from orchestrator.spec.methods import named
from orchestrator.spec.metrics import check_metric
from orchestrator.spec.mistakes import Mistakes, nearest
from orchestrator.spec.pruner_forms import PRUNERS, Hyperband, Patient, PrunerForm, Wilcoxon
from orchestrator.spec.source import Location


def pruner_of(
    form: SweepFile, function: TrialFunction, varying: Collection[str], mistakes: Mistakes
) -> PrunerForm | None:
    """The pruner, if there is one; `varying` are the parameters in which the trials differ that it compares."""
    if form.early_terminate is None:
        return None
    here: Location = ("early_terminate",)
    if named(form.method).finds_boundary:
        mistakes.note(here, f"does not work with method {form.method}, which has to see whether each trial explodes")
    pruner = _pruner(here, form.early_terminate, PRUNERS, mistakes)
    if isinstance(pruner, Wilcoxon):
        _check_seeds(pruner, form.seeds, mistakes)
    is_alone = isinstance(pruner, Patient) and pruner.wrapped_pruner is None  # compares a trial with itself
    if pruner and pruner.metric:
        between = () if is_alone else varying
        check_metric((*here, "metric", "name"), pruner.metric, function.declaration, between, mistakes)
    elif pruner and form.several:
        mistakes.note((*here, "metric"), f"is missing: name the one of `metrics` that {pruner.type} compares")
    return pruner


def _pruner(
    location: Location, raw: Any, known: Mapping[str, type[PrunerForm]], mistakes: Mistakes
) -> PrunerForm | None:
    if not (isinstance(raw, dict) and "type" in raw):
        mistakes.note(location, f"needs {{type: ...}} with one of {', '.join(known)}")
        return None
    kind = known.get(str(raw["type"]))
    if kind is None:
        mistakes.note((*location, "type"), f"unknown type {raw['type']!r}; {nearest(str(raw['type']), known)}")
        return None
    pruner = mistakes.validated(kind, raw, location)
    if isinstance(pruner, Hyperband) and not pruner.brackets:
        mistakes.note(location, "hyperband needs min_iter, or max_iter and s, with at least one bracket")
    if isinstance(pruner, Patient) and pruner.wrapped_pruner is not None:
        wrapped = _wrapped((*location, "wrapped_pruner"), pruner.wrapped_pruner, mistakes)
        return pruner.model_copy(update={"wrapped_pruner": wrapped})
    return pruner


def _wrapped(location: Location, raw: Any, mistakes: Mistakes) -> PrunerForm | None:
    known = {name: kind for name, kind in PRUNERS.items() if name not in ("patient", "wilcoxon")}
    wrapped = _pruner(location, raw, known, mistakes)
    if wrapped and wrapped.metric:
        mistakes.note((*location, "metric"), "is set by the pruner around this one; give it there")
    return wrapped


def _check_seeds(wilcoxon: Wilcoxon, seeds: Sequence[int], mistakes: Mistakes) -> None:
    """For n seeds, all of them worse, the test has a p-value of 2^-n."""
    least = max(2, wilcoxon.n_startup_steps)
    while 2.0**-least >= wilcoxon.p_threshold:
        least += 1
    if len(seeds) <= least:
        mistakes.note(
            ("early_terminate",),
            f"wilcoxon needs at least {least + 1} `seeds`: with p_threshold {wilcoxon.p_threshold:g} it needs "
            f"{least} to see a difference, and one more that can be skipped",
        )
