"""A sweep's section of a report, gathered from the store."""

import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from orchestrator.comparison.boundary import Boundary
from orchestrator.comparison.ranking import standings
from orchestrator.reports import gallery, results, search_charts
from orchestrator.reports.boundary_charts import boundary as boundary_chart
from orchestrator.reports.charts import Chart
from orchestrator.reports.configurations import (
    Configuration,
    Run,
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
from orchestrator.reports.search_charts import Tried
from orchestrator.reports.tradeoff_charts import Tradeoff, rate_distortion
from orchestrator.spec import SweepSpec
from orchestrator.spec.domains import Range
from orchestrator.spec.form import BOUNDARY, DEFAULT_TRIAL
from orchestrator.system.durations import duration
from orchestrator.trackers import Store
from orchestrator.trial import Outcome
from orchestrator.trials.labels import label, listed, short, varying
from orchestrator.trials.record import Record
from orchestrator.trials.search_space import SearchSpace

MOST_CURVES = 200
MOST_EXPLODED = 50  # of them
MOST_TRIED = 2000
MOST_VALUES = 12  # of a parameter, that are named
TRAINING = ("train_loss", "loss")
VALIDATION = ("val_loss",)

Pair = tuple[Configuration, Run]  # a configuration, and a run of it


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
    found = _boundary(spec, records) if spec.method == BOUNDARY else None
    compared = results.comparison(spec, configurations)
    curves = _losses(store, spec, configurations)
    tradeoff = rate_distortion(_tradeoffs(configurations))
    parts = [
        found,
        results.results(spec, configurations),
        compared,
        _front(spec, runs),
        *_search(spec, runs),
        Part("Loss curves", charts=(curves,)) if curves else None,
        Part("Rate against distortion", charts=(tradeoff,)) if tradeoff else None,
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
    spec: SweepSpec, runs: Sequence[Run], configurations: Sequence[Configuration], stored: int
) -> list[tuple[str, str]]:
    seeds = {run.params.get("seed") for run in runs}
    count = f"{len(configurations)} configuration{'s' * (len(configurations) != 1)}"
    if len(runs) > len(configurations):
        count += f", {len(runs)} trials, {len(seeds)} seeds"
    alike = constants(configurations)
    varied = [name for name in (configurations[0].params if configurations else ()) if name not in {*alike, "seed"}]
    facts = [("method", f"{spec.method}: {count}" + f", at most {spec.run_cap} trials" * (spec.run_cap is not None))]
    facts += [(name, _values(spec, name, configurations)) for name in varied]
    facts += [("seeds", _listed(sorted({short(seed) for seed in seeds}, key=_as_number)))] * (len(seeds) > 1)
    facts += [("the same in all", listed(alike, alike))] * bool(alike)
    if spec.method != BOUNDARY:
        aims = (f"{one.name}, {'more' if one.sign > 0 else 'less'} is better" for one in spec.objectives)
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
        facts.append(("with", versions))
    if stored > len(known):
        others = f"{stored - len(known)} trials of this sweep that the store has besides"
        facts.append(("left out", f"{others}, of other values or another version than the file's"))
    return facts


def _trained(records: Sequence[Record]) -> str:
    seconds = sum(record.seconds or 0.0 for record in records)
    first = min(record.began for record in records)
    last = max(record.ended or record.began for record in records)
    days = sorted({f"{datetime.fromtimestamp(time):%Y-%m-%d}" for time in (first, last)})
    return f"{duration(seconds)} in all, {' to '.join(days)}"


def _versions(records: Sequence[Record]) -> str:
    """Of what the trials ran on, each commit and version once."""
    commits = (tag[:8] for record in records if (tag := record.tags.get("mlflow.source.git.commit")))
    versions = (tag for record in records if (tag := record.tags.get("version.torch")))
    told = [*(f"commit {commit}" for commit in commits), *(f"torch {version}" for version in versions)]
    return _listed(list(dict.fromkeys(told)))


def _values(spec: SweepSpec, name: str, configurations: Sequence[Configuration]) -> str:
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


def _best(spec: SweepSpec, configurations: Sequence[Configuration]) -> Configuration | None:
    first = best_first(configurations, spec.objectives[0])[:1]
    return first[0] if first and first[0].compared(spec.objectives[0]) else None


def _note(spec: SweepSpec, configurations: Sequence[Configuration]) -> str:
    """A warning where losses do not compare."""
    has_var = len({short(one.params.get("var")) for one in configurations}) > 1
    note = "The loss has var in it, so its values do not compare between values of var."
    return note if has_var and spec.function.name == DEFAULT_TRIAL else ""


def _losses(store: Store, spec: SweepSpec, configurations: Sequence[Configuration]) -> Chart | None:
    """The loss curves of a bounded number of runs; with their validation losses where these are drawn."""
    best = _best(spec, configurations)
    known = [(one, run) for one in configurations for run in one.runs if run.record]
    drawn = _drawn(known, best)
    few = can_tell_apart(len({one.label for one, _ in drawn}))
    curves = [_curve(store, one, run, run.record, few or one is best) for one, run in drawn if run.record]
    notes = [_note(spec, configurations)]
    notes += [f"{len(drawn)} of {len(known):,} runs are drawn."] * (len(drawn) < len(known))
    return losses(curves, best.label if best else None, " ".join(filter(None, notes)))


def _drawn(known: Sequence[Pair], best: Configuration | None) -> Sequence[Pair]:
    """A bounded number of runs: those of the best configuration first, and not too many that exploded."""
    if len(known) <= MOST_CURVES:
        return known
    exploded = [pair for pair in known if pair[1].outcome is Outcome.EXPLODED][:MOST_EXPLODED]
    others = [pair for pair in known if pair[1].outcome is not Outcome.EXPLODED]
    others.sort(key=lambda pair: pair[0] is not best)
    return [*others[: MOST_CURVES - len(exploded)], *exploded]


def _curve(store: Store, one: Configuration, run: Run, record: Record, with_validation: bool) -> LossCurve:
    def points(names: Sequence[str]) -> list[tuple[int, float]]:
        name = next((name for name in names if name in record.metrics), None)
        history = [] if name is None else store.history(record.run_id, name)
        return [point for point in history if math.isfinite(point[1])]

    validation = points(VALIDATION) if with_validation else []
    return LossCurve(run.label, one.label, run.state, points(TRAINING), validation, _explosion(record))


def _explosion(record: Record) -> tuple[float, float | None] | None:
    if record.outcome is not Outcome.EXPLODED or "explosion.epoch" not in record.tags:
        return None
    last = record.tags.get("explosion.last_finite_loss")
    return float(record.tags["explosion.epoch"]), None if last is None else float(last)


def _tradeoffs(configurations: Sequence[Configuration]) -> list[Tradeoff]:
    """Of the configurations that completed and have both terms of the loss."""
    alike = constants(configurations)
    found = []
    for one in configurations:
        mse, kl = one.values("val_mse"), one.values("val_kl")
        if mse and len(mse) == len(kl) and isinstance(one.params.get("var"), int | float):
            others = [name for name in one.params if name not in {*alike, "var", "seed"}]
            found.append(Tradeoff(one.params["var"], listed(one.params, others), mse, kl))
    return found


def _boundary(spec: SweepSpec, records: Sequence[Record]) -> Part:
    trials = [known.trial for known in SearchSpace(spec).trials(records)]
    found = Boundary.of(spec, trials, {record.trial_key: record for record in records})
    drawn = boundary_chart(found)
    return Part(
        "Where training breaks", grid=ReportTable.of(found.header(), found.cells()), charts=(drawn,) if drawn else ()
    )


def _front(spec: SweepSpec, runs: Sequence[Run]) -> Part:
    found = standings((run.record for run in runs if run.record), spec.objectives)
    names = [name for name in varying([run.params for run in runs]) if name != "seed"]
    return Part("The Pareto front", charts=fronts(found, spec.objectives, lambda params: label(spec, params, names)))


def _search(spec: SweepSpec, runs: Sequence[Run]) -> list[Part | None]:
    """How a search went; the trials of a grid are in an order that means nothing."""
    if spec.method in ("grid", BOUNDARY):
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
        Part("How the search went", words, charts=tuple(one for one in (went, mattered) if one)),
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
