"""What stands in MLflow. The only importer of mlflow, and the only place that writes; also reads history back."""

import functools
import getpass
import importlib.metadata
import json
import logging
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

# before the import: it would otherwise start a thread that reports usage over the network
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import mlflow.entities
import mlflow.exceptions
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, Experiment, InputTag, Param, Run, RunTag, ViewType

from orchestrator.errors import InputError, StoreError
from orchestrator.events import Event, Finished, Progress, Started
from orchestrator.spec import SweepSpec
from orchestrator.spec.form import Metric
from orchestrator.store import sqlite_path, work_folder
from orchestrator.trial import Outcome, Params, Trial
from orchestrator.worker import LOG_FILE

PARENT = "mlflow.parentRunId"
PAGE = 1000
STATUS = {
    Outcome.COMPLETED: "FINISHED",
    Outcome.EXPLODED: "FAILED",
    Outcome.FAILED: "FAILED",
    Outcome.PRUNED: "KILLED",
    Outcome.INTERRUPTED: "KILLED",
}
STALE_TAGS = {"outcome", "failure.reason"}  # of a run that is taken up again
VERSIONS = ("vae-sweeps", "torch", "torchvision", "mlflow", "optuna", "scikit-image", "numpy")

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Record:
    """A trial as the store has it."""

    run_id: str
    trial_key: str
    label: str
    outcome: Outcome | None  # None while it runs, or when it was cut off without a word
    status: str  # MLflow's: RUNNING, FINISHED, FAILED, KILLED
    params: Params
    metrics: Mapping[str, float]
    tags: Mapping[str, str]

    @property
    def seconds(self) -> float | None:
        """Time spent training, in seconds, over all launches."""
        return float(self.tags["wall_seconds"]) if "wall_seconds" in self.tags else None

    @property
    def last_epoch(self) -> int | None:
        """The last whole epoch of a trial that has ended."""
        return int(self.tags["epochs_run"]) if "epochs_run" in self.tags else None

    @property
    def remark(self) -> str:
        """What is to be said of its end: why it exploded or failed, or that it learned nothing."""
        return next((self.tags[k] for k in ("explosion.reason", "failure.reason", "diagnosis") if k in self.tags), "")

    def value(self, metric: Metric) -> float | None:
        """The metric that trials are compared by: of a metric by epoch, the best."""
        return self.metrics.get(best_name(metric.name), self.metrics.get(metric.name))


def best_name(metric: str) -> str:
    """The name under which the best value of a metric by epoch is logged."""
    return f"best_{metric}"


def _says_what_mlflow_says(method: Callable[P, T]) -> Callable[P, T]:
    @functools.wraps(method)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(*args, **kwargs)
        except mlflow.exceptions.MlflowException as error:
            message = " ".join(str(error).split())
            raise StoreError(f"MLflow: {message[:500]}") from error

    return wrapped


class Store:
    """The read side: the sweeps of a tracking URI."""

    def __init__(self, uri: str) -> None:
        for name in ("alembic", "mlflow.store.db.utils", "mlflow.tracking"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self.uri = uri
        try:
            if path := sqlite_path(uri):
                path.parent.mkdir(parents=True, exist_ok=True)
            self.client = MlflowClient(tracking_uri=uri)
            self.client.search_experiments(max_results=1)  # the first contact makes the schema
        except Exception as error:  # drivers of databases and of HTTP raise what they like
            raise InputError(f"the store {uri} cannot be opened: {' '.join(str(error).split())[:300]}") from error

    @_says_what_mlflow_says
    def sweeps(self) -> list[str]:
        """The names of all sweeps in the store."""
        found = _all(functools.partial(self.client.search_experiments, filter_string="tags.vae_sweeps = 'true'"))
        return sorted(experiment.name for experiment in found)

    @_says_what_mlflow_says
    def experiment(self, name: str) -> Experiment | None:
        """The experiment of a sweep, or None."""
        experiment: Experiment | None = self.client.get_experiment_by_name(name)
        return experiment

    @_says_what_mlflow_says
    def parent(self, experiment: Experiment) -> Run | None:
        """The parent run of a sweep, or None."""
        runs = self.client.search_runs([experiment.experiment_id], "tags.`sweep.role` = 'parent'", max_results=1)
        return runs[0] if runs else None

    @_says_what_mlflow_says
    def records(self, name: str) -> list[Record]:
        """Every trial of a sweep, in the order in which they were first started."""
        experiment = self.experiment(name)
        parent = experiment and self.parent(experiment)
        if experiment is None or parent is None:
            return []
        runs = _all(
            functools.partial(
                self.client.search_runs,
                [experiment.experiment_id],
                f"tags.`{PARENT}` = '{parent.info.run_id}'",
                ViewType.ACTIVE_ONLY,
                order_by=["attributes.start_time ASC"],
            )
        )
        return [_record(run) for run in runs]


class Tracker(Store):
    """The write side, for one sweep: a parent run, and a child run for each trial."""

    def __init__(self, uri: str, spec: SweepSpec) -> None:
        super().__init__(uri)
        self.spec = spec
        self._runs: dict[str, _OpenRun] = {}

    @_says_what_mlflow_says
    def open(self) -> dict[str, Record]:
        """Begin a launch, in the sweep's own parent run; returns what the store has of the sweep, by trial_key."""
        experiment = self.experiment(self.spec.name)
        if experiment is None:
            folder = work_folder(self.uri).parent / "artifacts"
            location = (folder / self.spec.name).as_uri() if self.uri.startswith("sqlite:") else None
            self.experiment_id = self.client.create_experiment(
                self.spec.name, artifact_location=location, tags={"vae_sweeps": "true"}
            )
            experiment = self.client.get_experiment(self.experiment_id)
        elif experiment.lifecycle_stage != "active":
            raise InputError(f"the experiment {self.spec.name} is in MLflow's trash; restore it, or name the sweep anew")
        self.experiment_id = experiment.experiment_id
        parent = self.parent(experiment)
        if parent is None:
            tags = {"mlflow.runName": self.spec.name, "sweep": self.spec.name, "sweep.role": "parent"}
            parent = self.client.create_run(self.experiment_id, tags=tags)
        else:
            self.client.update_run(parent.info.run_id, status="RUNNING")
        self.parent_id: str = parent.info.run_id
        self.client.log_batch(self.parent_id, tags=[RunTag(k, v) for k, v in _provenance().items()])
        self.client.log_text(self.parent_id, self.spec.source.text, "sweep.yaml")
        self._records = {record.trial_key: record for record in self.records(self.spec.name)}
        self._settle()
        return self._records

    @_says_what_mlflow_says
    def start(self, trial: Trial) -> None:
        """Have a RUNNING child run for the trial: a new one, or the one in which it was begun."""
        known = self._records.get(trial.trial_key)
        if known is None:
            run = self.client.create_run(
                self.experiment_id,
                tags={
                    "mlflow.runName": trial.label,
                    PARENT: self.parent_id,
                    "sweep": self.spec.name,
                    "trial_key": trial.trial_key,
                    "config_key": trial.config_key,
                    "params": json.dumps(dict(trial.params)),
                    "trial": trial.function,
                    **_provenance(),
                },
            )
            self.client.log_batch(run.info.run_id, params=[Param(k, str(v)) for k, v in trial.params.items()])
            self._runs[trial.trial_key] = _OpenRun(run.info.run_id)
            return
        self.client.update_run(known.run_id, status="RUNNING")
        for tag in known.tags.keys() & STALE_TAGS:
            self.client.delete_tag(known.run_id, tag)
        run = self._runs[trial.trial_key] = _OpenRun(known.run_id, seconds_before=known.seconds or 0.0)
        for name in known.metrics:
            for point in self.client.get_metric_history(known.run_id, name):
                run.recorded[name] = max(point.step, run.recorded.get(name, 0))
                if name == self.spec.metric.name:
                    run.note(self.spec.metric, point.step, point.value)
        run.last_epoch = max(run.recorded.values(), default=0)

    @_says_what_mlflow_says
    def record(self, trial: Trial, event: Event, workdir: Path) -> None:
        """Write what an event says to the trial's run."""
        run = self._runs[trial.trial_key]
        match event:
            case Started():
                run.started = time.monotonic()
                tags = [RunTag("threads", str(event.threads))]
                self.client.log_batch(run.run_id, tags=tags)
                if event.dataset:
                    self.client.log_inputs(run.run_id, [_dataset_input(event.dataset)])
            case Progress():
                self.client.log_batch(run.run_id, run.points(event.metrics, event.epoch, event.at))
                if (value := event.metrics.get(self.spec.metric.name)) is not None:
                    run.note(self.spec.metric, event.epoch, value)
            case Finished():
                self._finish(run, event, workdir)
                del self._runs[trial.trial_key]

    @_says_what_mlflow_says
    def describe(self, summary: str) -> None:
        """Make Markdown the sweep's description."""
        self.client.set_tag(self.parent_id, "mlflow.note.content", summary)

    @_says_what_mlflow_says
    def close(self, status: str) -> None:
        """End the launch: FINISHED, FAILED or KILLED."""
        self.client.set_terminated(self.parent_id, status)

    def _finish(self, run: "_OpenRun", event: Finished, workdir: Path) -> None:
        artifacts, log = workdir / "artifacts", workdir / LOG_FILE
        if artifacts.is_dir():
            self.client.log_artifacts(run.run_id, str(artifacts))
        if event.outcome is Outcome.FAILED and log.is_file():
            self.client.log_artifact(run.run_id, str(log))
        metrics: dict[str, float] = {}
        if event.outcome.is_result:
            metrics = {**event.metrics, **run.best, "exploded": float(event.outcome is Outcome.EXPLODED)}
        tags = {"outcome": event.outcome.value, "wall_seconds": f"{run.seconds:.3f}", "epochs_run": str(run.last_epoch)}
        if event.reason:
            tags["failure.reason"] = event.reason
        if event.diagnosis:
            tags["diagnosis"] = event.diagnosis
        if event.explosion:
            tags |= {f"explosion.{k}": str(v) for k, v in vars(event.explosion).items() if v is not None}
        self.client.log_batch(
            run.run_id, run.points(metrics, 0, time.time()), tags=[RunTag(k, v[:8000]) for k, v in tags.items()]
        )
        self.client.set_terminated(run.run_id, STATUS[event.outcome])

    def _settle(self) -> None:
        """Give the runs that a dead launch left RUNNING the status of their outcome; without one they were cut off."""
        for record in self._records.values():
            if record.status == "RUNNING":
                self.client.set_terminated(record.run_id, STATUS[record.outcome or Outcome.INTERRUPTED])
                if record.outcome is None:
                    self.client.set_tag(record.run_id, "outcome", Outcome.INTERRUPTED.value)


@dataclass
class _OpenRun:
    """A run that is being written: what of it is recorded already, so that an epoch told twice stands once."""

    run_id: str
    recorded: dict[str, int] = field(default_factory=dict)
    seconds_before: float = 0.0
    started: float = field(default_factory=time.monotonic)
    best: dict[str, float] = field(default_factory=dict)
    last_epoch: int = 0

    @property
    def seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self.started

    def points(self, metrics: Mapping[str, float], step: int, at: float) -> list[mlflow.entities.Metric]:
        self.last_epoch = max(step, self.last_epoch)
        new = {name: value for name, value in metrics.items() if step > self.recorded.get(name, -1)}
        self.recorded |= dict.fromkeys(new, step)
        return [mlflow.entities.Metric(name, value, int(at * 1000), step) for name, value in new.items()]

    def note(self, metric: Metric, epoch: int, value: float) -> None:
        """Keep the best epoch of the metric that trials are compared by: the store's tables show only the last."""
        name = best_name(metric.name)
        better = max if metric.goal == "maximize" else min
        if name not in self.best or better(value, self.best[name]) != self.best[name]:
            self.best = {name: value, "best_epoch": float(epoch)}


def _record(run: Run) -> Record:
    tags = dict(run.data.tags)
    outcome = Outcome(tags["outcome"]) if "outcome" in tags else None
    return Record(
        run_id=run.info.run_id,
        trial_key=tags.get("trial_key", ""),
        label=tags.get("mlflow.runName", ""),
        outcome=outcome,
        status=run.info.status,
        params=json.loads(tags.get("params", "{}")),
        metrics=dict(run.data.metrics),
        tags=tags,
    )


def _all(search: Callable[..., Any]) -> Iterator[Any]:
    token = None
    while True:
        page = search(max_results=PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _dataset_input(dataset: Mapping[str, str | int]) -> DatasetInput:
    profile = {k: v for k, v in dataset.items() if k not in ("name", "digest", "source")}
    return DatasetInput(
        Dataset(
            name=str(dataset.get("name", "data")),
            digest=str(dataset.get("digest", ""))[:36],
            source_type="local",
            source=json.dumps({"uri": dataset.get("source", "")}),
            profile=json.dumps(profile),
        ),
        [InputTag("mlflow.data.context", "training")],
    )


@functools.cache
def _provenance() -> Mapping[str, str]:
    """Tags that say who ran what: user, command, git commit, versions."""
    tags = {
        "mlflow.user": _user(),
        "mlflow.source.name": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "mlflow.source.type": "LOCAL",
        "version.python": sys.version.split()[0],
    }
    for package in VERSIONS:
        try:
            tags[f"version.{package}"] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    if commit := _git("rev-parse", "HEAD"):
        tags |= {"mlflow.source.git.commit": commit, "git.dirty": str(bool(_git("status", "--porcelain"))).lower()}
    return tags


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in containers
        return str(os.getuid())


def _git(*arguments: str) -> str:
    try:
        return subprocess.run(
            ["git", *arguments], capture_output=True, text=True, timeout=10, check=True
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
