"""Keeps a launch from writing that was stopped while another took its sweep over.

The other makes new runs in place of those that this one was writing, and deletes these: MLflow takes nothing for a run
in its trash. And before each write this launch sees that the sweep is still its own. So all that is left is the call in
which it was stopped. Where that has made a run, or given one a status, it is put right as soon as the launch goes on.
"""

import functools
from collections.abc import Callable, Mapping
from copy import copy
from typing import Any

from mlflow import MlflowClient

from orchestrator.errors import AlreadyRunningError
from orchestrator.trackers.deleted import take_back
from orchestrator.trackers.open_run import STATUS
from orchestrator.trial import Outcome

ENDED = "sweep.status"  # the tag of a parent run: how its last launch has ended, or RUNNING
RUNNING = "RUNNING"
WRITES = (
    *("create_run", "log_batch", "log_inputs", "log_outputs", "log_text", "log_image", "log_artifact", "log_artifacts"),
    *("set_tag", "delete_tag", "update_run", "set_terminated", "delete_run", "restore_run", "set_experiment_tag"),
    *("create_logged_model", "log_model_artifacts", "finalize_logged_model", "delete_logged_model"),
)


def fenced(client: MlflowClient, check: Callable[[], None]) -> MlflowClient:
    """A client of the same store that makes no write, whatever it is part of, before the check has passed."""
    behind = copy(client)
    for name in WRITES:
        setattr(behind, name, _checked(client, name, check))
    return behind


def _checked(client: MlflowClient, name: str, check: Callable[[], None]) -> Callable[..., Any]:
    call = getattr(client, name)

    @functools.wraps(call)
    def checked(*arguments: Any, **named: Any) -> Any:
        check()
        answer = call(*arguments, **named)
        if name in ("create_run", "update_run", "set_terminated"):
            try:
                check()
            except AlreadyRunningError:
                if name == "create_run":
                    take_back(client, answer.info.run_id)
                elif status := _ended(client.get_run(arguments[0]).data.tags):
                    client.set_terminated(arguments[0], status)
                raise
        return answer

    return checked


def _ended(tags: Mapping[str, str]) -> str | None:
    """The status with which the launch that has the sweep has ended a run, or found it; None while it runs."""
    if "outcome" in tags:
        return STATUS[Outcome(tags["outcome"])]
    return tags[ENDED] if tags.get(ENDED, RUNNING) != RUNNING else None
