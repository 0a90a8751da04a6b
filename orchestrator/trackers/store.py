"""The read side of MLflow: the sweeps of a tracking URI, and what has become of their trials."""

import difflib
import functools
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mlflow.entities import Experiment, Run, ViewType
from mlflow.exceptions import MlflowException

from orchestrator.errors import InputError, StoreAwayError
from orchestrator.progress.status import Point
from orchestrator.spec import Objective
from orchestrator.system import provenance
from orchestrator.system.durations import UNTIL_STOPPED
from orchestrator.system.paths import redacted, sqlite_path
from orchestrator.system.printable import in_a_line
from orchestrator.system.scratch import scratch
from orchestrator.trackers import database, deleted, doubles, experiments, parent_run, trial_params, view
from orchestrator.trackers.best_values import with_best
from orchestrator.trackers.causes import is_no_entry
from orchestrator.trackers.client import client_of
from orchestrator.trackers.errors import may_pass, message, translates_errors
from orchestrator.trackers.kept_code import DIFF, PACKAGES
from orchestrator.trackers.last_launch import ASKED, FUNCTION, WORKERS, LastLaunch
from orchestrator.trackers.parent_run import PARENT
from orchestrator.trackers.trial_runs import TrialRun, Wanted, of_trials, pages, points_of
from orchestrator.trial import Outcome
from orchestrator.trials import metric_names
from orchestrator.trials.labels import marked
from orchestrator.trials.record import REPLACED, Record

SWEEP_FILE = "sweep.yaml"  # the file itself, an artifact of the parent
# which trial it is, which place it has in a chart or a stack, and what it ran with: two thirds of what a run says
APART_FROM_RESULTS = (PARENT, "mlflow.runColor", "seed", "config", "threads", DIFF, PACKAGES, *provenance.TAGS)
NO_SUCH_RUN = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


class Store:
    """The read side: the sweeps of a tracking URI."""

    def __init__(self, uri: str) -> None:
        for name in ("alembic", "mlflow.store", "mlflow.tracking"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what goes wrong comes back as an exception, too
        self.uri = uri
        try:
            database.try_once(uri)
            path = sqlite_path(uri)
            if path is not None and not path.is_file():
                database.make(path)
            self.client = client_of(uri)
            self.client.search_experiments(max_results=1)  # a store that does not answer is to fail at once
        except Exception as error:  # drivers of databases and of HTTP raise what they like
            kind = StoreAwayError if may_pass(error) and not is_no_entry(error) else InputError
            raise kind(f"the store {redacted(uri)} cannot be opened: {message(error)}") from error

    @translates_errors
    def sweeps(self) -> list[str]:
        """The names of all sweeps in the store."""
        return sorted(experiment.name for experiment in self.experiments())

    @translates_errors
    def experiments(self) -> list[Experiment]:
        """The experiments that are sweeps."""
        is_sweep = f"tags.{experiments.SWEEPS} = 'true'"
        return list(pages(functools.partial(self.client.search_experiments, filter_string=is_sweep)))

    @translates_errors
    def experiment(self, name: str) -> Experiment | None:
        """The experiment of a sweep, or None.

        Raises:
            InputError: it is in the trash, or no sweep's.
        """
        experiment: Experiment | None = self.client.get_experiment_by_name(name)
        if experiment is not None:
            experiments.check(experiment, self.uri)
        return experiment

    def existing(self, name: str) -> str:
        """The name of a sweep, which the store has to have.

        Raises:
            InputError: it has not, or has it in the trash.
        """
        if self.experiment(name) is None:
            raise InputError(f"the store has no sweep {in_a_line(name)}; it has {', '.join(self.sweeps()) or 'none'}")
        return name

    @translates_errors
    def parent(self, experiment: Experiment) -> Run | None:
        """The parent run of a sweep, or None; one that was deleted where there is no other."""
        return parent_run.found(self.client, experiment.experiment_id)

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
        asked = LastLaunch.recorded(parent.data.tags if parent else {})
        if asked is None:
            raise InputError(f"the store does not say how the trials of {name} are compared; launch it again")
        return asked

    @translates_errors
    def function(self, name: str) -> str:
        """The name of the trial function of a sweep's last launch; empty where the store does not say."""
        parent = self._parent(name)
        return parent.data.tags.get(FUNCTION, "") if parent else ""

    @translates_errors
    def is_running(self, name: str) -> bool:
        """Whether a launch of a sweep has begun and not said that it has ended."""
        parent = self._parent(name)
        return parent is not None and parent.info.status == "RUNNING"

    @translates_errors
    def is_over(self, name: str) -> bool:
        """Whether the last launch of a sweep has come to its end, and was neither interrupted nor killed."""
        parent = self._parent(name)
        return parent is None or parent.info.status in ("FINISHED", "FAILED")

    @translates_errors
    def workers(self, name: str) -> int | None:
        """How many trials of a sweep may run at once, where somebody has asked the launch for so many that runs it."""
        parent = self._parent(name)
        asked = parent.data.tags.get(WORKERS, "") if parent and parent.info.status == "RUNNING" else ""
        return int(asked) if asked.isdecimal() else None

    @translates_errors
    def reported(self, function: str) -> list[str]:
        """The metrics that the latest finished trial of a function has reported, in any sweep."""
        finished = f"tags.trial = '{function}' and tags.outcome = '{Outcome.COMPLETED}'"
        experiments = [experiment.experiment_id for experiment in self.experiments()]
        latest = ["attributes.end_time DESC"]
        runs = self.client.search_runs(experiments, finished, max_results=1, order_by=latest) if experiments else []
        records = [record_of(run) for run in runs]
        return list(dict.fromkeys(name for record in records for name in record.reported_names))

    @translates_errors
    def curves(self, metric: str, records: Iterable[Record]) -> dict[str, dict[int, float]]:
        """A metric by epoch of each of these trials, as it reported it, by run_id."""
        run_ids: dict[str, list[str]] = {}
        for record in records:
            run_ids.setdefault(record.stored(metric), []).append(record.run_id)
        found: dict[str, dict[int, float]] = {run_id: {} for ids in run_ids.values() for run_id in ids}
        for stored, ids in run_ids.items():
            for run_id, step, value in points_of(self.client, stored, ids):
                if step > 0:  # at 0 stand final metrics, or after an epoch's value in its own step
                    found[run_id].setdefault(step, value)
        return {run_id: dict(sorted(curve.items())) for run_id, curve in found.items()}

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
    def records(self, name: str, objectives: Iterable[Objective] = ()) -> list[Record]:
        """Every trial of a sweep, in the order in which they were first started, with its best by the objectives."""
        return marked(with_best(doubles.apart(self._found(name))[0], objectives, self.curves))

    @translates_errors
    def results(self, name: str, objectives: Iterable[Objective] = ()) -> list[Record]:
        """The same as far as results need it: the records lack the tags of where, and with what, trials ran."""
        found = self._found(name, unneeded=APART_FROM_RESULTS)
        return with_best(doubles.apart(found)[0], objectives, self.curves)

    @translates_errors
    def trash(self, name: str) -> dict[str, Record]:
        """The trials whose runs somebody has put into MLflow's trash, by trial_key: of several runs the latest."""
        records = self._found(name, stage=ViewType.DELETED_ONLY)
        return {record.trial_key: record for record in records if deleted.is_somebodys(record)}

    @translates_errors
    def deleted(self, name: str) -> set[str]:
        """The run_ids of all trials that lie in MLflow's trash, whoever has put them there."""
        return {record.run_id for record in self._found(name, stage=ViewType.DELETED_ONLY)}

    @translates_errors
    def news(self, name: str, since: float, objectives: Iterable[Objective] = ()) -> list[Record]:
        """The results of a sweep that run now, or have ended since then (seconds since 1970)."""
        running = self._found(name, status="RUNNING", unneeded=APART_FROM_RESULTS)
        ended = self._found(name, ended_since=int(since * 1000), unneeded=APART_FROM_RESULTS)
        return [*running, *with_best(ended, objectives, self.curves)]

    @translates_errors
    def curve(self, record: Record, metric: str) -> list[Point]:
        """A metric of a trial by epoch."""
        points = self.client.get_metric_history(record.run_id, record.stored(metric))
        return [(point.step, point.value, point.timestamp / 1000) for point in points if point.step > 0]

    def _found(self, name: str, stage: int = ViewType.ACTIVE_ONLY, **limits: Any) -> list[Record]:
        experiment = self.experiment(name)
        if experiment is None:
            return []
        # by a tag of their own, and not by the parent, which somebody may have deleted
        wanted = Wanted(experiment.experiment_id, {"trial_key": None}, stage, **limits)
        return [_record(run) for run in of_trials(self.client, wanted) if REPLACED not in run.tags]

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


def counts(run: Run) -> bool:
    """Whether no other run has replaced it."""
    return REPLACED not in run.data.tags


def record_of(run: Run) -> Record:
    """A trial's run as the orchestrator knows it."""
    return _record(TrialRun.of(run))


def _record(run: TrialRun) -> Record:
    tags = run.tags
    outcome = Outcome(tags["outcome"]) if "outcome" in tags else None
    return Record(
        run_id=run.run_id,
        trial_key=tags.get("trial_key", ""),
        label=in_a_line(tags.get("mlflow.runName", "")),
        outcome=outcome,
        status=run.status,
        params=trial_params.read(tags),
        metrics={tags.get(metric_names.PREFIX + name, name): value for name, value in run.metrics.items()},
        tags=tags,
        began=run.began / 1000,
        ended=run.ended / 1000 if run.ended else None,
        is_deleted=run.is_deleted,
    )
