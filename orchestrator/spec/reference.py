"""The published figures that a sweep file compares its results with."""

import math
from collections.abc import Mapping
from typing import Any

from orchestrator.functions import TrialFunction
from orchestrator.spec.form import SweepFile
from orchestrator.spec.mistakes import Mistakes, nearest
from orchestrator.spec.source import Location
from orchestrator.spec.sweep_spec import Reference, ReferenceRow
from orchestrator.spec.values import typed
from orchestrator.trial import Outcome


def reference_of(form: SweepFile, function: TrialFunction, mistakes: Mistakes) -> Reference | None:
    """The figures, if there are any: of each row what is a parameter, what its outcome, what a metric."""
    if form.reference is None:
        return None
    rows = tuple(_row(("reference", "rows", i), row, function, mistakes) for i, row in enumerate(form.reference.rows))
    return Reference(form.reference.source, rows)


def _row(location: Location, row: Mapping[str, Any], function: TrialFunction, mistakes: Mistakes) -> ReferenceRow:
    params: dict[str, Any] = {}
    metrics: dict[str, float] = {}
    outcome = None
    for name, value in row.items():
        here = (*location, name)
        if parameter := function.named(name):
            params[parameter.name] = typed(here, value, parameter, mistakes)
        elif name == "outcome":
            outcome = _outcome(here, value, mistakes)
        elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            metrics[name] = float(value)
        else:
            mistakes.note(here, "must be a parameter, `outcome`, or a metric with a number")
    return ReferenceRow(params, metrics, outcome)


def _outcome(location: Location, value: Any, mistakes: Mistakes) -> Outcome | None:
    try:
        return Outcome(value)
    except ValueError:
        mistakes.note(location, f"unknown outcome {value!r}; {nearest(str(value), list(Outcome))}")
        return None
