"""Whether an experiment of the store can be a sweep's."""

import shlex

from mlflow.entities import Experiment

from orchestrator.errors import InputError
from orchestrator.system.paths import redacted

SWEEPS = "vae_sweeps"  # the tag of those that are


def check(experiment: Experiment, uri: str) -> None:
    """See that it is a sweep's, and not deleted.

    Raises:
        InputError: it is in the trash, or no sweep's.
    """
    name = experiment.name
    if experiment.lifecycle_stage != "active":
        store = shlex.quote(redacted(uri))
        restore = f"mlflow experiments restore --experiment-id {experiment.experiment_id}"
        raise InputError(
            f"the experiment {name} is in MLflow's trash; restore it with `MLFLOW_TRACKING_URI={store} {restore}`, "
            f"remove it for good with `sweep delete {shlex.quote(name)} --purge --tracking-uri {store}`, or give the "
            "sweep another name"
        )
    if SWEEPS not in experiment.tags:
        raise InputError(f"the store has an experiment {name} that is not a sweep; give the sweep another name")
