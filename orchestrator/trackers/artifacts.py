"""What a trial leaves beside its metrics, in its run: artifacts, log, and which data it was trained on."""

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag
from mlflow.exceptions import MlflowException

from orchestrator.functions import TrialFunction
from orchestrator.system.paths import ARTIFACTS_FOLDER, LOG_FILE
from orchestrator.system.printable import storable
from orchestrator.trackers import images
from orchestrator.trackers.errors import is_refusal, is_the_stores, message
from orchestrator.trackers.images import EpochImage
from orchestrator.trackers.open_run import LONGEST_TAG, OpenRun
from orchestrator.trial import Outcome
from orchestrator.trials.metric_names import file_name

LONGEST_DATASET = 500  # characters of its name
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
    problems = _log_all(client, run.run_id, folder)
    if outcome.is_result:
        pictures = (EpochImage(path.stem, run.last_epoch, path) for path in sorted(folder.glob("*.png")))
        images.show(client, uri, run, pictures)
    said = f"not all artifacts could be logged as they are: {'; '.join(problems)}"
    return {"artifacts.problem": said[:LONGEST_TAG]} if problems else {}


def _log_all(client: MlflowClient, run_id: str, folder: Path) -> list[str]:
    """Log the files of a folder, under the nearest names that every store keeps.

    Returns:
        A line for each file that is not there, or has another name.
    """
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir())
    names = {file: Path(*map(file_name, file.parts)) for file in files}
    if all(file == name for file, name in names.items()):
        try:
            client.log_artifacts(run_id, str(folder))
        except (MlflowException, OSError) as error:
            _raise_the_stores(error)
        else:
            return []
    problems = [f"{file} is {name}" for file, name in names.items() if file != name]
    for file, name in names.items():
        try:
            _log(client, run_id, folder / file, name)
        except (MlflowException, OSError) as error:
            _raise_the_stores(error)
            problems.append(f"{file}: {message(error)}")
    return problems


def _log(client: MlflowClient, run_id: str, path: Path, name: Path) -> None:
    place = None if name.parent == Path() else name.parent.as_posix()
    if path.name == name.name:
        client.log_artifact(run_id, str(path), place)
        return
    with tempfile.TemporaryDirectory() as copies:
        client.log_artifact(run_id, str(shutil.copyfile(path, Path(copies) / name.name)), place)


def _raise_the_stores(error: MlflowException | OSError) -> None:
    """Raise the error again where it is not about a file."""
    if is_the_stores(error) if isinstance(error, OSError) else not is_refusal(error):
        raise error


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
            name=storable(str(dataset.get("name", "data")))[:LONGEST_DATASET],
            digest=storable(str(dataset.get("digest", "")))[:36],
            source_type="local",
            source=json.dumps({"uri": dataset.get("source", "")}),
            profile=json.dumps(profile),
        ),
        [InputTag("mlflow.data.context", "training")],
    )
