"""What parameters come to, and how a search went, as parts of a report."""

from collections.abc import Mapping, Sequence

from orchestrator.reports import search_charts
from orchestrator.reports.charts import Chart
from orchestrator.reports.configurations import Run
from orchestrator.reports.document import Part
from orchestrator.reports.search_charts import SearchTrial
from orchestrator.spec import Objective, SweepSpec
from orchestrator.spec.domains import Choice
from orchestrator.trial import Outcome
from orchestrator.trials.observation import Observation
from orchestrator.trials.record import Record

MOST_TRIALS = 2000


def searched(spec: SweepSpec, runs: Sequence[Run]) -> list[Part | None]:
    """The importance of each parameter; and the progress of a search, not of a grid, whose order has no meaning."""
    if not spec.ranks:
        return []
    from orchestrator.samplers.importances import importances  # optuna takes a while to import

    objective = spec.objectives[0]
    records = sorted((run.record for run in runs if run.record), key=lambda record: record.began)
    importance = search_charts.importances(importances(spec, records), objective)
    if spec.method.is_exhaustive:
        return [Part("Parameter importance", charts=(importance,))] if importance else []
    labels = {run.record.run_id: run.label for run in runs if run.record}
    histories = [
        search_charts.history(
            search_charts.thinned(_tried(records, labels, one), one, MOST_TRIALS),
            one,
            "Search history" if one is objective else f"Search history: {one.name}",
        )
        for one in spec.objectives
    ]
    trials = _tried(records, labels, objective)
    words = (f"{MOST_TRIALS:,} of {len(trials):,} trials are drawn.",) if len(trials) > MOST_TRIALS else ()
    trials = search_charts.thinned(trials, objective, MOST_TRIALS)
    slices = [_slice(spec, name, trials) for name in _varied(spec, trials)]
    return [
        Part("Progress of the search", words, charts=tuple(filter(None, (*histories, importance)))),
        Part("The metric along each parameter", charts=tuple(filter(None, slices)), is_explored=True),
    ]


def _tried(records: Sequence[Record], labels: Mapping[str, str], objective: Objective) -> list[SearchTrial]:
    """The trials of a search that completed, exploded or were pruned, with what each came to."""
    trials = []
    for number, record in enumerate(records, 1):
        seen = Observation.of_record([objective], record)
        is_pruned = record.outcome is Outcome.PRUNED
        value = seen.known[0] if seen and seen.known and (is_pruned or record.outcome is Outcome.COMPLETED) else None
        if value is not None or record.outcome is Outcome.EXPLODED:
            trials.append(SearchTrial(number, labels[record.run_id], value, record.params, is_pruned))
    return trials


def _varied(spec: SweepSpec, trials: Sequence[SearchTrial]) -> list[str]:
    names = [*spec.domains, *(name for rows in (spec.zipped, spec.configs) for row in rows for name in row)]
    return [name for name in dict.fromkeys(names) if len({repr(trial.params[name]) for trial in trials}) > 1]


def _slice(spec: SweepSpec, name: str, trials: Sequence[SearchTrial]) -> Chart | None:
    """The metric along a parameter, of the trials in which it is varied."""
    varied = [trial for trial in trials if spec.conditions.holds(name, trial.params)]
    domain = spec.domains.get(name)
    is_log = domain is not None and not isinstance(domain, Choice) and domain.log and domain.ends[0] > 0
    return search_charts.along(name, is_log, varied, spec.objectives[0])
