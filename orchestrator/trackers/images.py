"""The pictures of a run by epoch, logged as images, which the UI shows side by side for several runs."""

import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from mlflow import Image, MlflowClient
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from orchestrator.system.paths import IMAGES_FOLDER
from orchestrator.trackers import writing
from orchestrator.trackers.errors import is_the_stores
from orchestrator.trackers.open_run import OpenRun, Pictures
from orchestrator.trials.metric_names import picture

FILES_OF_AN_IMAGE = 2  # as it is, and smaller
LOGGED = re.compile(r"images/(.+)\+step\+(\d+)\+timestamp\+")  # MLflow's name for a file of an image


class EpochImage(NamedTuple):
    """A picture that a trial has left."""

    name: str
    epoch: int
    path: Path


def by_epoch(workdir: Path) -> Iterator[EpochImage]:
    """What a trial left by epoch: `images/<name>/<epoch>.png`."""
    for path in sorted((workdir / IMAGES_FOLDER).glob("*/*.png")):
        if path.stem.isdecimal():
            yield EpochImage(path.parent.name, int(path.stem), path)


def show(client: MlflowClient, uri: str, run: OpenRun, pictures: Iterable[EpochImage]) -> None:
    """Log the pictures that the run does not have yet. Files that are not pictures are skipped."""
    for given, epoch, path in pictures:
        name = picture(given)
        if name != given:
            run.titles[name] = given
        if run.pictures is None:
            run.pictures = _there(client, uri, run.run_id)
        if (name, epoch) in run.pictures:
            continue
        if image := _read(path):
            log = partial(client.log_image, run.run_id, image, key=name, step=epoch)
            writing.attempt(client, run, f"picture {given}", log)
        run.pictures |= {(name, epoch)}


def _read(path: Path) -> Image | None:
    try:
        image = Image(str(path))
        image.to_pil().load()  # else what is torn would be noticed halfway
    except Exception as error:  # pillow raises many kinds of errors for a file that is not a picture, or too large
        if isinstance(error, OSError) and is_the_stores(error):
            raise
        return None
    return image


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
