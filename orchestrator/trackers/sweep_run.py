"""The experiment of a sweep and its parent run: found or made, and what a launch writes on it."""

import json

from mlflow import MlflowClient
from mlflow.entities import Experiment, Run

from orchestrator.errors import InputError
from orchestrator.spec import SweepSpec
from orchestrator.system.durations import UNTIL_STOPPED
from orchestrator.system.paths import artifacts_folder, folder_name, redacted, sqlite_path
from orchestrator.system.provenance import provenance
from orchestrator.trackers import experiments, holding, identity, more, parent_run
from orchestrator.trackers.deleted import is_in_the_trash, restoring
from orchestrator.trackers.identity import Identity
from orchestrator.trackers.last_launch import ASKED, DECLARED, FILE, FUNCTION, WORKERS, comparison, declared
from orchestrator.trackers.open_run import LONGEST_TAG, tags_of
from orchestrator.trackers.parent_run import ROLE
from orchestrator.trackers.store import SWEEP_FILE, Store

SETS = "sweep.sets"  # on the parent: what --set gave to the launch that its table is of
# the second has the UI open the experiment as one of training runs rather than of language models; people may change it
EXPERIMENT_TAGS = {experiments.SWEEPS: "true", "mlflow.experimentKind": "custom_model_development"}


def experiment_of(client: MlflowClient, uri: str, name: str) -> Experiment:
    """The experiment of a sweep, made where there is none.

    Raises:
        InputError: it is in the trash, or no sweep's.
    """
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        # an absolute place, so that the UI finds it from whichever folder it is started in
        folder = artifacts_folder(uri) / folder_name(name)
        place = folder.as_uri() if sqlite_path(uri) else None
        made = client.create_experiment(name, artifact_location=place, tags=EXPERIMENT_TAGS)
        return client.get_experiment(made)
    experiments.check(experiment, uri)
    return experiment


def refusal(store: Store, spec: SweepSpec) -> str:
    """Why a launch would not go on with what the store has under the sweep's name; empty where it would.

    Raises:
        InputError: the experiment of this name is in the trash, or no sweep's.
    """
    experiment = store.experiment(spec.name)
    try:
        if experiment is not None:
            parent = store.parent(experiment)
            identity.check(Identity.recorded(parent.data.tags) if parent else None, spec)
            check_not_deleted(parent, store.uri, spec.name)
    except InputError as error:
        return f"a launch would be refused: {error}"
    return ""


def has_finished(store: Store, name: str, trials: int | None) -> bool:
    """Whether so many trials of a sweep were asked for at its last launch, and all of them had their results then.

    Raises:
        InputError: the experiment of this name is in the trash, or no sweep's.
    """
    experiment = store.experiment(name)
    parent = None if experiment is None else store.parent(experiment)
    if parent is None or trials is None or more.requests(parent.data.tags):
        return False
    return parent.info.status == "FINISHED" and parent.data.tags.get(ASKED) == str(trials)


def check_not_deleted(parent: Run | None, uri: str, sweep: str) -> None:
    """See that nobody has deleted the parent run.

    Raises:
        InputError: it is in the trash.
    """
    if parent is not None and is_in_the_trash(parent):
        restore = restoring(uri, parent.info.run_id)
        raise InputError(
            f"the run of the sweep {sweep} is in MLflow's trash; restore it with {restore}, or launch with --rerun, "
            "which restores it, and runs anew the trials that are in the trash"
        )


def check(parent: Run, uri: str, spec: SweepSpec, *, adopt: bool, restore: bool) -> None:
    """See that a launch may go on with a sweep.

    Args:
        parent: its parent run.
        uri: of its store.
        spec: the launch's file.
        adopt: whether it goes on although the sweep is of another file.
        restore: whether it takes the parent run out of MLflow's trash.

    Raises:
        InputError: the sweep is of another file, or its parent run is in the trash.
    """
    if not adopt:
        identity.check(Identity.recorded(parent.data.tags), spec)
    if not restore:
        check_not_deleted(parent, uri, spec.name)


def prepared(client: MlflowClient, parent: Run, *, is_anothers: bool) -> Run:
    """The parent run, out of the trash; another one in its place, where another launch may yet write to it."""
    if is_in_the_trash(parent):
        client.restore_run(parent.info.run_id)
    return parent_run.renewed(client, parent) if is_anothers else parent


def is_aside(parent: Run | None, spec: SweepSpec) -> bool:
    """Whether a launch with --set is of other values than what the sweep's table is of, which it then leaves alone."""
    return parent is not None and bool(spec.overrides) and parent.data.tags.get(SETS, "[]") != sets(spec)


def sets(spec: SweepSpec) -> str:
    """What --set gave to a launch, as a tag."""
    return json.dumps(sorted(spec.overrides))[:LONGEST_TAG]


def asked(trials: int | None) -> dict[str, str]:
    """The tag that says how many trials a launch is to bring to a result."""
    return {ASKED: UNTIL_STOPPED if trials is None else str(trials)}


def begin(
    client: MlflowClient, experiment_id: str, parent: Run | None, spec: SweepSpec, trials: int | None, aside: bool
) -> str:
    """Have the parent run say what this launch, of so many trials, is of; it is made where there is none.

    A launch aside only has it running.

    Returns:
        Its id.
    """
    if parent is None:
        tags = {"mlflow.runName": spec.name, "sweep": spec.name, **ROLE, **holding.tags()}
        run_id: str = client.create_run(experiment_id, tags=tags).info.run_id
    else:
        run_id = parent.info.run_id
        stale = {WORKERS: ""} if parent.data.tags.get(WORKERS) else {}
        client.log_batch(run_id, tags=tags_of({**ROLE, **stale, **holding.tags()}))
        client.update_run(run_id, status="RUNNING")
    if aside:
        return run_id
    tags = {
        **provenance(spec.source.path.parent),
        **Identity.of(spec).tags,
        **asked(trials),
        **comparison(spec.objectives, spec.survivors),
        FILE: str(spec.source.path.absolute()),
        FUNCTION: spec.function.name,
        DECLARED: declared(spec.function.declaration),
        SETS: sets(spec),
    }
    client.log_batch(run_id, tags=tags_of(tags))
    client.log_text(run_id, redacted(spec.source.text), SWEEP_FILE)
    return run_id
