"""The end of a run as one transaction, where the store is a SQLite database.

MLflow commits each part of a batch by itself, and each commit waits for the disk. A client offers nothing else, but the
store behind it takes its sessions from an attribute, and so from whoever has set that. Other databases have no need of
it, and their rows would be locked for longer: a launch that is stopped meanwhile would hold up whoever takes its sweep.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunStatus, RunTag
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE, ErrorCode
from mlflow.utils.time import get_current_time_millis
from sqlalchemy.exc import OperationalError

from orchestrator.trackers import writing
from orchestrator.trackers.open_run import OpenRun

SQLITE = "sqlite"  # MLflow's name of the kind of database


class UndoneError(Exception):
    """A part of the transaction was refused, so nothing of it is to be written."""


class _Session:
    """The session of a transaction, as a part of it has it: only the transaction commits, or is undone."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def commit(self) -> None:
        """Have the database check what there is to be written."""
        self._session.flush()

    def rollback(self) -> None:
        """End the transaction."""
        raise UndoneError


@contextmanager
def _part(session: Any) -> Iterator[_Session]:
    """The session for a part; as in one of MLflow's own, what is wrong with the database has a code of its own."""
    try:
        yield _Session(session)
    except OperationalError as error:
        raise MlflowException(str(error), TEMPORARILY_UNAVAILABLE) from error


def log(
    client: MlflowClient,
    run: OpenRun,
    points: Sequence[Metric],
    params: Sequence[Param],
    tags: Sequence[RunTag],
    status: str | None,
) -> bool:
    """Log all as `writing.log` does; returns whether the run has its last status, too, which it gets where that can be.

    Raises:
        MlflowException: the database is locked, full, or away.
    """
    if status is not None and _end(client, run.run_id, points, params, tags, status):
        return True
    writing.log(client, run, points, params, tags)
    return False


def _end(
    client: MlflowClient,
    run_id: str,
    points: Sequence[Metric],
    params: Sequence[Param],
    tags: Sequence[RunTag],
    status: str,
) -> bool:
    """Write all, or nothing where the store is no such database or does not take all; returns whether it is written."""
    store = client._tracking_client.store
    if getattr(store, "db_type", None) != SQLITE or not writing.have_steps(points):
        return False
    within = copy(store)
    try:
        with store.ManagedSessionMaker(read_only=False) as session:
            within.ManagedSessionMaker = lambda read_only=True: _part(session)
            for part in writing.parts(points, params, tags):
                within.log_batch(run_id, *writing.sorted_out(part))
            within.update_run_info(run_id, RunStatus.from_string(status), get_current_time_millis(), None)
    except MlflowException as error:
        if error.error_code == ErrorCode.Name(TEMPORARILY_UNAVAILABLE):
            raise
        return False
    return True
