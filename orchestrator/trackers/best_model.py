"""The model of a sweep's best trial, as MLflow keeps models. A sweep has at most one: it moves to a better trial."""

from collections.abc import Iterator
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from orchestrator.trackers import checkpoints
from orchestrator.trials.record import Record

NAME = "model"  # so that runs:/<run_id>/model is it
TAG = "sweep.best"
IMAGES = "images"


def has_model(client: MlflowClient, experiment_id: str, run_id: str) -> bool:
    """Whether a run has the sweep's model, whole."""
    return any(_is_whole(model) and model.source_run_id == run_id for model in of(client, experiment_id))


def artifacts(client: MlflowClient, run_id: str, folder: Path) -> None:
    """Download a trial's artifacts into a folder, except its pictures by epoch and its checkpoint."""
    for item in client.list_artifacts(run_id):
        if item.path not in (IMAGES, checkpoints.FOLDER.name):
            client.download_artifacts(run_id, item.path, str(folder))


def keep(client: MlflowClient, experiment_id: str, record: Record, folder: Path) -> None:
    """Log the MLflow model in a folder as that of a trial's run."""
    from mlflow.models import Model

    description = Model.load(str(folder))
    tags = {TAG: "true", "sweep": record.tags["sweep"], "config": record.tags.get("config", record.label)}
    params = {name: str(value) for name, value in record.params.items()}
    made = client.create_logged_model(experiment_id, NAME, record.run_id, tags, params)
    description.run_id, description.model_id = record.run_id, made.model_id
    description.model_uuid, description.artifact_path = made.model_id, made.artifact_location
    description.save(str(folder / "MLmodel"))
    client.log_model_artifacts(made.model_id, str(folder))
    client.log_outputs(record.run_id, [LoggedModelOutput(made.model_id, record.last_epoch or 0)])
    client.finalize_logged_model(made.model_id, LoggedModelStatus.READY)


def clear(client: MlflowClient, uri: str, experiment_id: str, run_id: str) -> None:
    """Delete the sweep's models but one of this run: those of other runs, and what is incomplete."""
    models = [*of(client, experiment_id)]
    kept = next((model.model_id for model in models if model.source_run_id == run_id and _is_whole(model)), None)
    for model in models:
        if model.model_id != kept:
            client.delete_logged_model(model.model_id)  # first: a model without its files would count as whole
            get_artifact_repository(model.artifact_location, uri).delete_artifacts()


def of(client: MlflowClient, experiment_id: str) -> Iterator[LoggedModel]:
    """The sweep's own models, of those that its experiment has."""
    return all_of(client, experiment_id, f"tags.`{TAG}` = 'true'")


def all_of(client: MlflowClient, experiment_id: str, which: str | None = None) -> Iterator[LoggedModel]:
    """All models that an experiment has, or those of a filter."""
    token = None
    while True:
        page = client.search_logged_models([experiment_id], filter_string=which, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _is_whole(model: LoggedModel) -> bool:
    return model.status == LoggedModelStatus.READY
