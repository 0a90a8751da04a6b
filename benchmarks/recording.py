"""Where the time of recording a trial goes: seconds of the processor in MLflow, beside the floor of overhead.py.

A launch has no call of MLflow's beside these for a trial that leaves no files. The disk is left out: commits stand
beside, since each of them waits for it.

    python benchmarks/recording.py [--quick] [--json FILE]
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import commands
import measuring
from commands import EPOCHS, METRICS
from measuring import Table, Topic, number
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from sqlalchemy import event

from orchestrator.trackers import transaction
from orchestrator.trackers.open_run import OpenRun

TRIALS, QUICK_TRIALS = 200, 40
POINTS = [Metric(f"m{i}", float(epoch), 0, epoch) for epoch in range(1, EPOCHS + 1) for i in range(METRICS)]
OWN = [Metric(name, 1.0, 0, 0) for name in ("exploded", "explosion_margin", "best_m0", "best_epoch")]
FIRST_TAGS = {f"first{i}": "x" * 20 for i in range(22)}  # as many as a run of a grid has
LAST_TAGS = [RunTag(f"last{i}", "x" * 20) for i in range(8)]
PARAMS = [Param(name, "1") for name in ("x", "epochs", "metrics")]
FLOOR, OURS = "MLflow alone (the floor)", "sweep launch"
Call = Callable[[str], object]


class Writes:
    """Counts the commits of a database that has been written to."""

    def __init__(self, engine: Any) -> None:
        self.count = 0
        self._is_written = False
        event.listen(engine, "before_cursor_execute", self._execute)
        event.listen(engine, "commit", self._commit)

    def _execute(self, connection: Any, cursor: Any, statement: str, *_: object) -> None:
        self._is_written |= statement.startswith(("INSERT", "UPDATE"))

    def _commit(self, connection: Any) -> None:
        self.count += self._is_written
        self._is_written = False


def measured(client: MlflowClient, writes: Writes, trials: int) -> dict[str, dict[str, list[tuple[float, int]]]]:
    """Of each call of both ways: seconds of the processor and commits, trial by trial, the two ways taking turns."""
    experiment = client.create_experiment("recording")
    ways: dict[str, tuple[Callable[[], str], dict[str, Call]]] = {
        FLOOR: (
            lambda: str(client.create_run(experiment).info.run_id),
            {
                "log_param": lambda run: client.log_param(run, "x", 1),
                "log_batch": lambda run: client.log_batch(run, POINTS),
                "set_terminated": client.set_terminated,
            },
        ),
        OURS: (
            lambda: str(client.create_run(experiment, tags=FIRST_TAGS).info.run_id),
            {"its end, in one transaction": lambda run: _end(client, run)},
        ),
    }
    found: dict[str, dict[str, list[tuple[float, int]]]] = {way: {} for way in ways}
    for _ in range(trials):
        for way, (create, calls) in ways.items():
            run = _timed(found[way].setdefault("create_run", []), writes, create)
            for name, call in calls.items():
                _timed(found[way].setdefault(name, []), writes, lambda call=call, run=run: call(run))
    return found


def _end(client: MlflowClient, run_id: str) -> None:
    if not transaction.log(client, OpenRun.of(run_id, []), [*POINTS, *OWN], PARAMS, LAST_TAGS, "FINISHED"):
        raise SystemExit("the store has not taken a run's end in one transaction")


def _timed(samples: list[tuple[float, int]], writes: Writes, call: Callable[[], Any]) -> Any:
    began, before = time.thread_time(), writes.count
    result = call()
    samples.append((time.thread_time() - began, writes.count - before))
    return result


def table(found: dict[str, dict[str, list[tuple[float, int]]]]) -> Table:
    """Each call by its least time: what more it takes is other work on the machine."""
    rows, floor = [], 0.0
    for way, calls in found.items():
        least = {name: min(seconds for seconds, _ in samples) for name, samples in calls.items()}
        commits = {name: samples[-1][1] for name, samples in calls.items()}
        floor = floor or sum(least.values())
        rows += [[way, name, number(1000 * least[name]), str(commits[name]), ""] for name in calls]
        whole = sum(least.values())
        rows.append([way, "in all", number(1000 * whole), str(sum(commits.values())), f"{whole / floor:.2f}"])
    note = (
        f"A trial of {EPOCHS} epochs with {METRICS} metrics. Beside these a run of ours has "
        f"{len(FIRST_TAGS) + len(LAST_TAGS)} tags, {len(PARAMS)} params and {len(OWN)} metrics. "
        "Milliseconds are of the processor, the least of all trials."
    )
    return Table("Recording a trial", ["", "call", "ms", "commits", "x the floor"], rows, note)


def measure(quick: bool) -> Topic:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = commands.empty_store(folder)
        client = MlflowClient(f"sqlite:///{store}")
        client.search_experiments()
        writes = Writes(client._tracking_client.store.engine)
        found = measured(client, writes, QUICK_TRIALS if quick else TRIALS)
    return Topic({"calls": found}, [table(found)], [])


if __name__ == "__main__":
    measuring.main(measure)
