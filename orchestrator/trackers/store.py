"""The read side of MLflow: the sweeps of a tracking URI, and what has become of their trials."""

import difflib
import functools
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Experiment, Run, ViewType
from mlflow.entities import Metric as Logged
from mlflow.exceptions import MlflowException
from pydantic import TypeAdapter

from orchestrator.errors import InputError
from orchestrator.functions.declaration import UNDECLARED, Declaration
from orchestrator.progress.status import Point
from orchestrator.spec import Objective
from orchestrator.spec.objective import objectives
from orchestrator.spec.strict import SweepMetricForm
from orchestrator.system.durations import UNTIL_STOPPED
from orchestrator.system.paths import SQLITE, redacted, sqlite_path
from orchestrator.system.printable import in_a_line
from orchestrator.system.scratch import scratch
from orchestrator.trackers import trial_params, view
from orchestrator.trackers.errors import message, translates_errors
from orchestrator.trial import Outcome
from orchestrator.trials import metric_names
from orchestrator.trials.record import Record

PARENT = "mlflow.parentRunId"
# on the parent, of its last launch: how many trials it asked for, what they are compared by, and the file
ASKED, METRIC, GOAL, FILE = "sweep.trials", "sweep.metric", "sweep.goal", "sweep.file"
TARGET = "sweep.target"  # of the metric; empty where there is none
DECLARED = "sweep.declared"  # the part of the trial function's declaration that watching a sweep needs
SWEEP_FILE = "sweep.yaml"  # the file itself, an artifact of the parent
OF_A_DECLARATION = ("training_losses", "validation_losses", "rate", "pace")
BETWEEN = ", "  # several metrics and their goals
PAGE = 1000
MOST_POINTS = 2**31 - 1  # that a database gives at once; that is, all
NO_SUCH_RUN = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


@dataclass(frozen=True)
class LastLaunch:
    """What a launch asked for: what to compare trials by, and the file as it was named."""

    objectives: Sequence[Objective]
    file: str
    declaration: Declaration  # of the trial function, as far as watching a sweep needs it


_declarations = TypeAdapter(Declaration)


def _make(path: Path) -> None:
    """Make a SQLite store: whole, whoever is killed meanwhile, and once, whoever makes it at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        if path.is_file():
            return
        unfinished = path.with_suffix(".unfinished")
        for left in path.parent.glob(f"{unfinished.name}*"):
            left.unlink()
        MlflowClient(tracking_uri=f"{SQLITE}{unfinished}").search_experiments(max_results=1)  # makes the schema
        unfinished.replace(path)


class Store:
    """The read side: the sweeps of a tracking URI."""

    def __init__(self, uri: str) -> None:
        for name in ("alembic", "mlflow.store", "mlflow.tracking"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what goes wrong comes back as an exception, too
        self.uri = uri
        try:
            path = sqlite_path(uri)
            if path is not None and not path.is_file():
                _make(path)
            self.client = MlflowClient(tracking_uri=uri)
            self.client.search_experiments(max_results=1)  # a store that does not answer is to fail at once
        except Exception as error:  # drivers of databases and of HTTP raise what they like
            raise InputError(f"the store {redacted(uri)} cannot be opened: {message(error)}") from error

    @translates_errors
    def sweeps(self) -> list[str]:
        """The names of all sweeps in the store."""
        return sorted(experiment.name for experiment in self.experiments())

    @translates_errors
    def experiments(self) -> list[Experiment]:
        """The experiments that are sweeps."""
        is_sweep = "tags.vae_sweeps = 'true'"
        return list(_all(functools.partial(self.client.search_experiments, filter_string=is_sweep)))

    @translates_errors
    def experiment(self, name: str) -> Experiment | None:
        """The experiment of a sweep, or None."""
        experiment: Experiment | None = self.client.get_experiment_by_name(name)
        return experiment

    @translates_errors
    def parent(self, experiment: Experiment) -> Run | None:
        """The parent run of a sweep, or None."""
        is_parent = "tags.`sweep.role` = 'parent'"
        runs: list[Run] = self.client.search_runs([experiment.experiment_id], is_parent, max_results=1)
        return runs[0] if runs else None

    @translates_errors
    def addresses(self, most: int) -> list[tuple[str, str]]:
        """The names of sweeps, those launched last first, and where the UI compares their runs."""
        known = sorted(self.experiments(), key=lambda e: e.last_update_time or 0, reverse=True)
        return [(e.name, view.address(e.experiment_id, view.TAG in e.tags)) for e in known[:most]]

    @translates_errors
    def total(self, name: str) -> int | None:
        """How many trials the last launch of a sweep was to bring to a result; None: until it is stopped."""
        parent = self._parent(name)
        asked = parent.data.tags.get(ASKED, "0") if parent else "0"
        return None if asked == UNTIL_STOPPED else int(asked)

    @translates_errors
    def last_launch(self, name: str) -> LastLaunch:
        """What the last launch of a sweep asked for."""
        parent = self._parent(name)
        tags = parent.data.tags if parent else {}
        if METRIC not in tags:
            raise InputError(f"the store does not say how the trials of {name} are compared; launch it again")
        named = zip(_split(tags[METRIC]), _split(tags[GOAL]), strict=True)
        target = {"target": float(tags[TARGET])} if tags.get(TARGET) else {}
        metrics = [SweepMetricForm.model_validate({"name": name, "goal": goal, **target}) for name, goal in named]
        declaration = _declarations.validate_json(tags[DECLARED]) if DECLARED in tags else UNDECLARED
        return LastLaunch(objectives(metrics), tags[FILE], declaration)

    @translates_errors
    def reported(self, function: str) -> list[str]:
        """The metrics that the latest finished trial of a function has reported, in any sweep."""
        finished = f"tags.trial = '{function}' and tags.outcome = '{Outcome.COMPLETED}'"
        experiments = [experiment.experiment_id for experiment in self.experiments()]
        latest = ["attributes.end_time DESC"]
        runs = self.client.search_runs(experiments, finished, max_results=1, order_by=latest) if experiments else []
        records = [record_of(run) for run in runs]
        return list(dict.fromkeys(n for record in records for n in (*record.final_names, *record.names_by_epoch)))

    @translates_errors
    def curves(self, metric: str, records: Iterable[Record]) -> dict[str, dict[int, float]]:
        """A metric by epoch of each of these trials, as it reported it, by run_id."""
        run_ids: dict[str, list[str]] = {}
        for record in records:
            run_ids.setdefault(record.stored(metric), []).append(record.run_id)
        found: dict[str, dict[int, float]] = {run_id: {} for ids in run_ids.values() for run_id in ids}
        for stored, ids in run_ids.items():
            for run_id, point in self._points(stored, ids):
                if point.step > 0:  # at 0 stand final metrics, or after an epoch's value in its own step
                    found[run_id].setdefault(point.step, point.value)
        return {run_id: dict(sorted(curve.items())) for run_id, curve in found.items()}

    def _points(self, metric: str, run_ids: Sequence[str]) -> Iterator[tuple[str, Logged]]:
        """All points of a metric, those of a run in the order in which they were logged.

        A database gives those of many runs at once, which MLflow's client does not offer; a server is asked run by run.
        """
        of_many = getattr(self.client._tracking_client.store, "get_metric_history_bulk", None)
        if of_many is None:
            yield from (
                (run_id, point) for run_id in run_ids for point in self.client.get_metric_history(run_id, metric)
            )
            return
        for start in range(0, len(run_ids), PAGE):
            for found in of_many(run_ids[start : start + PAGE], metric, MOST_POINTS):
                yield found.run_id, found

    @translates_errors
    def record(self, run_id: str) -> Record:
        """The trial of a run.

        Raises:
            InputError: there is no such run, or it is not a trial's.
        """
        try:
            run = self.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code not in NO_SUCH_RUN:
                raise
            raise InputError(f"the store has no run {in_a_line(run_id)}; {self._nearest_run(run_id)}") from error
        tags = run.data.tags
        if tags.get("sweep.role") == "parent":
            trials = [f"{record.run_id} ({record.label})" for record in self.records(tags["sweep"])[:1]]
            hint = f"use the run of a trial, for example {trials[0]}" if trials else "it has no trials yet"
            raise InputError(f"{run_id} is the run of the whole sweep {tags['sweep']}; {hint}")
        if not {"trial_key", "trial", "params", "sweep"} <= tags.keys():
            raise InputError(f"{run_id} is not a trial of a sweep; the store has the sweeps {', '.join(self.sweeps())}")
        return record_of(run)

    @translates_errors
    def records(self, name: str) -> list[Record]:
        """Every trial of a sweep, in the order in which they were first started."""
        return self._found(name)

    @translates_errors
    def news(self, name: str, since: float) -> list[Record]:
        """The trials of a sweep that run now, and those that have ended since then (seconds since 1970)."""
        running = self._found(name, " and attributes.status = 'RUNNING'")
        return [*running, *self._found(name, f" and attributes.end_time >= {int(since * 1000)}")]

    @translates_errors
    def curve(self, record: Record, metric: str) -> list[Point]:
        """A metric of a trial by epoch."""
        points = self.client.get_metric_history(record.run_id, record.stored(metric))
        return [(point.step, point.value, point.timestamp / 1000) for point in points if point.step > 0]

    def _found(self, name: str, filtered: str = "") -> list[Record]:
        parent = self._parent(name)
        if parent is None:
            return []
        runs = _all(
            functools.partial(
                self.client.search_runs,
                [parent.info.experiment_id],
                f"tags.`{PARENT}` = '{parent.info.run_id}'{filtered}",
                ViewType.ACTIVE_ONLY,
                order_by=["attributes.start_time ASC"],
            )
        )
        return [record_of(run) for run in runs]

    @translates_errors
    def sweep_file(self, name: str) -> str | None:
        """The text of the file of a sweep's last launch, or None if the store no longer has it."""
        parent = self._parent(name)
        if parent is None or SWEEP_FILE not in self.artifacts(parent.info.run_id):
            return None
        return self.artifact(parent.info.run_id, SWEEP_FILE).decode()

    @translates_errors
    def history(self, record: Record, metric: str) -> list[tuple[int, float]]:
        """A metric of a trial by epoch, in their order."""
        points = self.client.get_metric_history(record.run_id, record.stored(metric))
        return sorted({point.step: point.value for point in points}.items())

    @translates_errors
    def artifacts(self, run_id: str) -> set[str]:
        """The names of what a run left, folders included."""
        return {item.path for item in self.client.list_artifacts(run_id)}

    @translates_errors
    def artifact(self, run_id: str, name: str) -> bytes:
        """What a run left under a name that `artifacts` has."""
        with scratch() as folder:
            return Path(self.client.download_artifacts(run_id, name, str(folder))).read_bytes()

    def _parent(self, name: str) -> Run | None:
        experiment = self.experiment(name)
        return self.parent(experiment) if experiment else None

    def _nearest_run(self, run_id: str) -> str:
        records = {record.run_id: record for name in self.sweeps() for record in self.records(name)}
        begins_so = [known for known in records if run_id and known.startswith(run_id)]
        close = begins_so or difflib.get_close_matches(run_id, records, n=1, cutoff=0.8)
        if close:
            known = records[close[0]]
            return f"did you mean {known.run_id} ({known.tags['sweep']}: {known.label})?"
        return "`sweep ui` shows the id of a trial's run on its page"


def comparison(aims: Sequence[Objective]) -> dict[str, str]:
    """The tags that say what trials are compared by."""
    return {
        METRIC: joined([aim.name for aim in aims]),
        GOAL: joined([aim.goal for aim in aims]),
        TARGET: "".join(repr(aim.target) for aim in aims if aim.target is not None),
    }


def joined(names: Sequence[str]) -> str:
    """Several names in a tag."""
    return json.dumps(names) if any("," in name or name.startswith("[") for name in names) else BETWEEN.join(names)


def _split(text: str) -> list[str]:
    if text.startswith("["):
        return list(json.loads(text))
    return text.split(BETWEEN) if text else []


def declared(declaration: Declaration) -> str:
    """The part of a declaration that the store keeps, as JSON: it is read there without the function."""
    return _declarations.dump_json(declaration, include={*OF_A_DECLARATION}).decode()


def record_of(run: Run) -> Record:
    """A trial's run as the orchestrator knows it."""
    tags = dict(run.data.tags)
    outcome = Outcome(tags["outcome"]) if "outcome" in tags else None
    return Record(
        run_id=run.info.run_id,
        trial_key=tags.get("trial_key", ""),
        label=in_a_line(tags.get("mlflow.runName", "")),
        outcome=outcome,
        status=run.info.status,
        params=trial_params.read(tags),
        metrics={tags.get(metric_names.PREFIX + name, name): value for name, value in run.data.metrics.items()},
        tags=tags,
        began=run.info.start_time / 1000,
        ended=run.info.end_time / 1000 if run.info.end_time else None,
    )


def _all(search: Callable[..., Any]) -> Iterator[Any]:
    token = None
    while True:
        page = search(max_results=PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return
