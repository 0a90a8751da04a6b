"""Take over trials that another sweep of the store has finished."""

from collections.abc import Mapping, Sequence

from mlflow import MlflowClient
from mlflow.entities import Run, RunTag

from orchestrator.trackers.copied import fill
from orchestrator.trackers.deleted import take_back
from orchestrator.trackers.kept_code import DIFF, PACKAGES
from orchestrator.trackers.more import CONTINUES
from orchestrator.trackers.trial_note import TAG as NOTE
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.longer import ASKED_EPOCHS, ASKED_KEY
from orchestrator.trials.record import ANEW, DIGEST, END_NUMBER, REPLACED, REPLACES, REUSED, is_reusable

OF_THE_OTHER_SWEEP = (
    *("mlflow.parentRunId", "mlflow.runName", "sweep", "proposal"),
    *(DIFF, PACKAGES, ANEW, REPLACES, END_NUMBER, ASKED_KEY, ASKED_EPOCHS, CONTINUES, NOTE),
)


def find(client: MlflowClient, experiments: Sequence[str], trial: Trial, digest: str | None) -> Run | None:
    """A run of the same trial_key and code with a result to take over, in these experiments."""
    runs: list[Run] = client.search_runs(list(experiments), f"tags.trial_key = '{trial.trial_key}'")
    return next((run for run in runs if _is_reusable(run) and run.data.tags.get(DIGEST) in (None, digest)), None)


def copy(client: MlflowClient, source: Run, experiment: str, tags: Mapping[str, str]) -> str:
    """Make a child run with what the source has: params, metrics of every step, tags, artifacts, status; its id."""
    kept = {name: value for name, value in source.data.tags.items() if name not in OF_THE_OTHER_SWEEP}
    outcome = kept.pop("outcome")
    run_id: str = client.create_run(experiment, tags={**kept, **tags, REUSED: source.info.run_id}).info.run_id
    try:
        fill(client, source, run_id)
        client.log_batch(run_id, tags=[RunTag("outcome", outcome)])
        client.set_terminated(run_id, source.info.status)
    except BaseException:
        take_back(client, run_id)
        raise
    return run_id


def _is_reusable(run: Run) -> bool:
    tags = run.data.tags
    outcome = Outcome(tags["outcome"]) if "outcome" in tags else None
    return REPLACED not in tags and is_reusable(outcome, tags)
