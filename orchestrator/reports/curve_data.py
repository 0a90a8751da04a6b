"""Metrics by epoch as data for the page: a bounded number of points, for which curves are thinned."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.progress.status import shown_metric
from orchestrator.reports.charts import rounded, thinned
from orchestrator.reports.configurations import Run
from orchestrator.spec import SweepSpec
from orchestrator.trackers import Store
from orchestrator.trial import Outcome
from orchestrator.trials.record import Record

MOST_POINTS = 60_000  # of all curves
MOST, FEWEST = 120, 12  # of a curve
MOST_TRIALS = 2_000  # that have curves


def curves_of(store: Store, spec: SweepSpec, runs: Sequence[Run]) -> Mapping[str, Any]:
    """The curves of each metric by epoch, what is compared first: as lines of trial, metric, epochs and values."""
    begun = [number for number, run in enumerate(runs) if run.record]
    drawn = _drawn(spec, runs, begun)
    metrics = _metrics(spec, [record for run in runs if (record := run.record)])
    kept = metrics[: max(1, MOST_POINTS // (FEWEST * max(1, len(drawn))))]
    points = min(MOST, max(FEWEST, MOST_POINTS // max(1, len(drawn) * len(kept))))
    epochs: dict[tuple[int, ...], int] = {}
    lines, is_thinned = [], False
    for place, metric in enumerate(kept):
        records = {number: record for number in drawn if (record := runs[number].record) and metric in record.metrics}
        curves = store.curves(metric, records.values())
        for number, record in records.items():
            curve = [(epoch, value) for epoch, value in curves[record.run_id].items() if math.isfinite(value)]
            is_thinned |= len(curve) > points
            if curve:
                at, values = zip(*thinned(curve, points), strict=True)
                lines.append([number, place, epochs.setdefault(at, len(epochs)), [rounded(value) for value in values]])
    notes = [f"Curves of {len(drawn):,} of {len(begun):,} trials are here."] * (len(drawn) < len(begun))
    left_out = metrics[len(kept) :]
    notes += [f"Those of {', '.join(left_out)} are left out, so that the page stays small."] * bool(left_out)
    notes += [f"Long curves are drawn with {points} points."] * is_thinned
    return {"metrics": kept, "epochs": [list(at) for at in epochs], "lines": lines, "note": " ".join(notes)}


def _drawn(spec: SweepSpec, runs: Sequence[Run], begun: Sequence[int]) -> Sequence[int]:
    """A bounded number of trials, evenly spaced, the best among them."""
    if len(begun) <= MOST_TRIALS or not spec.objectives:
        return thinned(begun, MOST_TRIALS)
    first = spec.objectives[0]

    def rank(number: int) -> float:
        record = runs[number].record
        value = record.value(first) if record and record.outcome is Outcome.COMPLETED else None
        return math.inf if value is None else -first.sign * value

    best = sorted(begun, key=rank)[: MOST_TRIALS // 4]
    rest = [number for number in begun if number not in {*best}]
    return sorted([*best, *thinned(rest, MOST_TRIALS - len(best))])


def _metrics(spec: SweepSpec, records: Sequence[Record]) -> list[str]:
    """The metrics by epoch: what is compared, what shows progress, the other ones."""
    reported = list(dict.fromkeys(name for record in records for name in record.names_by_epoch))
    declaration = spec.function.declaration
    shown = shown_metric(reported, declaration, next(iter(spec.objectives), None))
    wanted = [*(objective.name for objective in spec.objectives if spec.ranks), *declaration.losses, shown, *reported]
    return [name for name in dict.fromkeys(wanted) if name in reported]
