"""Holds a sweep for a few writes by hand, while no launch does."""

from collections.abc import Iterator
from contextlib import contextmanager

from mlflow import MlflowClient

from orchestrator.system.paths import sqlite_path
from orchestrator.trackers.fence import fenced
from orchestrator.trackers.lease import Lease


@contextmanager
def held(client: MlflowClient, uri: str, experiment_id: str) -> Iterator[MlflowClient]:
    """A client while no launch on another machine can begin; that of this machine has the lock of its folder.

    Raises:
        AlreadyRunningError: a launch on another machine is running the sweep.
    """
    if sqlite_path(uri) is not None:
        yield client
        return
    lease = Lease(client, experiment_id)
    lease.take()
    try:
        yield fenced(client, lease.check)
    finally:
        lease.release()
