"""New runs in place of trials that are to run anew. The old runs stay, and say by which they were replaced."""

from collections.abc import Iterable, Mapping

from mlflow import MlflowClient
from mlflow.entities import Run

from orchestrator.trackers.deleted import take_back
from orchestrator.trackers.more import CONTINUES
from orchestrator.trackers.open_run import STATUS, tags_of
from orchestrator.trial import Outcome
from orchestrator.trials.longer import ASKED_EPOCHS, ASKED_KEY
from orchestrator.trials.record import ANEW, REPLACED, REPLACES, VERSION, Record

IDENTITY = ("mlflow.runName", "mlflow.parentRunId", "mlflow.runColor", "sweep", "config", "seed", "trial", "proposal")
KEYS = (VERSION, "trial_key", "config_key", "params", ASKED_KEY, ASKED_EPOCHS, ANEW)
BEGUN = "sweep.rerun"  # on the parent: what --set gave to a launch that may not have replaced all runs yet
DONE = "done"  # the same, once it has


def is_begun(parent: Run, sets: str) -> bool:
    """Whether a launch with these values of --set was cut off while it replaced runs."""
    return parent.data.tags.get(BEGUN) == sets


def replace(
    client: MlflowClient, parent: str, experiment: str, old: Iterable[Record], tags: Mapping[str, str], sets: str
) -> None:
    """Make a run in place of each of these, as one that was interrupted before it began; a second call goes on.

    Args:
        client: of the store.
        parent: the parent run's id.
        experiment: its experiment's id.
        old: the runs, in the trash or not; taken one by one, each as it is replaced.
        tags: that the new ones get beside those of the trial.
        sets: what --set gave to the launch, as a tag.
    """
    client.set_tag(parent, BEGUN, sets)
    for record in old:
        run = client.get_run(record.run_id)
        if REPLACED in run.data.tags:
            continue
        new = _anew(client, experiment, record, {**tags, ANEW: record.run_id})
        if run.info.lifecycle_stage == "active":
            client.set_tag(record.run_id, REPLACED, new)
    client.set_tag(parent, BEGUN, DONE)


def again(
    client: MlflowClient, experiment: str, old: Record, tags: Mapping[str, str], as_: Record | None = None
) -> str:
    """Make a run in place of one that has ended, as one that was interrupted before it began; returns its id.

    Where this is cut off, the next launch finds both, and goes on with it; called again, it makes no second one.

    Args:
        client: of the store.
        experiment: its experiment's id.
        old: the run, which stays, and says by which it was replaced.
        tags: that the new one gets beside those of the trial.
        as_: the trial, where it is not that of the old run.
    """
    new = _anew(client, experiment, as_ or old, {**tags, ANEW: old.run_id}, old.run_id)
    client.set_tag(old.run_id, REPLACED, new)
    return new


def renew(client: MlflowClient, experiment: str, old: Record, tags: Mapping[str, str]) -> None:
    """Make a run in place of one that another launch may yet write to, and delete that: then MLflow refuses to."""
    kept = {name: value for name, value in old.tags.items() if name in ("threads", CONTINUES)}
    _anew(client, experiment, old, {**tags, **kept})
    take_back(client, old.run_id)


def _anew(
    client: MlflowClient, experiment: str, record: Record, tags: Mapping[str, str], replaces: str | None = None
) -> str:
    is_kept = {name: value for name, value in record.tags.items() if name in IDENTITY or name.startswith(KEYS)}
    replaced = replaces or record.run_id
    made = [
        run
        for run in client.search_runs([experiment], f"tags.{REPLACES} = '{replaced}'")
        if run.data.tags.get("trial_key") == record.trial_key  # else the trial of more epochs that has gone on from it
    ]
    run = made[0] if made else client.create_run(experiment, tags={**is_kept, **tags, REPLACES: replaced})
    new: str = run.info.run_id
    client.log_batch(new, tags=tags_of({"outcome": Outcome.INTERRUPTED.value}))
    client.set_terminated(new, STATUS[Outcome.INTERRUPTED])
    return new
