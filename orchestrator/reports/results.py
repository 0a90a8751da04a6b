"""The tables of a sweep: the results of its configurations, and the published figures beside ours."""

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.comparison.columns import columns
from orchestrator.comparison.ranking import Ranking
from orchestrator.reports import verdict
from orchestrator.reports.configurations import Run, RunGroup, best_first, constants, counted_name, figure, measured
from orchestrator.reports.document import Cell, Part, ReportTable
from orchestrator.reports.verdict import Judgement, OurResult, Verdict
from orchestrator.spec import Objective, ReferenceRow, SweepSpec
from orchestrator.spec.objective import complete
from orchestrator.system.averages import average, within
from orchestrator.system.figures import figures
from orchestrator.trial import Outcome
from orchestrator.trials.labels import headings, listed, texts_of
from orchestrator.trials.observation import Observation

MOST_ROWS = 500
MOST_RELATIVE = 1e6  # of a difference that is also said in percent
NONE = "\u2013"
LOST = "one that exploded, was infeasible or has no value counts as the worst of the sweep, "
PRUNED = "one that was pruned as what it had by then, but not for the better."
LAST = "; what has no value, or lost half of its seeds or more, comes last"
WITHOUT_RESULT = "Seeds: how many have a result. One that failed, was interrupted or has not ended has none."


@dataclass(frozen=True)
class _Column:
    title: str
    values: Callable[[RunGroup], list[float]]
    higher_is_better: bool | None = None  # None if unknown
    place: int | None = None  # among the objectives, if it is one


def results(spec: SweepSpec, configurations: Sequence[RunGroup]) -> Part:
    """A row for each configuration: what varies, its figures over seeds, its outcome; the best are highlighted."""
    names = _varying(configurations)
    columns = _columns(spec, configurations)
    best = {column.title: _best(spec, column, configurations) for column in columns}
    texts = texts_of([group.params for group in configurations], names)
    means = {
        column.title: figures((average(values) for group in configurations if (values := column.values(group))), figure)
        for column in columns
    }
    has_seeds = any(len(group.runs) > 1 for group in configurations)
    ranked_by = _ranked_by(spec, configurations)
    breaks = ["breaks"] * any(group.configuration.broken for group in configurations)
    header = [*(names or ["sweep"]), *(column.title for column in columns), *ranked_by, *breaks, "outcome"]
    has_rates = has_seeds and any(group.exploded for group in configurations)
    header += ["seeds"] * has_seeds + ["exploded (95% interval)"] * has_rates
    codes = {group.configuration.config_key: group.code(spec.function) for group in configurations}
    shows_code = any("before" in code for code in codes.values())
    header += ["code"] * shows_code
    in_order, order = _in_order(spec, configurations, [*ranked_by])
    rows = []
    for group in in_order[:MOST_ROWS]:
        cells = [Cell(texts[name][repr(group.params[name])]) for name in names] or [Cell(spec.name)]
        for column in columns:
            values = column.values(group)
            cells.append(
                Cell(measured(values, means[column.title]), group is best[column.title]) if values else Cell(NONE)
            )
        cells += [Cell(texts.get(group.configuration.config_key, NONE)) for texts in ranked_by.values()]
        cells += [Cell(", ".join(group.configuration.broken) or NONE)] * len(breaks)
        cells.append(Cell(group.state))
        cells += [_seeds(group)] * has_seeds + [Cell(group.rate or NONE)] * has_rates
        cells += [Cell(codes[group.configuration.config_key])] * shows_code
        rows.append(tuple(cells))
    words = [order] * (len(configurations) > 1)
    if has_seeds:
        words += ["Means over the seeds that completed, ± their 95% interval by Student's t."] * bool(columns)
        words += [f"All seeds, by which configurations are ranked: {LOST * (not spec.survivors)}{PRUNED}"] * bool(
            ranked_by
        )
        words += ["Explosion rates with Wilson's 95% interval."] * has_rates
        words += [WITHOUT_RESULT] * any(_without_result(group) for group in configurations)
    if breaks:
        words.append("A configuration that breaks a constraint, over its seeds, ranks behind all others.")
    if len(configurations) > MOST_ROWS:
        words.append(f"The first {MOST_ROWS} of {len(configurations):,} configurations; the CSV file has all of them.")
    numbers = {id(group): number for number, group in enumerate(configurations)}
    shown = tuple(numbers[id(group)] for group in in_order[:MOST_ROWS])
    return Part("Results", tuple(words), ReportTable(tuple(headings(header)), tuple(rows), shown))


def _in_order(
    spec: SweepSpec, configurations: Sequence[RunGroup], ranked_by: Sequence[str]
) -> tuple[Sequence[RunGroup], str]:
    """The rows as they stand at first, and in a sentence which order that is."""
    if spec.method.finds_boundary:
        return configurations, "By value, the least first."
    has_values = any(group.configuration.values for group in configurations)
    if not (spec.ranks and has_values) or (spec.method.is_exhaustive and len(spec.objectives) > 1):
        return configurations, f"In the order of the {'file' if spec.method.is_exhaustive else 'search'}."
    records = [record for group in configurations for record in group.completed]
    first = ranked_by[0] if ranked_by else counted_name(spec.objectives[0], records)
    found = [group.configuration for group in configurations]
    is_split = any(not one.values or (one.is_mostly_bad and not spec.survivors) for one in found)
    return best_first(spec, configurations), f"Best first, by {first}{LAST * is_split}."


def _without_result(group: RunGroup) -> list[Run]:
    """The seeds that failed, were interrupted, or have not ended."""
    return [run for run in group.runs if run.outcome is None or not run.outcome.is_result]


def _seeds(group: RunGroup) -> Cell:
    """How many seeds have a result: "3"; "2 of 3", which leads to the first one that has none."""
    without = _without_result(group)
    if not without:
        return Cell(str(len(group.runs)))
    run_id = next((run.record.run_id for run in without if run.record), "")
    return Cell(f"{len(group.runs) - len(without)} of {len(group.runs)}", run_id=run_id)


def _ranked_by(spec: SweepSpec, configurations: Sequence[RunGroup]) -> dict[str, dict[str, str]]:
    """What configurations are ranked by, as text by config_key, for each objective; none where the means are that."""
    ranked = Ranking((group.configuration for group in configurations), spec.objectives, spec.survivors)
    if not spec.ranks or all(ranked.expected(one) == one.means for one in ranked):
        return {}
    found = {}
    for place, objective in enumerate(spec.objectives):
        values = {one.config_key: ranked.expected(one)[place] for one in ranked}
        texts = figures(values.values(), figure)
        found[f"{objective.name}, all seeds"] = {key: texts[value] for key, value in values.items()}
    return found


def comparison(
    spec: SweepSpec, configurations: Sequence[RunGroup], rows_of_ours: Sequence[RunGroup] | None = None
) -> Part | None:
    """Each published figure beside ours, with the difference and a verdict.

    Args:
        spec: the file that has them.
        configurations: of the sweep.
        rows_of_ours: among which a figure is looked for; those of the sweep, if none are given.
    """
    if spec.reference is None:
        return None
    groups = configurations if rows_of_ours is None else rows_of_ours
    among = {group.configuration.config_key: group for group in groups if group.is_asked}
    metrics = list(dict.fromkeys(name for row in spec.reference.rows for name in row.metrics))
    rows: list[tuple[Cell, ...]] = []
    for row in spec.reference.rows:
        name = listed(row.params, row.params)
        matching = [group for group in configurations if row.params.items() <= group.params.items()]
        if not matching:
            rows += _compared(spec, row, metrics, None, name, among)
        for group in matching:
            rows += _compared(spec, row, metrics, group, name if name and len(matching) == 1 else group.label, among)
    header = ("configuration", "figure", "published", "ours", "difference", "verdict", "why")
    words = [f"Published: {spec.reference.source}. The rule for verdicts is at the end."]
    words += [f"The first {MOST_ROWS} of {len(rows):,}."] * (len(rows) > MOST_ROWS)
    return Part("Published figures beside ours", tuple(words), ReportTable(header, tuple(rows[:MOST_ROWS])))


def _varying(configurations: Sequence[RunGroup]) -> list[str]:
    alike = constants(configurations)
    return [name for name in (configurations[0].params if configurations else ()) if name not in {*alike, "seed"}]


def _columns(spec: SweepSpec, configurations: Sequence[RunGroup]) -> list[_Column]:
    records = [record for group in configurations for record in group.completed]
    declared = [metric.name for metric in spec.function.declaration.final]
    compared = {objective.name: place for place, objective in enumerate(spec.objectives) if spec.ranks}
    shown = []
    for column in columns(replace(spec, objectives=()), records):
        if column.name in declared or column.name not in compared:
            values = functools.partial(RunGroup.values, name=column.name)
            is_more = column.goal and column.goal == "maximize"
            shown.append(_Column(column.title, values, is_more, compared.get(column.name)))
    for place, objective in enumerate(spec.objectives if spec.ranks else ()):
        if objective.name not in declared and any(group.compared(objective) for group in configurations):
            values = functools.partial(RunGroup.compared, objective=objective)
            shown.append(_Column(counted_name(objective, records), values, objective.sign > 0, place))
    return shown


def _best(spec: SweepSpec, column: _Column, configurations: Sequence[RunGroup]) -> RunGroup | None:
    """The best by a metric, ranked as by an objective; who breaks a constraint has no part in it."""
    groups = {group.configuration.config_key: group for group in configurations if not group.configuration.broken}
    if column.higher_is_better is None:
        return None
    found = [replace(group.configuration, results=tuple(_seen(column, group))) for group in groups.values()]
    aim = Objective(column.title, "maximize" if column.higher_is_better else "minimize")
    ranked = Ranking(found, [aim], spec.survivors)
    return groups[ranked[0].config_key] if len(ranked) > 1 else None


def _seen(column: _Column, group: RunGroup) -> Iterator[Observation]:
    """How its seeds ended, with the value of a single metric; of one that is no objective, pruned seeds have none."""
    if column.place is None:
        yield from (Observation(Outcome.COMPLETED, (value,)) for value in column.values(group))
        without_value = len(group.completed) - len(column.values(group))
        yield from [Observation(Outcome.EXPLODED)] * (group.lost + without_value)
        return
    for seen in group.configuration.results:
        known = seen.values or seen.known
        yield replace(seen, values=complete(known[column.place : column.place + 1]) or None)


def _compared(
    spec: SweepSpec,
    row: ReferenceRow,
    metrics: Sequence[str],
    group: RunGroup | None,
    name: str,
    among: Mapping[str, RunGroup],
) -> list[tuple[Cell, ...]]:
    own = group.configuration.config_key if group else ""
    others = [other for key, other in among.items() if key != own]
    ended = (group.exploded, group.ended) if group else (0, 0)
    declaration = spec.function.declaration
    lines = []
    if row.outcome is not None:
        ends = [(other.label, OurResult((), other.exploded, other.ended)) for other in others]
        judged = _judged(spec, group, verdict.of_outcome(row.outcome, OurResult((), *ended), ends))
        lines.append(_line(name, "outcome", str(row.outcome), group.state if group else NONE, NONE, judged))
    for metric in metrics if row.outcome is not Outcome.EXPLODED else row.metrics:
        published, values = row.metrics.get(metric), group.values(metric) if group else []
        beside = [(other.label, _result(other, metric)) for other in others]
        ours_is = _result(group, metric) if group else OurResult()
        found = verdict.of_figure(metric, published, ours_is, declaration, beside)
        judged = _judged(spec, group, found)
        ours = measured(values) if values else group.state if group else NONE
        difference = NONE if published is None or not values else _difference(average(values), published)
        theirs = NONE if published is None else figure(published)
        lines.append(_line(name, declaration.heading(metric), theirs, ours, difference, judged))
    return lines


def _result(group: RunGroup, metric: str) -> OurResult:
    return OurResult(group.values(metric), group.exploded, group.ended, group.seeds(metric))


def _line(name: str, metric: str, published: str, ours: str, difference: str, judged: Judgement) -> tuple[Cell, ...]:
    texts = map(Cell, (name, metric, published, ours, difference))
    return (*texts, Cell(judged.verdict, verdict=judged.verdict), Cell(judged.reason))


def _judged(spec: SweepSpec, group: RunGroup | None, judged: Judgement) -> Judgement:
    """The verdict, unless there is no trial with the settings of the file."""
    if group is None:
        return Judgement(Verdict.NOT_COMPARABLE, "no trial has these values")
    if not group.is_asked:
        return Judgement(Verdict.NOT_COMPARABLE, f"settings that differ from the file: {_unlike(spec, group.params)}")
    return judged


def _unlike(spec: SweepSpec, params: Mapping[str, Any]) -> str:
    """The parameters that differ from the settings of the file or from the defaults."""
    rows = {name for row in (*spec.zipped, *spec.configs) for name in row}
    expected = {
        name: parameter.default for name, parameter in spec.function.parameters.items() if name not in {*rows, "seed"}
    }
    for name, domain in spec.domains.items():
        expected.pop(name, None)
        if domain.is_constant:
            expected[name] = domain.examples()[0]
    unlike = [name for name, value in expected.items() if repr(params[name]) != repr(value)]
    return listed(params, unlike) or "other values, or another version of the function"


def _difference(ours: float, published: float) -> str:
    difference = within(ours - published)
    relative = (ours / published - 1) * (1 if published > 0 else -1) if published else math.inf
    return f"{difference:+.2g}{f' ({relative:+.1%})' if abs(relative) < MOST_RELATIVE else ''}"
