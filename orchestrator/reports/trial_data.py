"""The trials of a sweep as data for the page: its table and its charts share one document."""

import math
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from orchestrator.comparison.columns import columns as shown_columns
from orchestrator.comparison.ranking import Ranking
from orchestrator.errors import InputError
from orchestrator.reports.charts import rounded
from orchestrator.reports.configurations import Run, RunGroup, constants, counted_name
from orchestrator.reports.curve_data import curves_of
from orchestrator.reports.document import Document
from orchestrator.reports.leavings import Left, left_out
from orchestrator.spec import SweepSpec
from orchestrator.spec.constraint import broken
from orchestrator.spec.domains import Choice
from orchestrator.system.paths import redacted, tracking_uri
from orchestrator.trackers import Store
from orchestrator.trackers.view import run_address
from orchestrator.trial import Outcome
from orchestrator.trials.labels import short, varying
from orchestrator.trials.observation import Observation
from orchestrator.trials.record import DIGEST, SYSTEM, Record

UI = "http://127.0.0.1:5000"  # where `sweep ui` serves
PLACE_OF_ID = "{id}"  # as scripts/table.js has it
ENVIRONMENT = {  # what a trial ran with: names of tags, and what people call it
    "mlflow.source.git.commit": "commit",
    "git.dirty": "uncommitted changes",
    DIGEST: "code",
    "threads": "threads",
    "function.version": "version of the function",
}
VERSION = "version."
BEST = "its best value of any epoch, by which trials are compared"


def trial_data(
    store: Store,
    spec: SweepSpec,
    name: str,
    runs: Sequence[Run],
    configurations: Sequence[RunGroup],
    left: Left,
) -> Document:
    """All that the page has of each trial, as JSON: values, outcome and reason, curves, and what it has left.

    Args:
        store: that has them.
        spec: the sweep's file.
        name: of the sweep in the store.
        runs: its trials.
        configurations: the same trials, by all but their seed.
        left: what they have left.
    """
    numbers = {id(run): number for number, group in enumerate(configurations) for run in group.runs}
    columns = _columns(spec, runs)
    environments: dict[str, Mapping[str, str]] = {}
    begun = sorted((run.record.began, run.record.run_id) for run in runs if run.record)
    starts = {run_id: number for number, (_, run_id) in enumerate(begun, start=1)}
    front = _front(spec, configurations)
    columns += [{"kind": "front", "name": "front", "title": "on the front"}] * bool(front)
    trials = []
    for run in runs:
        trial: dict[str, Any] = {"label": run.label, "state": run.state, "configuration": numbers.get(id(run))}
        trial["values"] = [_value(spec, column, run) for column in columns if column["kind"] != "front"]
        trial["values"] += ["front" if run.config_key in front else None] * bool(front)
        if run.record:
            environment = _environment(run.record)
            environments.setdefault(repr(environment), environment)
            trial |= {**_of_record(run.record, spec), **left.get(run.record.run_id, {})}
            trial |= {"start": starts[run.record.run_id], "environment": [*environments].index(repr(environment))}
        trials.append(trial)
    alike = constants(configurations)
    return {
        "sweep": name,
        "file": _file(spec),
        "columns": columns,
        "same": {name: short(value) for name, value in alike.items()},
        "configurations": [group.label for group in configurations],
        "environments": list(environments.values()),
        "trials": trials,
        "curves": curves_of(store, spec, runs),
        "notes": _notes(spec, configurations),
        "mlflow": _mlflow(store, name),
        "store": _option(store),
        "words": dict(spec.function.declaration.words),
        "left_out": left_out(runs, left),
    }


def _columns(spec: SweepSpec, runs: Sequence[Run]) -> list[dict[str, Any]]:
    """The parameters that vary, what is compared, and the other metrics that trials have reported."""
    columns = [_parameter(spec, name) for name in varying([run.params for run in runs])]
    records = [run.record for run in runs if run.record]
    reported = list(dict.fromkeys(name for record in records for name in record.reported_names))
    declaration = spec.function.declaration
    declared = {metric.name: metric for metric in (*declaration.metrics, *declaration.final)}
    goals = {column.name: column.goal for column in shown_columns(spec, records)}
    for objective in spec.objectives if spec.ranks else ():
        title = counted_name(objective, records)
        is_best = title != objective.name
        text = "; ".join(filter(None, (declaration.text(objective.name), BEST * is_best)))
        column = {"kind": "compared", "name": objective.name, "title": title, "goal": objective.goal}
        columns.append(column | ({"text": text} if text else {}))
        if not is_best and objective.name in reported:
            reported.remove(objective.name)
    bests = {objective.name for objective in spec.objectives if objective.name in reported and spec.ranks}
    for name in reported:
        known = declared.get(name)
        title = f"{'last ' * (name in bests)}{known.heading if known else name}"
        column = {"kind": "metric", "name": name, "title": title}
        told = {"goal": known.goal if known else goals.get(name), "text": declaration.text(name)}
        columns.append(column | {key: value for key, value in told.items() if value})
    return columns


def _front(spec: SweepSpec, configurations: Sequence[RunGroup]) -> set[str]:
    """The keys of the configurations on the Pareto front, where several metrics are compared."""
    if not spec.ranks or len(spec.objectives) < 2:
        return set()
    ranked = Ranking((group.configuration for group in configurations), spec.objectives, spec.survivors)
    return {configuration.config_key for configuration in ranked.front} if ranked else set()


def _parameter(spec: SweepSpec, name: str) -> dict[str, Any]:
    domain = spec.domains.get(name)
    is_log = domain is not None and not isinstance(domain, Choice) and domain.log and domain.ends[0] > 0
    return {"kind": "parameter", "name": name, "title": name} | ({"log": True} if is_log else {})


def _value(spec: SweepSpec, column: Mapping[str, Any], run: Run) -> Any:
    """A trial's value of a column; None where it has none, or where a parameter means nothing to it."""
    name = column["name"]
    if column["kind"] == "parameter":
        return _plain(run.params.get(name)) if spec.conditions.holds(name, run.params) else None
    if run.record is None:
        return None
    if column["kind"] == "metric":
        return _finite(run.record.metrics.get(name))
    if run.outcome is not None and (run.outcome.is_bad or run.outcome is Outcome.FAILED):
        return None  # it counts as an explosion, or not at all, whatever it had come to before
    objective = next(one for one in spec.objectives if one.name == name)
    seen = Observation.of_record([objective], run.record)
    return _finite(seen.known[0] if seen and seen.known else run.record.value(objective))


def _plain(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return short(value)


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")


def _of_record(record: Record, spec: SweepSpec) -> dict[str, Any]:
    found: dict[str, Any] = {"id": record.run_id}
    if breaks := broken(record.told(spec.constraints)) if record.outcome is Outcome.COMPLETED else ():
        found["breaks"] = "; ".join(breaks)
    if record.remark:
        found["reason"] = record.remark
    if record.last_epoch is not None:
        found["epochs"] = record.last_epoch
    if record.seconds is not None:
        found["seconds"] = round(record.seconds, 2)
    if record.outcome is Outcome.EXPLODED and "explosion.epoch" in record.tags:
        found["explosion"] = {
            name: _finite(float(record.tags[f"explosion.{name}"]))
            for name in ("epoch", "step", "last_finite_loss")
            if f"explosion.{name}" in record.tags
        }
    system = {name.removeprefix(SYSTEM): value for name, value in record.metrics.items() if name.startswith(SYSTEM)}
    if resources := {name: rounded(value) for name, value in sorted(system.items()) if math.isfinite(value)}:
        found["resources"] = resources
    return found


def _environment(record: Record) -> Mapping[str, str]:
    known = {title: record.tags[tag][:40] for tag, title in ENVIRONMENT.items() if tag in record.tags}
    versions = {tag.removeprefix(VERSION): text for tag, text in record.tags.items() if tag.startswith(VERSION)}
    return known | dict(sorted(versions.items()))


def _notes(spec: SweepSpec, configurations: Sequence[RunGroup]) -> dict[str, str]:
    """By metric: why it does not compare trials in which certain parameters differ, where these do."""
    differ = varying([group.params for group in configurations])
    return {
        metric: f"{metric} {rule.reason}, so it cannot be compared between values of {' and '.join(between)}."
        for rule in spec.function.declaration.incomparable
        if (between := [name for name in rule.between if name in differ])
        for metric in rule.metrics
    }


def _option(store: Store) -> str:
    """The option by which a command finds this store from here."""
    with suppress(InputError):  # of an environment that names no store
        if store.uri == tracking_uri(None):
            return ""
    return f" --tracking-uri {shlex.quote(redacted(store.uri))}"


def _file(spec: SweepSpec) -> str:
    """The sweep's file, as a command here finds it."""
    path = spec.source.path.absolute()
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _mlflow(store: Store, name: str) -> dict[str, Any]:
    """The address of a run in MLflow, with a place for its id; and whether that is on a server that runs anyway."""
    experiment = store.experiment(name)
    is_server = store.uri.startswith(("http://", "https://"))
    server = redacted(store.uri).rstrip("/") if is_server else UI
    run = f"{server}{run_address(experiment.experiment_id, PLACE_OF_ID)}" if experiment else ""
    return {"run": run, "server": is_server}
