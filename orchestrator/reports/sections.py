"""A sweep's section of a report, gathered from the store."""

import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from orchestrator.comparison.boundary import Boundary
from orchestrator.comparison.markdown import paragraphs
from orchestrator.functions import DEFAULT_TRIAL
from orchestrator.functions.declaration import Plane
from orchestrator.progress.status import LOSS, shown_metric
from orchestrator.reports import gallery, kinds, results
from orchestrator.reports.boundary_charts import answer, boundary_chart
from orchestrator.reports.charts import Chart
from orchestrator.reports.configurations import (
    Run,
    RunGroup,
    best_first,
    configurations_of,
    constants,
    counted,
    counted_name,
    rate,
    runs_of,
)
from orchestrator.reports.document import Part, ReportTable, Section
from orchestrator.reports.front_charts import fronts
from orchestrator.reports.headline import best_of
from orchestrator.reports.leavings import left_by
from orchestrator.reports.loss_charts import LossCurve, are_distinguishable, losses
from orchestrator.reports.plane_charts import PlanePoint, plane_chart
from orchestrator.reports.searches import searched
from orchestrator.reports.trial_data import trial_data
from orchestrator.reports.trial_files import TrialFiles
from orchestrator.reports.trial_pictures import trial_pictures
from orchestrator.spec import Objective, SweepSpec
from orchestrator.spec.domains import Choice
from orchestrator.spec.event import EXPLOSION
from orchestrator.spec.metrics import listed as conjoined
from orchestrator.system.durations import duration
from orchestrator.system.figures import numbered
from orchestrator.trackers import Store
from orchestrator.trial import Outcome
from orchestrator.trials.labels import listed, short, varying
from orchestrator.trials.record import Record, changed
from orchestrator.trials.search_space import SearchSpace

MOST_CURVES = 200
MOST_EXPLODED = 50  # of them
MOST_VALUES = 12  # of a parameter, that are listed

Pair = tuple[RunGroup, Run]  # a configuration, and a run of it


def section(store: Store, spec: SweepSpec, name: str, all_records: bool, is_live: bool) -> Section:
    """The section of a sweep as it is now, finished or not.

    Args:
        store: that has its trials.
        spec: its file.
        name: its name in the store.
        all_records: whether to report all stored trials, rather than those that the file asks for.
        is_live: whether a launch of it is running.
    """
    records = store.records(name, spec.objectives)
    files = TrialFiles(store)
    runs = runs_of(spec, records, all_records, is_live, store.is_over(name))
    configurations = configurations_of(spec, runs)
    boundary = _boundary(spec, records) if spec.method.finds_boundary else None
    compared = results.comparison(spec, configurations)
    curves = _losses(store, spec, configurations)
    plane = spec.function.declaration.plane
    plane_drawn = plane_chart(plane, _plane_points(plane, configurations)) if plane else None
    pictures = trial_pictures(files, spec.function.declaration.pictures, _best_first(spec, runs, configurations))
    left = left_by(files, runs, pictures)
    parts = [
        _boundary_part(spec, boundary) if boundary else None,
        results.results(spec, configurations),
        compared,
        _front(spec, configurations),
        *searched(spec, runs),
        _part(curves, is_explored=not are_distinguishable(len(configurations))),
        _part(plane_drawn),
        *gallery.gallery(files, spec, configurations),
        kinds.explosions(runs),
        gallery.post_mortems(files, runs, left),
        kinds.remarks(runs),
    ]
    best, doubts = best_of(spec, configurations)
    cells = compared.grid.rows if compared and compared.grid else ()
    return Section(
        name=name,
        question=question(spec.source.text),
        description=paragraphs(spec.description),
        facts=tuple(_facts(spec, runs, configurations, len(records))),
        source=spec.source.text,
        parts=tuple(part for part in parts if part and not part.is_empty),
        runs=tuple(runs),
        trials=counted(runs),
        best=best,
        doubts=doubts,
        answer=answer(boundary) if boundary else "",
        verdicts=Counter(cell.verdict for row in cells for cell in row if cell.verdict),
        declaration=spec.function.declaration,
        trial_data=trial_data(store, spec, name, runs, configurations, left),
        pictures=tuple(picture for several in pictures.values() for picture in several),
        unlisted=frozenset(files.unlisted),
    )


def _best_first(spec: SweepSpec, runs: Sequence[Run], configurations: Sequence[RunGroup]) -> list[Run]:
    """The trials, those first whose pictures the report shows, and then those of the best configurations."""
    shown, _ = gallery.shown(spec, configurations)
    ranked = best_first(spec, configurations) if spec.ranks else configurations
    in_order = [run for group in (*shown, *ranked) for run in group.runs]
    return list({id(run): run for run in (*in_order, *runs)}.values())


def _part(drawn: Chart | None, is_explored: bool = False) -> Part | None:
    return Part(drawn.title, charts=(drawn,), is_explored=is_explored) if drawn else None


def question(text: str) -> str:
    """The comment at the beginning of a sweep file."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        if "yaml-language-server:" not in line:
            lines.append(line.lstrip("# ").strip())
    return " ".join(lines)


def _facts(
    spec: SweepSpec, runs: Sequence[Run], configurations: Sequence[RunGroup], stored: int
) -> list[tuple[str, str]]:
    seeds = {run.params.get("seed") for run in runs}
    count = numbered(len(configurations), "configuration")
    if len(runs) > len(configurations):
        count += f", {numbered(len(runs))}, {numbered(len(seeds), 'seed')}"
    alike = constants(configurations)
    varied = [name for name in (configurations[0].params if configurations else ()) if name not in {*alike, "seed"}]
    at_most = "" if spec.run_cap is None else f", at most {numbered(spec.run_cap)}"
    records = [run.record for run in runs if run.record]
    facts = [("method", f"{spec.method.name}: {count}{at_most}")]
    facts += [(name, _values(spec, name, configurations)) for name in varied]
    facts += [("seeds", _listed(sorted({short(seed) for seed in seeds}, key=_as_number)))] * (len(seeds) > 1)
    facts += [("same in all trials", listed(alike, alike))] * bool(alike)
    if spec.ranks:
        aims = (_aim(aim, records) for aim in spec.objectives)
        facts.append(("compared by", "; ".join(aims)))
    if spec.constraints:
        facts.append(("constraints", "; ".join(constraint.bounds for constraint in spec.constraints)))
    if spec.reference is not None:
        facts.append(("published", spec.reference.source))
    if spec.function.name != DEFAULT_TRIAL:
        facts.append(("trial function", spec.function.title))
    again = "; sweep launch tries again what failed" * any(run.outcome is Outcome.FAILED for run in runs)
    facts.append(("trials", counted(runs) + again))
    exploded, ended = (sum(getattr(group, name) for group in configurations) for name in ("exploded", "ended"))
    if ended:
        none = f"none of {ended} trials that came to an end"
        facts.append(("exploded", f"{rate(exploded, ended)}, with Wilson's 95% interval" if exploded else none))
    if records:
        facts.append(("trained", _trained(records)))
    if remark := changed(spec.function, records):
        facts.append(("code", remark))
    if versions := _versions(records):
        facts.append(("versions", versions))
    if stored > len(records):
        further = f"{stored - len(records)} more trials of this sweep are in the store"
        facts.append(("left out", f"{further}; their values, or their function's version, differ from the file"))
    return facts


def _aim(aim: Objective, records: Sequence[Record]) -> str:
    name = counted_name(aim, records)
    return f"{name}{' of any epoch' * (name != aim.name)}, {'higher' if aim.sign > 0 else 'lower'} is better"


def _trained(records: Sequence[Record]) -> str:
    seconds = sum(record.seconds or 0.0 for record in records)
    first = min(record.began for record in records)
    last = max(record.ended or record.began for record in records)
    days = sorted({f"{datetime.fromtimestamp(time):%Y-%m-%d}" for time in (first, last)})
    return f"{duration(seconds)} in total, {' to '.join(days)}"


def _versions(records: Sequence[Record]) -> str:
    """The commits and versions of torch that the trials ran with."""
    commits = (tag[:8] for record in records if (tag := record.tags.get("mlflow.source.git.commit")))
    versions = (tag for record in records if (tag := record.tags.get("version.torch")))
    texts = [*(f"commit {commit}" for commit in commits), *(f"torch {version}" for version in versions)]
    return _listed(list(dict.fromkeys(texts)))


def _values(spec: SweepSpec, name: str, configurations: Sequence[RunGroup]) -> str:
    domain = spec.domains.get(name)
    if domain is not None and not isinstance(domain, Choice):
        return domain.words
    return _listed(list(dict.fromkeys(short(group.params[name]) for group in configurations)))


def _listed(values: Sequence[str]) -> str:
    if len(values) > MOST_VALUES:
        return f"{len(values)} values from {values[0]} to {values[-1]}"
    return ", ".join(values)


def _as_number(text: str) -> float:
    return float(text) if text.isdigit() else math.inf


def _best(spec: SweepSpec, configurations: Sequence[RunGroup]) -> RunGroup | None:
    if not spec.ranks:
        return None
    first = best_first(spec, configurations)[:1]
    return first[0] if first and first[0].configuration.values else None


def _note(spec: SweepSpec, configurations: Sequence[RunGroup]) -> str:
    """A warning where losses cannot be compared."""
    differ = varying([configuration.params for configuration in configurations])
    for rule in spec.function.declaration.incomparable:
        between = [name for name in rule.between if name in differ]
        if between and {*rule.metrics} & {*spec.function.declaration.losses}:
            values = conjoined(between, "and")
            return f"The loss {rule.reason}, so it cannot be compared between values of {values}."
    return ""


def _losses(store: Store, spec: SweepSpec, configurations: Sequence[RunGroup]) -> Chart | None:
    """The loss curves of a bounded number of runs; with validation losses where there is room for them."""
    best = _best(spec, configurations)
    pairs = [(group, run) for group in configurations for run in group.runs if run.record]
    drawn = _drawn(pairs, best)
    few = are_distinguishable(len({group.label for group, _ in drawn}))
    quantity, training, validation = _drawn_metrics(spec, [run.record for _, run in pairs if run.record])
    curves = [
        _curve(store, group, run, run.record, training, validation if few or group is best else ())
        for group, run in drawn
        if run.record
    ]
    notes = [_note(spec, configurations)] if quantity == LOSS else []
    notes += [f"{len(drawn)} of {len(pairs):,} runs are drawn."] * (len(drawn) < len(pairs))
    return losses(curves, best.label if best else None, " ".join(filter(None, notes)), quantity)


def _drawn(pairs: Sequence[Pair], best: RunGroup | None) -> Sequence[Pair]:
    """A bounded number of runs: those of the best configuration first, and not too many that exploded."""
    if len(pairs) <= MOST_CURVES:
        return pairs
    exploded = [pair for pair in pairs if pair[1].outcome is Outcome.EXPLODED][:MOST_EXPLODED]
    stable = [pair for pair in pairs if pair[1].outcome is not Outcome.EXPLODED]
    stable.sort(key=lambda pair: pair[0] is not best)
    return [*stable[: MOST_CURVES - len(exploded)], *exploded]


def _drawn_metrics(spec: SweepSpec, records: Sequence[Record]) -> tuple[str, Sequence[str], Sequence[str]]:
    """The quantity that is drawn by epoch, and its metrics: the losses, or the metric that shows progress."""
    declaration = spec.function.declaration
    reported = list(dict.fromkeys(name for record in records for name in record.names_by_epoch))
    name = shown_metric(reported, declaration, next(iter(spec.objectives), None))
    if name is None or name in declaration.losses:
        return LOSS, declaration.losses_of_training, declaration.losses_of_validation
    return name, [name], ()


def _curve(
    store: Store, group: RunGroup, run: Run, record: Record, training: Sequence[str], validation: Sequence[str]
) -> LossCurve:
    def points(names: Sequence[str]) -> list[tuple[int, float]]:
        name = next((name for name in names if name in record.metrics), None)
        history = [] if name is None else store.history(record, name)
        return [(epoch, value) for epoch, value in history if epoch > 0 and math.isfinite(value)]

    return LossCurve(run.label, group.label, run.state, points(training), points(validation), _explosion(record))


def _explosion(record: Record) -> tuple[float, float | None] | None:
    if record.outcome is not Outcome.EXPLODED or "explosion.epoch" not in record.tags:
        return None
    last = record.tags.get("explosion.last_finite_loss")
    return float(record.tags["explosion.epoch"]), None if last is None else float(last)


def _plane_points(plane: Plane, configurations: Sequence[RunGroup]) -> list[PlanePoint]:
    """The configurations that completed and have both metrics of a plane."""
    alike = constants(configurations)
    points = []
    for group in configurations:
        x, y = group.values(plane.x.name), group.values(plane.y.name)
        if x and len(x) == len(y) and isinstance(group.params.get(plane.along), int | float):
            names = [name for name in group.params if name not in {*alike, plane.along, "seed"}]
            points.append(PlanePoint(group.params[plane.along], listed(group.params, names), x, y))
    return points


def _boundary(spec: SweepSpec, records: Sequence[Record]) -> Boundary:
    trials = [begun.trial for begun in SearchSpace(spec).trials(records)]
    return Boundary.of(spec, trials, {record.trial_key: record for record in records})


def _boundary_part(spec: SweepSpec, boundary: Boundary) -> Part:
    drawn = boundary_chart(boundary)
    table = ReportTable.of(boundary.header(), boundary.cells())
    title = "Where training breaks" if spec.event is EXPLOSION else f"The boundary of {spec.event.several}"
    return Part(title, grid=table, charts=(drawn,) if drawn else ())


def _front(spec: SweepSpec, configurations: Sequence[RunGroup]) -> Part:
    names = {group.configuration.config_key: group.label for group in configurations}
    found = (group.configuration for group in configurations)
    charts = fronts(found, spec.objectives, names, survivors=spec.survivors)
    return Part("The Pareto front", charts=charts)
