"""What a trial leaves beside its metrics, in its run: artifacts, log, and which data it was trained on."""

import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag

from orchestrator.functions import TrialFunction
from orchestrator.system.paths import ARTIFACTS_FOLDER, LOG_FILE
from orchestrator.trackers import images
from orchestrator.trackers.errors import is_the_stores
from orchestrator.trackers.images import EpochImage
from orchestrator.trackers.open_run import LONGEST_TAG, OpenRun
from orchestrator.trial import Outcome

UNFINISHED = ".artifact.uploading.*"  # MLflow's name for a file that it is writing


def keep(
    client: MlflowClient, uri: str, run: OpenRun, outcome: Outcome, workdir: Path, function: TrialFunction
) -> dict[str, str]:
    """Log what a trial left: the log, too, where it failed or is a program's.

    Returns:
        A tag that names what could not be logged; only that trial is affected.
    """
    log, folder = workdir / LOG_FILE, workdir / ARTIFACTS_FOLDER
    if (outcome is Outcome.FAILED or (function.program is not None and outcome.is_result)) and log.is_file():
        client.log_artifact(run.run_id, str(log))
    if not folder.is_dir():
        return {}
    try:
        client.log_artifacts(run.run_id, str(folder))
    except OSError as error:
        if is_the_stores(error):
            raise
        return {"artifacts.problem": f"not all artifacts could be logged: {error}"[:LONGEST_TAG]}
    if outcome.is_result:
        pictures = (EpochImage(path.stem, run.last_epoch, path) for path in sorted(folder.glob("*.png")))
        images.show(client, uri, run, pictures)
    return {}


def clear_unfinished(client: MlflowClient, run_id: str) -> None:
    """Delete what MLflow was writing when it was killed. Its lists omit such files, but the disk has them."""
    place = urlsplit(client.get_run(run_id).info.artifact_uri)
    for path in Path(url2pathname(place.path)).rglob(UNFINISHED) if place.scheme == "file" else ():
        path.unlink(missing_ok=True)


def dataset_input(dataset: Mapping[str, str | int]) -> DatasetInput:
    """The data of a run, as its function described them, as MLflow takes them."""
    profile = {k: v for k, v in dataset.items() if k not in ("name", "digest", "source")}
    return DatasetInput(
        Dataset(
            name=str(dataset.get("name", "data")),
            digest=str(dataset.get("digest", ""))[:36],
            source_type="local",
            source=json.dumps({"uri": dataset.get("source", "")}),
            profile=json.dumps(profile),
        ),
        [InputTag("mlflow.data.context", "training")],
    )
