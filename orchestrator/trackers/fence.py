"""Keeps a launch from writing that was stopped while another took its sweep over.

The other makes new runs in place of the sweep's own and of those that this one was writing, and deletes these: MLflow
takes nothing for a run in its trash. And before each write this launch sees that the sweep is still its own. So all
that is left is the call in which it was stopped. What that may have changed beside such runs is put right as soon as
the launch goes on.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any

from mlflow import MlflowClient

from orchestrator.errors import AlreadyRunningError
from orchestrator.trackers import parent_run, view
from orchestrator.trackers.deleted import take_back
from orchestrator.trackers.open_run import STATUS
from orchestrator.trackers.parent_run import PARENT
from orchestrator.trial import Outcome

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
        if name in PUT_RIGHT:
            try:
                check()
            except AlreadyRunningError:
                PUT_RIGHT[name](client, arguments, answer)
                raise
        return answer

    return checked


def _end_again(client: MlflowClient, arguments: Sequence[Any], _: Any) -> None:
    """Give a run the status with which the launch that has the sweep has ended it, or found it, unless it runs."""
    run_id = arguments[0]
    tags = client.get_run(run_id).data.tags
    if "outcome" in tags:
        client.set_terminated(run_id, STATUS[Outcome(tags["outcome"])])


def _place_again(client: MlflowClient, arguments: Sequence[Any], _: Any) -> None:
    """Put a trial's run below the parent run that there is now."""
    run_id, key, *_ = arguments
    if key == PARENT and (parent := parent_run.found(client, client.get_run(run_id).info.experiment_id)):
        client.set_tag(run_id, PARENT, parent.info.run_id)


def _show_again(client: MlflowClient, arguments: Sequence[Any], _: Any) -> None:
    """Give an experiment the view that its parent run has, until this has no other one by then."""
    experiment_id, key, shown, *_ = arguments
    parent = parent_run.found(client, experiment_id) if key == view.TAG else None
    while parent and parent.data.tags.get(view.TAG, shown) != shown:
        shown = parent.data.tags[view.TAG]
        client.set_experiment_tag(experiment_id, view.TAG, shown)
        parent = parent_run.found(client, experiment_id)


# undo writes that came too late, as far as they are to something that is not in the trash
PUT_RIGHT: Mapping[str, Callable[[MlflowClient, Sequence[Any], Any], object]] = {
    "create_run": lambda client, _, made: take_back(client, made.info.run_id),
    "create_logged_model": lambda client, _, made: client.delete_logged_model(made.model_id),
    "restore_run": lambda client, arguments, _: client.delete_run(arguments[0]),
    "update_run": _end_again,
    "set_terminated": _end_again,
    "set_tag": _place_again,
    "set_experiment_tag": _show_again,
}
