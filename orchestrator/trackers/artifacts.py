"""What a trial leaves beside its metrics, in its run: artifacts, log, and which data it was trained on."""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag
from mlflow.exceptions import MlflowException

from orchestrator.events import Finished
from orchestrator.spec import SweepSpec
from orchestrator.system.paths import ARTIFACTS_FOLDER, LOG_FILE
from orchestrator.system.printable import storable
from orchestrator.system.regular import opened, unreadable
from orchestrator.system.scratch import scratch
from orchestrator.system.stalling import StalledError, attended
from orchestrator.system.taken import is_there, obstacle, taken
from orchestrator.trackers import images, remains
from orchestrator.trackers.errors import is_refusal, is_the_stores, message
from orchestrator.trackers.faults import is_fault
from orchestrator.trackers.images import EpochImage
from orchestrator.trackers.open_run import LONGEST_TAG, OpenRun
from orchestrator.trial import Outcome
from orchestrator.trials.metric_names import file_name
from orchestrator.trials.record import PROBLEM

LONGEST_DATASET = 500  # characters of its name
NOT_KEPT = "not_kept"  # the tag: what a trial left in its folder that went with it
UNFINISHED = ".artifact.uploading.*"  # MLflow's name for a file that it is writing


def keep(client: MlflowClient, uri: str, run: OpenRun, end: Finished, workdir: Path, spec: SweepSpec) -> dict[str, str]:
    """Log what a trial left: its artifacts, and of a trial that has ended its log and what the file says to keep.

    Returns:
        Tags that name what could not be logged, and what is lost; only that trial is affected.
    """
    try:
        return attended(lambda: _keep(client, uri, run, end, workdir, spec))
    except StalledError as error:
        return {PROBLEM: f"not all files of the trial could be read: {error}"}


def _keep(
    client: MlflowClient, uri: str, run: OpenRun, end: Finished, workdir: Path, spec: SweepSpec
) -> dict[str, str]:
    folder, left = workdir / ARTIFACTS_FOLDER, remains.folder(workdir, spec.function)
    found, tags = taken(folder, workdir), dict[str, str]()
    if not end.may_go_on:
        names = [path for path in found.files if path.parent == Path() and path.suffix == ".png"]
        pictures = (EpochImage(path.stem, run.last_epoch, folder / path) for path in names)
        images.show(client, uri, run, workdir, pictures, names_others=False)
        if lost := remains.lost(left, spec.keep, workdir, spec.function.declaration.checkpoints):
            tags[NOT_KEPT] = lost[:LONGEST_TAG]
    problems = [f"{name} {why}" if name != PROBLEM else why for name, why in run.problems.items()]
    if end.outcome is not Outcome.INTERRUPTED:
        problems += _log_text(client, run, workdir / LOG_FILE)
        kept = remains.kept(left, spec.keep, workdir)
        problems += kept.problems("", "its work folder") + _log_all(client, run, left, kept.files)
    problems += found.problems(folder.name) + _log_all(
        client, run, folder, found.files, Path(folder.name), whole=found.is_all
    )
    problems += images.problems(workdir)
    if problems:
        said = f"not all artifacts could be logged as they are: {'; '.join(problems)}"
        tags[PROBLEM] = said[:LONGEST_TAG]
    return tags


def _log_all(
    client: MlflowClient, run: OpenRun, folder: Path, files: Iterable[Path], said: Path = Path(), *, whole: bool = False
) -> list[str]:
    """Log files of a folder, under the nearest names that every store keeps.

    Args:
        client: of the store.
        run: of the trial.
        folder: what the names of the files are relative to.
        files: which.
        said: the folder's name in what is returned.
        whole: whether these are all that the folder has.

    Returns:
        A line for each file that is not there, or has another name.
    """
    states = {file: _state(folder / file) for file in files}
    problems = [f"{said / file} {state}" for file, state in states.items() if isinstance(state, str)]
    readable = (file for file, state in states.items() if not isinstance(state, str))
    names = {file: Path(*map(file_name, file.parts)) for file in readable}
    is_whole = whole and names and not problems and all(file == name for file, name in names.items())
    if is_whole and not run.faults.have_come:
        try:
            client.log_artifacts(run.run_id, str(folder))
        except (MlflowException, OSError) as error:
            if not is_fault(error) and all(_state(folder / file) == state for file, state in states.items()):
                _raise_the_stores(error)
        else:
            return []
    problems += [f"{said / file} is {name}" for file, name in names.items() if file != name]
    for file, name in names.items():
        log = partial(log_file, client, run.run_id, folder / file, name)
        problems += tried(client, run, said / file, folder / file, log)
    return problems


def log_file(client: MlflowClient, run_id: str, path: Path, name: Path) -> None:
    """Log a file under a name of several parts."""
    place = None if name.parent == Path() else name.parent.as_posix()
    if path.name == name.name:
        client.log_artifact(run_id, str(path), place)
        return
    with scratch() as links:
        link = links / name.name
        link.symlink_to(path.absolute())
        client.log_artifact(run_id, str(link), place)


def _log_text(client: MlflowClient, run: OpenRun, log: Path) -> list[str]:
    """Log what a trial has printed, cut in the middle where it is long; returns a line where that failed."""
    name, state = Path(log.name), obstacle(log, log.parent) or _state(log)
    if isinstance(state, str):
        return [f"{name} {state}"] if is_there(log) else []
    if not state[0]:
        return []
    shortened = remains.cut(log)
    if shortened is None:
        return tried(client, run, name, log, partial(client.log_artifact, run.run_id, str(log)))
    with scratch() as folder:
        (folder / LOG_FILE).write_bytes(shortened)
        return tried(client, run, name, log, partial(client.log_artifact, run.run_id, str(folder / LOG_FILE)))


def tried(client: MlflowClient, run: OpenRun, file: Path, path: Path, log: Callable[[], None]) -> list[str]:
    """Log a file; returns a line where that failed for what is wrong with the file."""
    before = _state(path)
    if isinstance(before, str):
        return [f"{file} {before}"]
    try:
        log()
    except (MlflowException, OSError) as error:
        if _state(path) != before:
            return [f"{file} has changed while it was read"]
        line = f"{file}: {message(error)}"
        if not run.faults.takes_others(client, run.run_id, error, line):
            _raise_the_stores(error)
            return [line]
        return _once_more(client, run, line, log)
    return []


def _once_more(client: MlflowClient, run: OpenRun, line: str, log: Callable[[], None]) -> list[str]:
    """Log a file that the server has failed at, now that it takes others: it may have been in trouble until then."""
    try:
        log()
    except (MlflowException, OSError) as error:
        if not is_fault(error):
            _raise_the_stores(error)
        run.faults.take(line)
        return [line]
    run.faults.forget(client, run.run_id)
    return []


def _state(path: Path) -> tuple[int, int] | str:
    """The size of a file and when it was written last; or why it cannot be read."""
    try:
        with opened(path) as file:
            stat = os.fstat(file.fileno())
    except OSError as error:
        return unreadable(error)
    return stat.st_size, stat.st_mtime_ns


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
