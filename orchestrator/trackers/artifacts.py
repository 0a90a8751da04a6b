"""What a trial leaves beside its metrics, in its run: artifacts, log, and which data it was trained on."""

import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag

from orchestrator.spec import SweepSpec
from orchestrator.system.paths import ARTIFACTS_FOLDER, LOG_FILE
from orchestrator.system.scratch import scratch
from orchestrator.trackers import images, remains
from orchestrator.trackers.errors import is_the_stores
from orchestrator.trackers.images import EpochImage
from orchestrator.trackers.open_run import LONGEST_TAG, OpenRun
from orchestrator.trial import Outcome

NOT_KEPT = "not_kept"  # the tag: what a trial left in its folder that went with it
UNFINISHED = ".artifact.uploading.*"  # MLflow's name for a file that it is writing


def keep(
    client: MlflowClient, uri: str, run: OpenRun, outcome: Outcome, workdir: Path, spec: SweepSpec
) -> dict[str, str]:
    """Log what a trial left: its artifacts, and of a trial that has ended its log and what the file says to keep.

    Returns:
        Tags that name what could not be logged, and what is lost; only that trial is affected.
    """
    folder, left = workdir / ARTIFACTS_FOLDER, remains.folder(workdir, spec.function)
    tags: dict[str, str] = {}
    try:
        if outcome is not Outcome.INTERRUPTED:
            _keep_log(client, run.run_id, workdir / LOG_FILE)
            for path in remains.kept(left, spec.keep):
                client.log_artifact(run.run_id, str(left / path), path.parent.as_posix().removeprefix("."))
        if folder.is_dir():
            client.log_artifacts(run.run_id, str(folder))
    except OSError as error:
        if is_the_stores(error):
            raise
        tags["artifacts.problem"] = f"not all artifacts could be logged: {error}"[:LONGEST_TAG]
    if outcome.is_result:
        pictures = (EpochImage(path.stem, run.last_epoch, path) for path in sorted(folder.glob("*.png")))
        images.show(client, uri, run, pictures)
        if lost := remains.lost(left, spec.keep):
            tags[NOT_KEPT] = lost[:LONGEST_TAG]
    return tags


def _keep_log(client: MlflowClient, run_id: str, log: Path) -> None:
    if not log.is_file() or not log.stat().st_size:
        return
    shortened = remains.cut(log)
    if shortened is None:
        client.log_artifact(run_id, str(log))
        return
    with scratch() as folder:
        (folder / LOG_FILE).write_bytes(shortened)
        client.log_artifact(run_id, str(folder / LOG_FILE))


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
