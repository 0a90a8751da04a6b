"""The pictures of a run by epoch, logged as images, which the UI shows side by side for several runs."""

import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import PIL.Image
from mlflow import Image, MlflowClient
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from orchestrator.system.paths import IMAGES_FOLDER
from orchestrator.system.regular import opened, unreadable
from orchestrator.system.stalling import StalledError, attended
from orchestrator.system.taken import taken
from orchestrator.trackers import writing
from orchestrator.trackers.errors import is_the_stores, message
from orchestrator.trackers.open_run import OpenRun, Pictures
from orchestrator.trials.metric_names import picture as stored_name

PARTS = 2  # of a path in the folder of pictures: name and epoch
OF_PNG = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")  # modes of Pillow that MLflow can write
FILES_OF_AN_IMAGE = 2  # as it is, and smaller
LOGGED = re.compile(r"images/(.+)\+step\+(\d+)\+timestamp\+")  # MLflow's name for a file of an image


class NoPictureError(Exception):
    """A file is no picture, or not yet; the message goes on from its name."""


class EpochImage(NamedTuple):
    """A picture that a trial has left."""

    name: str
    epoch: int
    path: Path


def by_epoch(workdir: Path) -> Iterator[EpochImage]:
    """What a trial left by epoch: `images/<name>/<epoch>.png`."""
    folder = workdir / IMAGES_FOLDER
    for path in taken(folder, workdir).files:
        if _is_by_epoch(path):
            yield EpochImage(path.parent.name, int(path.stem), folder / path)


def problems(workdir: Path) -> list[str]:
    """A line for each file in the folder of pictures that is none by its name, or is not taken."""
    found = taken(workdir / IMAGES_FOLDER, workdir)
    others = (path for path in found.files if not _is_by_epoch(path))
    lines = [f"{IMAGES_FOLDER}/{path.as_posix()} is not called NAME/EPOCH.png, as pictures by epoch" for path in others]
    return [*lines, *found.problems(IMAGES_FOLDER)]


def _is_by_epoch(path: Path) -> bool:
    return len(path.parts) == PARTS and path.suffix == ".png" and path.stem.isdecimal()


def show_by_epoch(client: MlflowClient, uri: str, run: OpenRun, workdir: Path) -> None:
    """Log what a trial has left by epoch, unless its folder could not be read to an end before."""
    if IMAGES_FOLDER in run.problems:
        return
    try:
        attended(lambda: show(client, uri, run, workdir, by_epoch(workdir)))
    except StalledError as error:
        run.problems = {**run.problems, IMAGES_FOLDER: str(error)}


def show(
    client: MlflowClient,
    uri: str,
    run: OpenRun,
    workdir: Path,
    pictures: Iterable[EpochImage],
    *,
    names_others: bool = True,
) -> None:
    """Log the pictures that the run does not have yet. Files that are none are looked at again the next time.

    Args:
        client: of the store.
        uri: of the store.
        run: of the trial.
        workdir: the trial's folder.
        pictures: with their names and epochs.
        names_others: whether a file that is none is a problem; an artifact is logged as it is all the same.
    """
    for image in pictures:
        given, epoch, path = image
        name = stored_name(given)
        if name != given:
            run.titles[name] = given
        if run.pictures is None:
            run.pictures = _there(client, uri, run.run_id)
        if (name, epoch) in run.pictures:
            continue
        where = path.relative_to(workdir).as_posix()
        try:
            problem = _log(client, run, image)
            run.pictures |= {(name, epoch)}
        except NoPictureError as error:
            problem = str(error) if names_others else None
        others = {file: why for file, why in run.problems.items() if file != where}
        run.problems = {**others, where: problem} if problem else others


def _log(client: MlflowClient, run: OpenRun, image: EpochImage) -> str | None:
    """Log a picture; returns what is wrong with its file, if that is why it could not be logged.

    Raises:
        NoPictureError: it is none.
    """
    try:
        picture = _read(image.path)
    except OSError as error:
        return unreadable(error)
    log = partial(client.log_image, run.run_id, picture, key=stored_name(image.name), step=image.epoch)
    try:
        writing.attempt(client, run, f"picture {image.name}", log)
    except (OSError, ValueError, MemoryError) as error:  # of one that cannot be made smaller, or that PNG cannot have
        if isinstance(error, OSError) and is_the_stores(error):
            raise
        return f"cannot be logged ({message(error)})"
    return None


def _read(path: Path) -> Image:
    """A picture as MLflow takes it.

    Raises:
        OSError: the file cannot be read.
        NoPictureError: it is none.
    """
    with opened(path) as file:
        try:
            drawn = PIL.Image.open(file)
            drawn.load()  # else what is torn would be noticed halfway
            return Image(drawn if drawn.mode in OF_PNG else drawn.convert("RGBA"))
        except Exception as error:  # pillow raises many kinds of errors for a file that is not a picture, or too large
            if isinstance(error, OSError) and error.errno:
                raise
            why = "" if isinstance(error, PIL.UnidentifiedImageError) else f" that can be read ({message(error)})"
            raise NoPictureError(f"is no picture{why}") from error


def _there(client: MlflowClient, uri: str, run_id: str) -> Pictures:
    """The images of a run. Those that a killed launch had not written completely are deleted."""
    files: dict[tuple[str, int], list[str]] = {}
    for item in client.list_artifacts(run_id, "images"):
        if found := LOGGED.match(item.path):
            files.setdefault((found[1], int(found[2])), []).append(item.path)
    torn = [paths for paths in files.values() if len(paths) < FILES_OF_AN_IMAGE]
    for path in (path for paths in torn for path in paths):
        place = client.get_run(run_id).info.artifact_uri
        get_artifact_repository(place, uri).delete_artifacts(path)
    return frozenset(picture for picture, paths in files.items() if paths not in torn)
