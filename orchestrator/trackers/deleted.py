"""Runs in MLflow's trash: what somebody has deleted, and is not run again; what launches have taken back."""

import shlex
from collections.abc import Callable, Sequence

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from orchestrator.system.paths import redacted
from orchestrator.trials.record import REUSED, TAKEN_BACK, Record

MOST_NAMED = 5  # trials
NO_LONGER_THERE = ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST")  # what MLflow answers to writes to such a run


def take_back(client: MlflowClient, run_id: str) -> None:
    """Delete a run of a launch's own, in whose place another stands or will stand."""
    client.set_tag(run_id, TAKEN_BACK, "true")  # first: what somebody else deletes is not run again
    client.delete_run(run_id)


def is_somebodys(record: Record) -> bool:
    """Whether a run in the trash was put there by somebody, and not by a launch."""
    is_cut_off_copy = REUSED in record.tags and record.outcome is None
    return TAKEN_BACK not in record.tags and not is_cut_off_copy


def is_in_the_trash(run: Run) -> bool:
    """Whether a run lies there."""
    return bool(run.info.lifecycle_stage != "active")


def is_deleted(client: MlflowClient, run_id: str) -> bool:
    """Whether a run lies in the trash, or is gone for good."""
    try:
        return is_in_the_trash(client.get_run(run_id))
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return True


def written(client: MlflowClient, run_id: str, write: Callable[[], object]) -> bool:
    """Make a write to a run; returns whether it could be made, or the run is deleted."""
    try:
        write()
    except MlflowException as error:
        if error.error_code not in NO_LONGER_THERE or not is_deleted(client, run_id):
            raise
        return False
    return True


def restoring(uri: str, run_id: str) -> str:
    """The command that takes a run out of the trash."""
    return f"`MLFLOW_TRACKING_URI={shlex.quote(redacted(uri))} mlflow runs restore --run-id {run_id}`"


def trash_in_words(records: Sequence[Record], uri: str) -> str:
    """Which trials are in the trash, and what there is to do about it, in a line."""
    labels = ", ".join(record.label for record in records[:MOST_NAMED])
    further = f" and {len(records) - MOST_NAMED} more" if len(records) > MOST_NAMED else ""
    is_one = len(records) == 1
    trials, them = ("1 trial is", "it") if is_one else (f"{len(records)} trials are", "them")
    first = "it" if is_one else "the first"
    return (
        f"{trials} in MLflow's trash, and not counted: {labels}{further}; restore {first} with "
        f"{restoring(uri, records[0].run_id)}, or launch with --rerun, which runs {them} anew"
    )
