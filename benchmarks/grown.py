"""Sweeps of any size within seconds: a few trials are launched, and their rows copied for all others of the file.

python benchmarks/grown.py TRIALS    # in the store of the current folder
"""

import itertools
import shutil
import sys
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import commands
from commands import BENCHMARKS, SWEEP, WIDE
from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlMetric, SqlParam, SqlRun, SqlTag
from sqlalchemy import Table, insert, select

from orchestrator.spec import load
from orchestrator.trackers import Store, trial_params
from orchestrator.trackers.last_launch import ASKED
from orchestrator.trackers.store import SWEEP_FILE
from orchestrator.trial import Trial
from orchestrator.trials.grid import expand
from orchestrator.trials.record import END_NUMBER

Row = dict[str, Any]

RATES, SEEDS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 1.0), (0, 1)  # of each of the other values
FEWEST = len(RATES) * len(SEEDS)  # trials
MILLISECONDS = 50  # from the beginning of a trial to that of the next
ROWS_AT_ONCE = 50_000


def sweep_file(folder: Path, trials: int) -> Path:
    """Write the sweep of so many trials, a multiple of the fewest."""
    shutil.copy(BENCHMARKS / "wide.py", folder)
    decays = ", ".join(str(number / 100_000) for number in range(trials // FEWEST))
    path = folder / WIDE
    path.write_text(
        "trial: wide:train\nmethod: grid\nmetric: {name: val_loss, goal: minimize}\nparameters:\n"
        f"  lr: {{values: [{', '.join(map(str, RATES))}]}}\n  weight_decay: {{values: [{decays}]}}\n"
        f"seeds: [{', '.join(map(str, SEEDS))}]\n"
    )
    return path


def launch_and_grow(folder: Path, trials: int) -> None:
    """Make a sweep that has run all of its trials, in the folder's own store."""
    commands.run([SWEEP, "launch", sweep_file(folder, FEWEST).name, "--quiet"], folder)
    grow(f"sqlite:///{commands.store(folder)}", sweep_file(folder, trials))


def grow(uri: str, path: Path) -> None:
    """Give a sweep a run for each trial of its file that it has none of: a copy of one with the same rate and seed."""
    spec, store = load(path), Store(uri)
    known = {record.trial_key: record for record in store.records(spec.name)}
    like = {(one.params["lr"], one.params["seed"]): one.run_id for one in known.values()}
    trials = [trial for trial in expand(spec).trials if trial.trial_key not in known]
    parent = store.parent(store.experiment(spec.name))
    with store.client._tracking_client.store.ManagedSessionMaker(read_only=False) as session:

        def rows(table: Table) -> dict[str, list[Row]]:
            chosen = select(table).where(table.c.run_uuid.in_(like.values())).order_by(table.c.run_uuid)
            by_run = itertools.groupby(session.execute(chosen).mappings(), lambda row: row["run_uuid"])
            return {run: [dict(row) for row in found] for run, found in by_run}

        def copy(model: type, changed: Callable[[Row, Trial, int], Row]) -> None:
            table = model.__table__
            originals, written = rows(table), []
            for number, trial in enumerate(trials, start=len(known)):
                original = originals[like[trial.params["lr"], trial.params["seed"]]]
                written += [
                    {**row, **changed(row, trial, number), "run_uuid": ids[trial.trial_key]} for row in original
                ]
                if len(written) > ROWS_AT_ONCE:
                    session.execute(insert(table), written)
                    written = []
            if written:
                session.execute(insert(table), written)

        ids = {trial.trial_key: uuid.uuid4().hex for trial in trials}
        copy(SqlRun, _run)

        def tag(row: Row, trial: Trial, number: int) -> Row:
            own = row["value"].replace(row["run_uuid"], ids[trial.trial_key])  # links of the description
            return {"value": _tags(trial, number).get(row["key"], own)}

        copy(SqlTag, tag)
        copy(SqlParam, lambda row, trial, _: {"value": str(trial.params.get(row["key"], row["value"]))})
        copy(SqlLatestMetric, _metric)
        copy(SqlMetric, _metric)
    store.client.set_tag(parent.info.run_id, ASKED, len(known) + len(trials))
    store.client.log_text(parent.info.run_id, path.read_text(), SWEEP_FILE)


def _run(row: Row, trial: Trial, number: int) -> Row:
    took = row["end_time"] - row["start_time"]
    began = row["start_time"] + number * MILLISECONDS
    return {"name": trial.label, "start_time": began, "end_time": began + took}


def _tags(trial: Trial, number: int) -> Mapping[str, str]:
    return {
        "mlflow.runName": trial.label,
        "config": trial.config,
        "trial_key": trial.trial_key,
        "config_key": trial.config_key,
        END_NUMBER: str(number + 1),
        **trial_params.tags(trial.params),
    }


def _metric(row: Row, trial: Trial, number: int) -> Row:
    changed = {"timestamp": row["timestamp"] + number * MILLISECONDS}
    is_loss = row["key"].endswith("loss")
    return changed | ({"value": row["value"] + trial.params["weight_decay"]} if is_loss else {})


if __name__ == "__main__":
    launch_and_grow(Path.cwd(), int(sys.argv[1]))
