"""The end of a run in a SQLite store: all of it in one transaction, or, where that cannot be, call by call."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from reading import children, steps
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from orchestrator.errors import StoreBusyError
from orchestrator.events import Event, Finished, Progress, Started
from orchestrator.spec import load
from orchestrator.trackers import Tracker, transaction
from orchestrator.trackers.open_run import OpenRun
from orchestrator.trial import Outcome, Trial

TRIAL = Trial("toys:train", 1, {"x": 1.0}, "x=1")
END = Finished(Outcome.COMPLETED, {"final": 1.0})
EPOCHS: list[Event] = [Started(1, 1), *(Progress(epoch, {"score": float(epoch)}, 1.0) for epoch in range(1, 6))]


@pytest.fixture
def tracker(store: str, write: Callable[..., Path]) -> Tracker:
    tracker = Tracker(store, load(write("trial: toys:train\nparameters: {x: {values: [1.0]}}\n", name="toy.yaml")))
    tracker.open(1)
    return tracker


def commits_of(tracker: Tracker, call: Callable[[], object]) -> int:
    """How many transactions with writes the database commits in a call."""
    engine, written = tracker.client._tracking_client.store.engine, [0]
    begun: set[int] = set()

    def execute(connection: Any, cursor: Any, statement: str, *_: object) -> None:
        if statement.startswith(("INSERT", "UPDATE", "DELETE")):
            begun.add(id(connection))

    def commit(connection: Any) -> None:
        written[0] += id(connection) in begun
        begun.discard(id(connection))

    event.listen(engine, "before_cursor_execute", execute)
    event.listen(engine, "commit", commit)
    call()
    event.remove(engine, "before_cursor_execute", execute)
    event.remove(engine, "commit", commit)
    return written[0]


def test_a_trial_that_ends_before_it_is_written_takes_two_commits(tracker: Tracker, tmp_path: Path) -> None:
    assert commits_of(tracker, lambda: tracker.write(TRIAL, [*EPOCHS, END], tmp_path)) == 2  # one makes the run
    (run,) = children(tracker.uri, "toy")
    assert (run.info.status, run.data.tags["outcome"]) == ("FINISHED", "completed")
    assert run.info.end_time is not None
    assert steps(tracker.uri, run, "score") == [1, 2, 3, 4, 5]
    assert run.data.metrics["score"] == 5.0
    assert run.data.params == {"x": "1.0"}


def test_more_than_mlflow_takes_at_once_is_one_transaction_as_well(tracker: Tracker, tmp_path: Path) -> None:
    epochs = [Progress(epoch, {f"m{i}": 1.0 for i in range(10)}, 1.0) for epoch in range(1, 201)]
    assert commits_of(tracker, lambda: tracker.write(TRIAL, [*epochs, END], tmp_path)) == 2
    (run,) = children(tracker.uri, "toy")
    assert steps(tracker.uri, run, "m9") == [*range(1, 201)]


def test_an_end_that_is_cut_off_leaves_nothing_of_it(
    tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object) -> None:
        raise OperationalError("UPDATE runs", {}, Exception("database is locked"))

    tracker.write(TRIAL, EPOCHS[:3], tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(SqlAlchemyStore, "update_run_info", busy)
        with pytest.raises(StoreBusyError):
            tracker.write(TRIAL, [*EPOCHS[3:], END], tmp_path)
    (run,) = children(tracker.uri, "toy")
    assert (run.info.status, run.data.tags.get("outcome")) == ("RUNNING", None)
    assert steps(tracker.uri, run, "score") == [1, 2]
    tracker.recover(TRIAL)
    tracker.write(TRIAL, [*EPOCHS[3:], END], tmp_path)
    (run,) = children(tracker.uri, "toy")
    assert (run.info.status, run.data.tags["outcome"]) == ("FINISHED", "completed")
    assert steps(tracker.uri, run, "score") == [1, 2, 3, 4, 5]


def test_points_that_the_run_has_already_undo_the_transaction_and_are_there_once(tracker: Tracker) -> None:
    client: MlflowClient = tracker.client
    run_id = client.create_run(tracker.experiment_id).info.run_id
    points = [Metric("a", 1.0, 1, 1), Metric("a", 2.0, 1, 2)]
    client.log_batch(run_id, points[:1])
    run = OpenRun.of(run_id, [])
    tags = [RunTag("outcome", "completed")]
    assert not transaction.log(client, run, points, [Param("p", "1")], tags, "FINISHED")
    found = client.get_run(run_id)
    assert [point.step for point in client.get_metric_history(run_id, "a")] == [1, 2]
    assert (found.data.params, found.data.tags["outcome"]) == ({"p": "1"}, "completed")
    assert (found.info.status, run.refused) == ("RUNNING", ())  # the caller ends it


def test_what_the_store_refuses_in_a_transaction_leaves_nothing_else_out(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_tags = SqlAlchemyStore._set_tags

    def refuse(store: SqlAlchemyStore, run_id: str, tags: list[RunTag]) -> None:
        if any(tag.key == "bad" for tag in tags):
            raise MlflowException("not here", BAD_REQUEST)
        set_tags(store, run_id, tags)

    monkeypatch.setattr(SqlAlchemyStore, "_set_tags", refuse)
    client: MlflowClient = tracker.client
    run = OpenRun.of(client.create_run(tracker.experiment_id).info.run_id, [])
    tags = [RunTag("bad", "1"), RunTag("good", "1")]
    assert not transaction.log(client, run, [Metric("a", 1.0, 1, 1)], [], tags, "FINISHED")
    found = client.get_run(run.run_id)
    assert (found.data.metrics, found.data.tags["good"]) == ({"a": 1.0}, "1")
    assert found.data.tags["refused"] == "tag bad: not here"
