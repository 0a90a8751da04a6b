"""What a run has beside its tags, copied to another run."""

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import Param, Run

from orchestrator.system.scratch import scratch
from orchestrator.trackers.writing import FEW, in_batches


def fill(client: MlflowClient, source: Run, run_id: str) -> None:
    """Log to a run what another has: params, metrics of every step, data, artifacts."""
    points = [p for name in source.data.metrics for p in client.get_metric_history(source.info.run_id, name)]
    params = [Param(name, value) for name, value in source.data.params.items()]
    for part in in_batches(params, FEW):
        client.log_batch(run_id, params=part)
    for batch in in_batches(points):
        client.log_batch(run_id, batch)
    if source.inputs and source.inputs.dataset_inputs:
        client.log_inputs(run_id, source.inputs.dataset_inputs)
    if client.list_artifacts(source.info.run_id):
        with scratch() as folder:
            download_artifacts(run_id=source.info.run_id, dst_path=str(folder), tracking_uri=client.tracking_uri)
            client.log_artifacts(run_id, str(folder))
