"""The tables of a sweep: what its configurations came to, and the published figures beside ours."""

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from orchestrator.comparison.best import facts, overlapping
from orchestrator.comparison.columns import columns
from orchestrator.comparison.ranking import front, ranking
from orchestrator.reports import verdict
from orchestrator.reports.configurations import Run, RunGroup, constants, figure, measured
from orchestrator.reports.document import Cell, Part, ReportTable
from orchestrator.reports.verdict import Judgement, Ours, Verdict
from orchestrator.spec import ReferenceRow, SweepSpec
from orchestrator.spec.objective import by_names
from orchestrator.trial import Outcome, Params
from orchestrator.trials.labels import label, listed, short
from orchestrator.trials.record import best_name

MOST_ROWS = 500
MOST_REMARKS = 20
NONE = "\u2013"
_NUMBERS = re.compile(r"[-+]?[0-9.]+(e[-+]?[0-9]+)?")


@dataclass(frozen=True)
class _Column:
    title: str
    values: Callable[[RunGroup], list[float]]
    more_is_better: bool | None = None  # None where nobody says


def results(spec: SweepSpec, configurations: Sequence[RunGroup]) -> Part:
    """A row for each configuration: what varies, its figures over its seeds, how it ended; the best stand out."""
    names = _varying(configurations)
    columns = _columns(spec, configurations)
    best = {column.title: _best(column, configurations) for column in columns}
    has_seeds = any(len(one.runs) > 1 for one in configurations)
    header = [*(names or ["sweep"]), *(column.title for column in columns), "outcome"]
    header += ["exploded (95% interval)", "seeds"] * has_seeds
    rows = []
    for one in configurations[:MOST_ROWS]:
        cells = [Cell(short(one.params[name])) for name in names] or [Cell(spec.name)]
        for column in columns:
            values = column.values(one)
            cells.append(Cell(measured(values), one is best[column.title]) if values else Cell(NONE))
        cells.append(Cell(one.state))
        cells += [Cell(one.rate or NONE), Cell(str(len(one.runs)))] * has_seeds
        rows.append(tuple(cells))
    words = []
    if has_seeds:
        words += ["Means over the seeds that completed, ± their 95% interval by Student's t."] * bool(columns)
        words += ["Explosion rates with Wilson's 95% interval."]
    if len(configurations) > MOST_ROWS:
        words.append(f"The first {MOST_ROWS} of {len(configurations):,} configurations; the CSV file has all of them.")
    return Part("Results", tuple(words), ReportTable(tuple(header), tuple(rows)))


def best_of(spec: SweepSpec, configurations: Sequence[RunGroup]) -> str:
    """The best configuration, and what its seeds do not tell from it; empty where none has completed."""
    if not spec.ranks:
        return ""
    ranked = ranking((one.configuration for one in configurations), spec.objectives)
    if not ranked:
        return ""
    names = _varying(configurations)

    def named(params: Params) -> str:
        return label(spec, params, names) or spec.name

    if len(spec.objectives) > 1:
        best = [named(one.params) for one in front(ranked, spec.objectives)]
        return f"on the Pareto front of {by_names(spec.objectives)}: {'; '.join(best)}"
    return f"{named(ranked[0].params)}: {'; '.join([*facts(ranked[0], spec.objectives), *overlapping(ranked, named)])}"


def comparison(spec: SweepSpec, configurations: Sequence[RunGroup]) -> Part | None:
    """Each published figure beside ours, with the difference and a verdict."""
    if spec.reference is None:
        return None
    metrics = list(dict.fromkeys(name for row in spec.reference.rows for name in row.metrics))
    rows: list[tuple[Cell, ...]] = []
    for row in spec.reference.rows:
        name = listed(row.params, row.params)
        matching = [one for one in configurations if row.params.items() <= one.params.items()]
        if not matching:
            rows += _compared(spec, row, metrics, None, name)
        for one in matching:
            rows += _compared(spec, row, metrics, one, name if name and len(matching) == 1 else one.label)
    header = ("configuration", "figure", "published", "ours", "difference", "verdict", "why")
    words = [f"Published: {spec.reference.source}. The rule for verdicts is at the end."]
    words += [f"The first {MOST_ROWS} of {len(rows):,}."] * (len(rows) > MOST_ROWS)
    return Part("Published figures beside ours", tuple(words), ReportTable(header, tuple(rows[:MOST_ROWS])))


def explosions(runs: Sequence[Run]) -> Part | None:
    """Each kind of explosion once: runs whose reasons differ in numbers alone are of one kind."""
    kinds = kinds_of(runs)
    if not kinds:
        return None
    rows = []
    for kind in kinds[:MOST_REMARKS]:
        first = kind[0]
        tags = first.record.tags if first.record else {}
        last = tags.get("explosion.last_finite_loss")
        at = [tags.get(f"explosion.{name}", NONE) for name in ("epoch", "step")]
        reason = first.record.remark if first.record else ""
        rows.append([first.label, *at, NONE if last is None else figure(float(last)), reason, str(len(kind))])
    header = ("first run", "epoch", "step", "last finite loss", "reason", "runs")
    return Part("Explosions", grid=ReportTable.of(header, rows))


def kinds_of(runs: Sequence[Run]) -> list[list[Run]]:
    """The runs that exploded, by the reason without its numbers; the most frequent kind first."""
    kinds: dict[str, list[Run]] = {}
    for run in runs:
        if run.record and run.outcome is Outcome.EXPLODED:
            kinds.setdefault(_NUMBERS.sub("", run.record.remark), []).append(run)
    return sorted(kinds.values(), key=len, reverse=True)


def remarks(runs: Sequence[Run]) -> Part | None:
    """What is to be said of runs that failed, or that completed and learned nothing."""
    told = [run for run in runs if run.record and run.record.remark and run.outcome is not Outcome.EXPLODED]
    rows = [[run.label, run.state, run.record.remark if run.record else ""] for run in told[:MOST_REMARKS]]
    words = (
        (f"The first {MOST_REMARKS} of {len(told)}; the CSV file has all of them.",) if len(told) > MOST_REMARKS else ()
    )
    return Part("Remarks", words, ReportTable.of(("run", "outcome", "remark"), rows)) if rows else None


def _varying(configurations: Sequence[RunGroup]) -> list[str]:
    alike = constants(configurations)
    return [name for name in (configurations[0].params if configurations else ()) if name not in {*alike, "seed"}]


def _columns(spec: SweepSpec, configurations: Sequence[RunGroup]) -> list[_Column]:
    records = [record for one in configurations for record in one.completed]
    declared = [metric.name for metric in spec.function.declaration.final]
    found = []
    for column in columns(replace(spec, objectives=()), records):
        if column.name in declared or column.name not in {objective.name for objective in spec.objectives}:
            values = functools.partial(RunGroup.values, name=column.name)
            found.append(_Column(column.title, values, column.goal and column.goal == "maximize"))
    for objective in spec.objectives if spec.ranks else ():
        if objective.name not in declared and any(one.compared(objective) for one in configurations):
            is_best = objective.counts_best and any(best_name(objective.name) in record.metrics for record in records)
            title = f"best {objective.name}" if is_best else objective.name
            values = functools.partial(RunGroup.compared, objective=objective)
            found.append(_Column(title, values, objective.sign > 0))
    return found


def _best(column: _Column, configurations: Sequence[RunGroup]) -> RunGroup | None:
    having = [one for one in configurations if column.values(one)]
    if len(having) < 2 or column.more_is_better is None:
        return None
    return (max if column.more_is_better else min)(having, key=lambda one: fmean(column.values(one)))


def _compared(
    spec: SweepSpec, row: ReferenceRow, metrics: Sequence[str], one: RunGroup | None, name: str
) -> list[tuple[Cell, ...]]:
    ended = (one.exploded, one.ended) if one else (0, 0)
    declaration = spec.function.declaration
    lines = []
    if row.outcome is not None:
        judged = _judged(spec, one, verdict.of_outcome(row.outcome, Ours((), *ended)))
        lines.append(_line(name, "outcome", str(row.outcome), one.state if one else NONE, NONE, judged))
    for metric in metrics if row.outcome is not Outcome.EXPLODED else row.metrics:
        published, values = row.metrics.get(metric), one.values(metric) if one else []
        judged = _judged(spec, one, verdict.of_figure(metric, published, Ours(values, *ended), declaration))
        ours = measured(values) if values else one.state if one else NONE
        difference = NONE if published is None or not values else _difference(fmean(values), published)
        told = NONE if published is None else figure(published)
        lines.append(_line(name, declaration.heading(metric), told, ours, difference, judged))
    return lines


def _line(name: str, metric: str, published: str, ours: str, difference: str, judged: Judgement) -> tuple[Cell, ...]:
    texts = map(Cell, (name, metric, published, ours, difference))
    return (*texts, Cell(judged.verdict, verdict=judged.verdict), Cell(judged.reason))


def _judged(spec: SweepSpec, one: RunGroup | None, judged: Judgement) -> Judgement:
    """The verdict, unless there is no trial of the file's settings to judge by."""
    if one is None:
        return Judgement(Verdict.NOT_COMPARABLE, "no trial has these values")
    if not one.is_asked:
        return Judgement(Verdict.NOT_COMPARABLE, f"settings that differ from the file: {_unlike(spec, one.params)}")
    return judged


def _unlike(spec: SweepSpec, params: Mapping[str, Any]) -> str:
    """What of these parameters the file sets otherwise, or leaves at another default."""
    rows = {name for row in (*spec.zipped, *spec.configs) for name in row}
    expected = {name: one.default for name, one in spec.function.parameters.items() if name not in {*rows, "seed"}}
    for name, domain in spec.domains.items():
        expected.pop(name, None)
        if domain.is_constant:
            expected[name] = domain.examples()[0]
    unlike = [name for name, value in expected.items() if repr(params[name]) != repr(value)]
    return listed(params, unlike) or "other values, or another version of the function"


def _difference(ours: float, published: float) -> str:
    relative = f" ({(ours - published) / abs(published):+.1%})" if published else ""
    return f"{ours - published:+.2g}{relative}"
