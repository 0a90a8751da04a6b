"""MLflow's client, as it is used here."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

from mlflow import MlflowClient
from mlflow.entities import Experiment, Run, ViewType
from mlflow.exceptions import MlflowException
from tenacity import Retrying, retry_if_exception, stop_after_attempt, stop_after_delay

from orchestrator.trackers.errors import may_pass
from orchestrator.trackers.resending import ATTEMPTS, WAIT

SECONDS_BETWEEN_LOOKS = 0.5
SECONDS = 60.0  # after which it is left to the caller
NOT_THERE = "RESOURCE_DOES_NOT_EXIST"

T = TypeVar("T")


def client_of(uri: str) -> MlflowClient:
    """The client of a store."""
    return ServerClient(uri) if urlsplit(uri).scheme in ("http", "https") else MlflowClient(uri)


class ServerClient(MlflowClient):
    """The client of a server, whose answers may be lost: what it may have done is looked for before it is repeated."""

    def create_run(
        self,
        experiment_id: str,
        start_time: int | None = None,
        tags: dict[str, Any] | None = None,
        run_name: str | None = None,
    ) -> Run:
        """Make a run once, however often that has to be asked for."""
        began = start_time or int(time.time() * 1000)

        def made() -> Run | None:
            then = f"attributes.start_time = {began}"
            found = self.search_runs([experiment_id], then, ViewType.ALL)
            return next((run for run in found if (tags or {}).items() <= run.data.tags.items()), None)

        return _made(partial(super().create_run, experiment_id, began, tags, run_name), made)

    def create_experiment(
        self, name: str, artifact_location: str | None = None, tags: dict[str, Any] | None = None
    ) -> str:
        """Make an experiment once, however often that has to be asked for."""

        def made() -> str | None:
            found: Experiment | None = self.get_experiment_by_name(name)
            return found.experiment_id if found else None

        return _made(partial(super().create_experiment, name, artifact_location, tags), made)

    def delete_tag(self, run_id: str, key: str) -> None:
        """Delete a tag of a run."""
        _delete(partial(super().delete_tag, run_id, key))

    def delete_experiment_tag(self, experiment_id: str, key: str) -> None:
        """Delete a tag of an experiment."""
        _delete(partial(super().delete_experiment_tag, experiment_id, key))

    def delete_logged_model(self, model_id: str) -> None:
        """Delete a model."""
        _delete(partial(super().delete_logged_model, model_id))


def _attempts() -> Retrying:
    return Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, MlflowException) and may_pass(error)),
        stop=stop_after_attempt(ATTEMPTS) | stop_after_delay(SECONDS),
        wait=WAIT,
        reraise=True,
    )


def _made(make: Callable[[], T], find: Callable[[], T | None]) -> T:
    """What a call makes, or an attempt at it that failed has made all the same.

    That is looked for as long again as the attempt has taken: a server that was too late may still be at it.
    """
    until = None
    for attempt in _attempts():
        with attempt:
            if until is not None and (found := _looked_for(find, until)) is not None:
                return found
            began = time.monotonic()
            try:
                return make()
            finally:
                until = 2 * time.monotonic() - began
    raise AssertionError  # the last attempt returns or raises


def _looked_for(find: Callable[[], T | None], until: float) -> T | None:
    while (found := find()) is None and time.monotonic() < until:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    return found


def _delete(delete: Callable[[], None]) -> None:
    for attempt in _attempts():
        with attempt:
            try:
                delete()
            except MlflowException as error:
                if attempt.retry_state.attempt_number == 1 or error.error_code != NOT_THERE:
                    raise  # else an attempt before has done it
