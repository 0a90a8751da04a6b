"""Whether a sweep that was killed ended as one that was never touched: what both have left, clause by clause."""

import hashlib
import os
import re
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import Run, ViewType

PARENT = "mlflow.parentRunId"
FINISHED = ("FINISHED", "FAILED")  # an explosion is a result, and FAILED to MLflow
OF_THE_CLOCK = {"images_per_second", "wall_seconds"}
TAKEN_BACK = "taken_back"  # the tag of a run that a launch itself has deleted
RESTARTED = "restarted"  # the tag of a run that has taken the place of one that was begun in vain, which is deleted
LOG = "log.txt"  # which tells of every attempt
CHECKPOINT = "checkpoint/"  # the folder of a run's artifacts with what a longer trial goes on from: it has times in it
LINKS = ("replaces", "replaced_by", "anew", "continues", "asked.")  # tags between runs of a trial
# those that an untouched run has otherwise, or not at all
OWN_TAGS = ("mlflow.", "git.", "end_number", "not_kept", RESTARTED, "checkpoint.bytes", *LINKS)
SYSTEM = "system/"  # what the machine was like every few seconds: of the clock, too
UNIQUE = re.compile(r"[+%]timestamp[+%].*?(?=\+compressed|\.)")  # in the names of MLflow's images
STATUSES = """
CREATE TABLE IF NOT EXISTS statuses (run_id TEXT, status TEXT, end_time INTEGER);
CREATE TRIGGER IF NOT EXISTS statuses AFTER UPDATE ON runs
BEGIN INSERT INTO statuses VALUES (NEW.run_uuid, NEW.status, NEW.end_time); END;
"""


class Clause(StrEnum):
    """What is claimed of a sweep that was killed again and again."""

    ONE_RUN = "every trial has exactly one finished run"
    NONE_RUNNING = "no run is left RUNNING"
    STEPS = "no metric step is doubled or missing"
    ONCE = "no finished trial ran again"
    NUMBERS = "every number is that of the untouched sweep"
    ARTIFACTS = "every artifact is there, once"
    PARENT = "there is one parent run, and it is FINISHED"
    WORK = "no work folder is left"
    ORPHANS = "no process outlives its launch"
    LAUNCHES = "a launch ends by itself only when all is done"
    ASKED = "what was asked for is done once or refused, and nothing else"


class Violation(NamedTuple):
    """A clause that does not hold, and where."""

    clause: Clause
    what: str


class Note(NamedTuple):
    """What the witness saw: a step of a trial, or as step 0 the start of an attempt; seconds since 1970."""

    trial_key: str
    step: int
    at: float


class Change(NamedTuple):
    """A change of a run as the database itself has kept it."""

    run_id: str
    status: str
    end_time: int | None  # milliseconds since 1970


@dataclass(frozen=True)
class Left:
    """What a sweep has left: its runs and their curves, the runs' history, the notes of the witness, its work."""

    runs: list[Run]
    curves: dict[str, dict[str, list[tuple[int, float]]]]  # points by run and metric
    artifacts: dict[str, Counter[tuple[str, str]]]  # paths and contents by run
    changes: list[Change]
    notes: list[Note]
    work: list[str]

    @property
    def parents(self) -> list[Run]:
        return [run for run in self.runs if PARENT not in run.data.tags]

    @property
    def keys(self) -> list[str]:
        """Every trial_key that has a run or was trained."""
        found = {run.data.tags["trial_key"]: None for run in self.runs if PARENT in run.data.tags}
        return [*(found | {note.trial_key: None for note in self.notes})]

    def of(self, key: str) -> list[Run]:
        """The runs of a trial."""
        return [run for run in self.runs if run.data.tags.get("trial_key") == key]

    def without(self, keys: Collection[str]) -> "Left":
        """The same without some trials; the work of a deleted one may be left, for whoever restores its run."""
        runs = [run for run in self.runs if run.data.tags.get("trial_key") not in keys]
        notes = [note for note in self.notes if note.trial_key not in keys]
        return replace(self, runs=runs, notes=notes, work=[name for name in self.work if name not in keys])


def store(folder: Path) -> Path:
    """The SQLite store of the sweep in a folder."""
    return folder / "mlruns" / "mlflow.db"


def keep_history(folder: Path) -> bool:
    """Have the store keep every change of a run's status, if it is there by now; MLflow keeps the last alone."""
    try:
        with closing(sqlite3.connect(f"file:{store(folder)}?mode=rw", uri=True, timeout=0)) as database:
            if is_whole := database.execute("SELECT 1 FROM runs LIMIT 1").fetchone() is not None:
                database.executescript(STATUSES)
            return is_whole
    except sqlite3.OperationalError:  # no store yet, or MLflow is writing
        return False


def read(folder: Path, name: str, server: str | None = None) -> Left:
    """What the sweep in a folder has left, in the store, or the server of that, as MLflow's own client reads it."""
    client = MlflowClient(tracking_uri=server or f"sqlite:///{store(folder)}")
    experiment = client.get_experiment_by_name(name)
    runs = list(client.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL)) if experiment else []
    restarted = {run.data.tags["trial_key"] for run in runs if RESTARTED in run.data.tags}
    runs = [run for run in runs if not (_is_taken_back(run) and run.data.tags.get("trial_key") in restarted)]
    work = folder / "mlruns" / "work" / name
    return Left(
        runs,
        {run.info.run_id: _curves(client, run) for run in runs},
        {run.info.run_id: _artifacts(client, run) for run in runs if PARENT in run.data.tags},
        _changes(folder),
        notes(folder),
        sorted(path.name for path in work.iterdir() if path.is_dir()) if work.is_dir() else [],
    )


def _is_taken_back(run: Run) -> bool:
    """Whether a launch has deleted it, and nobody else."""
    return run.info.lifecycle_stage != "active" and TAKEN_BACK in run.data.tags


def notes(folder: Path) -> list[Note]:
    """What the witness has seen so far."""
    path = folder / "notes.txt"
    lines = path.read_text().splitlines() if path.is_file() else []
    return [Note(key, int(step), float(at)) for key, step, at in map(str.split, lines)]


def violations(untouched: Left, killed: Left) -> list[Violation]:
    """Every clause that does not hold of a sweep that was killed, beside an untouched one of the same file."""
    checks = (_one_run, _none_running, _steps, _once, _numbers, _artifacts_there, _one_parent, _no_work)
    return [violation for check in checks for violation in check(untouched, killed)]


def replaced(left: Left, deleted: Mapping[str, str]) -> list[Violation]:
    """What has taken the place of runs that somebody has deleted, or has gone with them; runs by trial_key."""
    return [
        Violation(Clause.ONE_RUN, f"{key}, whose run was deleted, has {len(left.of(key))} runs")
        for key, run_id in deleted.items()
        if [run.info.run_id for run in left.of(key)] != [run_id]
    ]


def _one_run(untouched: Left, killed: Left) -> Iterator[Violation]:
    for key in {**dict.fromkeys(untouched.keys), **dict.fromkeys(killed.keys)}:
        wanted = [(run.info.status, run.data.tags.get("outcome")) for run in untouched.of(key)]
        found = [(run.info.status, run.data.tags.get("outcome")) for run in killed.of(key)]
        if found != wanted:
            yield Violation(Clause.ONE_RUN, f"{key} has {found or 'none'}, not {wanted or 'none'}")


def _none_running(_: Left, killed: Left) -> Iterator[Violation]:
    for run in killed.runs:
        if run.info.status not in (*FINISHED, "KILLED"):
            yield Violation(Clause.NONE_RUNNING, f"{run.info.run_name} is {run.info.status}")


def _pairs(untouched: Left, killed: Left) -> Iterator[tuple[Run, Run]]:
    for key in untouched.keys:
        for run in killed.of(key):
            yield untouched.of(key)[0], run


def _steps(untouched: Left, killed: Left) -> Iterator[Violation]:
    for one, other in _pairs(untouched, killed):
        wanted, found = untouched.curves[one.info.run_id], killed.curves[other.info.run_id]
        for metric in sorted({*wanted, *found}):
            there = [step for step, _ in found.get(metric, [])]
            meant = [step for step, _ in wanted.get(metric, [])]
            if there != meant:
                yield Violation(Clause.STEPS, f"{other.info.run_name}: {metric} has the steps {there}, not {meant}")


def _once(_: Left, killed: Left) -> Iterator[Violation]:
    for run in killed.runs:
        if PARENT not in run.data.tags:
            continue
        changes = [change for change in killed.changes if change.run_id == run.info.run_id]
        end = next((i for i, change in enumerate(changes) if change.status in FINISHED), None)
        if end is None:
            yield Violation(Clause.ONCE, f"{run.info.run_name}: the store has not kept when it was finished")
            continue
        if later := changes[end + 1 :]:
            yield Violation(Clause.ONCE, f"{run.info.run_name} was finished, and became {later[0].status} after that")
        key, at = run.data.tags["trial_key"], (changes[end].end_time or 0) / 1000
        again = [note for note in killed.notes if note.trial_key == key and note.at > at + 0.001]
        if again:
            late = again[0].at - at
            yield Violation(Clause.ONCE, f"{run.info.run_name} ran {late:.1f} seconds after it had been finished")


def _numbers(untouched: Left, killed: Left) -> Iterator[Violation]:
    for one, other in _pairs(untouched, killed):
        wanted = told(one, untouched.curves[one.info.run_id])
        found = told(other, killed.curves[other.info.run_id])
        for what in sorted({what for what, _ in wanted.items() ^ found.items()}):
            yield Violation(
                Clause.NUMBERS, f"{other.info.run_name}: {what} is {found.get(what)}, not {wanted.get(what)}"
            )


def told(run: Run, curves: dict[str, list[tuple[int, float]]]) -> dict[str, str]:
    """All that a run says but for what follows the clock: numbers as hexadecimals, which have every bit."""
    points = {f"{name} at {step}": value.hex() for name, curve in curves.items() for step, value in curve}
    last = {name: value.hex() for name, value in run.data.metrics.items() if not name.startswith(SYSTEM)}
    tags = {f"tag {name}": value for name, value in run.data.tags.items() if not name.startswith(OWN_TAGS)}
    params = {f"param {name}": value for name, value in run.data.params.items()}
    told = points | last | tags | params
    return {what: value for what, value in told.items() if not OF_THE_CLOCK & set(what.split())}


def _artifacts_there(untouched: Left, killed: Left) -> Iterator[Violation]:
    for one, other in _pairs(untouched, killed):
        wanted, found = untouched.artifacts[one.info.run_id], killed.artifacts[other.info.run_id]
        more = Counter({(path, text): n for (path, text), n in (found - wanted).items() if path != LOG})  # of retries
        for word, difference in (("lacks", wanted - found), ("has more of", more)):
            if difference:
                paths = ", ".join(path for path, _ in difference)
                yield Violation(Clause.ARTIFACTS, f"{other.info.run_name} {word} {paths}")


def _one_parent(_: Left, killed: Left) -> Iterator[Violation]:
    statuses = [run.info.status for run in killed.parents]
    if statuses != ["FINISHED"]:
        yield Violation(Clause.PARENT, f"the parents are {statuses}")


def _no_work(_: Left, killed: Left) -> Iterator[Violation]:
    for name in killed.work:
        yield Violation(Clause.WORK, f"{name} is left")


def _curves(client: MlflowClient, run: Run) -> dict[str, list[tuple[int, float]]]:
    told = [name for name in run.data.metrics if not name.startswith(SYSTEM)]
    histories = {name: client.get_metric_history(run.info.run_id, name) for name in told}
    return {name: sorted((point.step, point.value) for point in history) for name, history in histories.items()}


def _artifacts(client: MlflowClient, run: Run) -> Counter[tuple[str, str]]:
    """Paths and contents, but of logs and checkpoints; of MLflow's images, whose names are unique, what they show."""
    if not client.list_artifacts(run.info.run_id):
        return Counter()
    tracking_uri = client.tracking_uri
    folder = Path(download_artifacts(run_id=run.info.run_id, tracking_uri=tracking_uri))
    files = [path for path in folder.rglob("*") if path.is_file()]
    names = {path: UNIQUE.sub("", path.relative_to(folder).as_posix()) for path in files}
    return Counter((name, "" if name.startswith((LOG, CHECKPOINT)) else _digest(path)) for path, name in names.items())


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _changes(folder: Path) -> list[Change]:
    with closing(sqlite3.connect(f"file:{store(folder)}?mode=ro", uri=True)) as database:
        try:
            return [Change(*row) for row in database.execute("SELECT run_id, status, end_time FROM statuses")]
        except sqlite3.OperationalError:  # no such table: `keep_history` never found a store
            return []
