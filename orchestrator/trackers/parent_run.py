"""The parent run of a sweep: which of several it is, and another in its place where a launch may yet write to it."""

from collections.abc import Sequence

from mlflow import MlflowClient
from mlflow.entities import Run, ViewType

from orchestrator.trackers.copied import fill
from orchestrator.trackers.deleted import is_deleted, take_back
from orchestrator.trackers.last_launch import FILE
from orchestrator.trackers.open_run import tags_of
from orchestrator.trackers.trial_runs import Wanted, of_trials
from orchestrator.trackers.writing import FEW, in_batches
from orchestrator.trials.record import REPLACES, TAKEN_BACK

PARENT = "mlflow.parentRunId"
ROLE = {"sweep.role": "parent"}
IS_PARENT = "tags.`sweep.role` = 'parent'"
HAS_FILE = f"tags.`{FILE}` LIKE '%'"


def found(client: MlflowClient, experiment_id: str) -> Run | None:
    """The parent run of the sweep of an experiment, or None; one that was deleted where there is no other."""
    for stage in (ViewType.ACTIVE_ONLY, ViewType.DELETED_ONLY):
        for which in (IS_PARENT, HAS_FILE):  # somebody may have deleted the tag of its role
            if runs := [*client.search_runs([experiment_id], which, stage)]:
                return _counting(runs)
    return None


def renewed(client: MlflowClient, parent: Run) -> Run:
    """Another run in place of a parent run, with all that this has and the trials below it; this one is deleted.

    A launch that was stopped in a write to it finds it in the trash then, where MLflow takes no writes.
    """
    before = parent.data.tags.get(REPLACES)
    if before is not None and not is_deleted(client, before):  # a launch that did this was killed meanwhile
        take_back(client, before)
    old, experiment = parent.info.run_id, parent.info.experiment_id
    tags = {name: value for name, value in parent.data.tags.items() if name != TAKEN_BACK} | {REPLACES: old}
    identity = {name: tags[name] for name in ("mlflow.runName", REPLACES)} | ROLE
    new = client.create_run(experiment, parent.info.start_time, identity).info.run_id
    fill(client, parent, new)
    # the file last: until it is told of that, the old one counts
    for part in in_batches(sorted(tags_of(tags), key=lambda tag: tag.key == FILE), FEW):
        client.log_batch(new, tags=part)
    for trial in [*of_trials(client, Wanted(experiment, {PARENT: old}))]:
        client.set_tag(trial.run_id, PARENT, new)
    take_back(client, old)
    return client.get_run(new)


def take_back_others(client: MlflowClient, experiment_id: str, parent: str) -> None:
    """Take back the parent runs that are RUNNING beside a sweep's own: a server that was late has made them."""
    for run in client.search_runs([experiment_id], f"{IS_PARENT} and attributes.status = 'RUNNING'"):
        if run.info.run_id != parent:
            take_back(client, run.info.run_id)


def _counting(runs: Sequence[Run]) -> Run:
    """The one of several that counts: what a late server has made has not been told of its file."""
    replaced = {run.data.tags.get(REPLACES) for run in runs}
    return min(
        runs, key=lambda run: (TAKEN_BACK in run.data.tags, FILE not in run.data.tags, run.info.run_id in replaced)
    )
