"""A sweep's section of a report, gathered from the store."""

import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from orchestrator.comparison.boundary import Boundary
from orchestrator.functions import DEFAULT_TRIAL
from orchestrator.functions.declaration import Plane
from orchestrator.progress.status import LOSS, shown_metric
from orchestrator.reports import gallery, results, search_charts
from orchestrator.reports.boundary_charts import boundary as boundary_chart
from orchestrator.reports.charts import Chart
from orchestrator.reports.configurations import (
    Run,
    RunGroup,
    best_first,
    configurations_of,
    constants,
    counted,
    rate,
    runs_of,
)
from orchestrator.reports.document import Part, ReportTable, Section
from orchestrator.reports.front_charts import fronts
from orchestrator.reports.loss_charts import LossCurve, can_tell_apart, losses
from orchestrator.reports.plane_charts import PlanePoint, plane_chart
from orchestrator.reports.search_charts import Tried
from orchestrator.spec import SweepSpec
from orchestrator.spec.domains import Range
from orchestrator.spec.metrics import listed as conjoined
from orchestrator.system.durations import duration
from orchestrator.trackers import Store
from orchestrator.trial import Outcome
from orchestrator.trials.labels import listed, short, varying
from orchestrator.trials.record import Record
from orchestrator.trials.search_space import SearchSpace

MOST_CURVES = 200
MOST_EXPLODED = 50  # of them
MOST_TRIED = 2000
MOST_VALUES = 12  # of a parameter, that are named

Pair = tuple[RunGroup, Run]  # a configuration, and a run of it


def section(store: Store, spec: SweepSpec, name: str, every: bool, is_live: bool) -> Section:
    """What there is to say of a sweep now, whether it is finished or not.

    Args:
        store: where its trials stand.
        spec: its file.
        name: its name in the store.
        every: whether to speak of every trial that the store has, rather than of those that the file asks for.
        is_live: whether a launch of it is at work.
    """
    records = store.records(name)
    runs = runs_of(spec, records, every, is_live)
    configurations = configurations_of(spec, runs)
    found = _boundary(spec, records) if spec.method.finds_boundary else None
    compared = results.comparison(spec, configurations)
    curves = _losses(store, spec, configurations)
    plane = spec.function.declaration.plane
    drawn = plane_chart(plane, _plane_points(plane, configurations)) if plane else None
    parts = [
        found,
        results.results(spec, configurations),
        compared,
        _front(spec, configurations),
        *_search(spec, runs),
        Part(curves.title, charts=(curves,)) if curves else None,
        Part(drawn.title, charts=(drawn,)) if drawn else None,
        *gallery.gallery(store, spec, configurations),
        results.explosions(runs),
        gallery.post_mortems(store, runs),
        results.remarks(runs),
    ]
    cells = compared.grid.rows if compared and compared.grid else ()
    return Section(
        name=name,
        question=question(spec.source.text),
        facts=tuple(_facts(spec, runs, configurations, len(records))),
        source=spec.source.text,
        parts=tuple(part for part in parts if part and not part.is_empty),
        runs=tuple(runs),
        trials=counted(runs),
        best=results.best_of(spec, configurations),
        verdicts=Counter(cell.verdict for row in cells for cell in row if cell.verdict),
        declaration=spec.function.declaration,
    )


def question(text: str) -> str:
    """What the comment says with which a sweep file begins."""
    said = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        if "yaml-language-server:" not in line:
            said.append(line.lstrip("# ").strip())
    return " ".join(said)


def _facts(
    spec: SweepSpec, runs: Sequence[Run], configurations: Sequence[RunGroup], stored: int
) -> list[tuple[str, str]]:
    seeds = {run.params.get("seed") for run in runs}
    count = f"{len(configurations)} configuration{'s' * (len(configurations) != 1)}"
    if len(runs) > len(configurations):
        count += f", {len(runs)} trials, {len(seeds)} seeds"
    alike = constants(configurations)
    varied = [name for name in (configurations[0].params if configurations else ()) if name not in {*alike, "seed"}]
    at_most = "" if spec.run_cap is None else f", at most {spec.run_cap} trials"
    facts = [("method", f"{spec.method.name}: {count}{at_most}")]
    facts += [(name, _values(spec, name, configurations)) for name in varied]
    facts += [("seeds", _listed(sorted({short(seed) for seed in seeds}, key=_as_number)))] * (len(seeds) > 1)
    facts += [("same in all trials", listed(alike, alike))] * bool(alike)
    if spec.ranks:
        aims = (f"{one.name}, {'higher' if one.sign > 0 else 'lower'} is better" for one in spec.objectives)
        facts.append(("compared by", "; ".join(aims)))
    if spec.reference is not None:
        facts.append(("published", spec.reference.source))
    if spec.function.name != DEFAULT_TRIAL:
        facts.append(("trial function", spec.function.name))
    facts.append(("trials", counted(runs)))
    exploded, ended = (sum(getattr(one, what) for one in configurations) for what in ("exploded", "ended"))
    if exploded:
        facts.append(("exploded", f"{rate(exploded, ended)}, with Wilson's 95% interval"))
    known = [run.record for run in runs if run.record]
    if known:
        facts.append(("trained", _trained(known)))
    if versions := _versions(known):
        facts.append(("versions", versions))
    if stored > len(known):
        others = f"{stored - len(known)} more trials of this sweep are in the store"
        facts.append(("left out", f"{others}; their values, or their function's version, differ from the file"))
    return facts


def _trained(records: Sequence[Record]) -> str:
    seconds = sum(record.seconds or 0.0 for record in records)
    first = min(record.began for record in records)
    last = max(record.ended or record.began for record in records)
    days = sorted({f"{datetime.fromtimestamp(time):%Y-%m-%d}" for time in (first, last)})
    return f"{duration(seconds)} in total, {' to '.join(days)}"


def _versions(records: Sequence[Record]) -> str:
    """Of what the trials ran on, each commit and version once."""
    commits = (tag[:8] for record in records if (tag := record.tags.get("mlflow.source.git.commit")))
    versions = (tag for record in records if (tag := record.tags.get("version.torch")))
    told = [*(f"commit {commit}" for commit in commits), *(f"torch {version}" for version in versions)]
    return _listed(list(dict.fromkeys(told)))


def _values(spec: SweepSpec, name: str, configurations: Sequence[RunGroup]) -> str:
    domain = spec.domains.get(name)
    if isinstance(domain, Range):
        return f"{domain.low:g} to {domain.high:g}{', logarithmic' * domain.log}"
    return _listed(list(dict.fromkeys(short(one.params[name]) for one in configurations)))


def _listed(values: Sequence[str]) -> str:
    if len(values) > MOST_VALUES:
        return f"{len(values)} values from {values[0]} to {values[-1]}"
    return ", ".join(values)


def _as_number(text: str) -> float:
    return float(text) if text.isdigit() else math.inf


def _best(spec: SweepSpec, configurations: Sequence[RunGroup]) -> RunGroup | None:
    if not spec.objectives:
        return None
    first = best_first(configurations, spec.objectives[0])[:1]
    return first[0] if first and first[0].compared(spec.objectives[0]) else None


def _note(spec: SweepSpec, configurations: Sequence[RunGroup]) -> str:
    """A warning where losses do not compare."""
    differ = varying([configuration.params for configuration in configurations])
    for rule in spec.function.declaration.incomparable:
        between = [name for name in rule.between if name in differ]
        if between and {*rule.metrics} & {*spec.function.declaration.losses}:
            values = conjoined(between, "and")
            return f"The loss {rule.reason}, so it cannot be compared between values of {values}."
    return ""


def _losses(store: Store, spec: SweepSpec, configurations: Sequence[RunGroup]) -> Chart | None:
    """The loss curves of a bounded number of runs; with their validation losses where these are drawn."""
    best = _best(spec, configurations)
    known = [(one, run) for one in configurations for run in one.runs if run.record]
    drawn = _drawn(known, best)
    few = can_tell_apart(len({one.label for one, _ in drawn}))
    what, training, validation = _drawn_metrics(spec, [run.record for _, run in known if run.record])
    curves = [
        _curve(store, one, run, run.record, training, validation if few or one is best else ())
        for one, run in drawn
        if run.record
    ]
    notes = [_note(spec, configurations)] if what == LOSS else []
    notes += [f"{len(drawn)} of {len(known):,} runs are drawn."] * (len(drawn) < len(known))
    return losses(curves, best.label if best else None, " ".join(filter(None, notes)), what)


def _drawn(known: Sequence[Pair], best: RunGroup | None) -> Sequence[Pair]:
    """A bounded number of runs: those of the best configuration first, and not too many that exploded."""
    if len(known) <= MOST_CURVES:
        return known
    exploded = [pair for pair in known if pair[1].outcome is Outcome.EXPLODED][:MOST_EXPLODED]
    others = [pair for pair in known if pair[1].outcome is not Outcome.EXPLODED]
    others.sort(key=lambda pair: pair[0] is not best)
    return [*others[: MOST_CURVES - len(exploded)], *exploded]


def _drawn_metrics(spec: SweepSpec, records: Sequence[Record]) -> tuple[str, Sequence[str], Sequence[str]]:
    """What is drawn by epoch, and the metrics that have it: losses, or the metric that shows how trials fare."""
    declaration = spec.function.declaration
    reported = list(dict.fromkeys(name for record in records for name in record.names_by_epoch))
    name = shown_metric(reported, declaration, next(iter(spec.objectives), None))
    if name is None or name in declaration.losses:
        return LOSS, declaration.training_losses, declaration.validation_losses
    return name, [name], ()


def _curve(
    store: Store, one: RunGroup, run: Run, record: Record, training: Sequence[str], validation: Sequence[str]
) -> LossCurve:
    def points(names: Sequence[str]) -> list[tuple[int, float]]:
        name = next((name for name in names if name in record.metrics), None)
        history = [] if name is None else store.history(record.run_id, name)
        return [point for point in history if math.isfinite(point[1])]

    return LossCurve(run.label, one.label, run.state, points(training), points(validation), _explosion(record))


def _explosion(record: Record) -> tuple[float, float | None] | None:
    if record.outcome is not Outcome.EXPLODED or "explosion.epoch" not in record.tags:
        return None
    last = record.tags.get("explosion.last_finite_loss")
    return float(record.tags["explosion.epoch"]), None if last is None else float(last)


def _plane_points(plane: Plane, configurations: Sequence[RunGroup]) -> list[PlanePoint]:
    """The configurations that completed and have both metrics of a plane."""
    alike = constants(configurations)
    found = []
    for one in configurations:
        x, y = one.values(plane.x.name), one.values(plane.y.name)
        if x and len(x) == len(y) and isinstance(one.params.get(plane.along), int | float):
            others = [name for name in one.params if name not in {*alike, plane.along, "seed"}]
            found.append(PlanePoint(one.params[plane.along], listed(one.params, others), x, y))
    return found


def _boundary(spec: SweepSpec, records: Sequence[Record]) -> Part:
    trials = [known.trial for known in SearchSpace(spec).trials(records)]
    found = Boundary.of(spec, trials, {record.trial_key: record for record in records})
    drawn = boundary_chart(found)
    return Part(
        "Where training breaks", grid=ReportTable.of(found.header(), found.cells()), charts=(drawn,) if drawn else ()
    )


def _front(spec: SweepSpec, configurations: Sequence[RunGroup]) -> Part:
    names = {one.configuration.config_key: one.label for one in configurations}
    return Part(
        "The Pareto front", charts=fronts((one.configuration for one in configurations), spec.objectives, names)
    )


def _search(spec: SweepSpec, runs: Sequence[Run]) -> list[Part | None]:
    """How a search went; the trials of a grid are in an order that means nothing."""
    if spec.method.is_exhaustive or not spec.ranks:
        return []
    from orchestrator.samplers.importances import importances  # optuna takes a while to import

    objective = spec.objectives[0]
    records = sorted((run.record for run in runs if run.record), key=lambda record: record.began)
    labels = {run.record.run_id: run.label for run in runs if run.record}
    tried = []
    for number, record in enumerate(records, 1):
        value = record.value(objective) if record.outcome is Outcome.COMPLETED else None
        if value is not None or record.outcome is Outcome.EXPLODED:
            tried.append(Tried(number, labels[record.run_id], value, record.params))
    words = (f"{MOST_TRIED:,} of {len(tried):,} trials are drawn.",) if len(tried) > MOST_TRIED else ()
    tried = search_charts.thinned(tried, objective, MOST_TRIED)
    went = search_charts.history(tried, objective)
    mattered = search_charts.importances(importances(spec, records), objective)
    slices = [_slice(spec, name, tried) for name in _searched(spec, tried)]
    return [
        Part("Progress of the search", words, charts=tuple(one for one in (went, mattered) if one)),
        Part("The metric along each parameter", charts=tuple(one for one in slices if one)),
    ]


def _searched(spec: SweepSpec, tried: Sequence[Tried]) -> list[str]:
    names = [*spec.domains, *(name for rows in (spec.zipped, spec.configs) for row in rows for name in row)]
    return [name for name in dict.fromkeys(names) if len({repr(one.params[name]) for one in tried}) > 1]


def _slice(spec: SweepSpec, name: str, tried: Sequence[Tried]) -> Chart | None:
    """The metric along a parameter, of the trials in which it is varied."""
    varied = [one for one in tried if spec.conditions.holds(name, one.params)]
    domain = spec.domains.get(name)
    return search_charts.along(name, isinstance(domain, Range) and domain.log, varied, spec.objectives[0])
