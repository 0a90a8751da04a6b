"""What stands in a store, as MLflow's own client reads it."""

import io
import tempfile
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run
from PIL import Image


def children(store: str, name: str) -> list[Run]:
    client = MlflowClient(tracking_uri=store)
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert len(parents) == 1
    found = [run for run in runs if run not in parents]
    assert all(run.data.tags["mlflow.parentRunId"] == parents[0].info.run_id for run in found)
    return sorted(found, key=lambda run: str(run.info.run_name))


def steps(store: str, run: Run, name: str) -> list[int]:
    return [point.step for point in MlflowClient(tracking_uri=store).get_metric_history(run.info.run_id, name)]


def artifacts(store: str, run: Run, path: str | None = None) -> set[str]:
    return {item.path for item in MlflowClient(tracking_uri=store).list_artifacts(run.info.run_id, path)}


def picture(store: str, run: Run, path: str) -> Image.Image:
    with tempfile.TemporaryDirectory() as folder:
        local = MlflowClient(tracking_uri=store).download_artifacts(run.info.run_id, path, folder)
        return Image.open(io.BytesIO(Path(local).read_bytes()))


def outcomes(store: str, name: str) -> dict[str, str | None]:
    return {str(run.info.run_name): run.data.tags.get("outcome") for run in children(store, name)}
