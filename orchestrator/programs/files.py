"""Pictures and artifacts of a program, kept in the folder of its trial, where no two of them meet.

Names that differ only in case, or in how accents are written, are the same to some file systems.
"""

import hashlib
import os
import re
import shutil
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestrator.programs.logged import ArtifactLogged, NotKept, PictureLogged
from orchestrator.system import regular
from orchestrator.system.paths import ARTIFACTS_FOLDER, IMAGES_FOLDER
from orchestrator.system.regular import opened
from orchestrator.system.taken import obstacle, taken

NAME_FILE = "name.txt"  # in the folder of a picture: its name, from which the folder's is made
NOT_PLAIN = re.compile(r"[^A-Za-z0-9_\-. ]")  # what MLflow takes in the name of a picture
LONGEST = 100  # characters of a name
MOST_SAID = 10  # of files that could not be kept
AT_ONCE = 1 << 20  # bytes


class LoggedFiles:
    """What a script logs as files: pictures by epoch, and artifacts.

    Args:
        workdir: the folder of the trial.
    """

    def __init__(self, workdir: Path) -> None:
        self._workdir = workdir
        self._missing: dict[str, str] = {}  # by name, why it could not be kept

    def keep(self, message: PictureLogged | ArtifactLogged | NotKept, epoch: int) -> str | None:
        """Keep a file, whole or not at all; returns a sentence about all that is missing, where that is news."""
        try:
            match message:
                case PictureLogged():
                    self._keep_picture(message, epoch)
                case ArtifactLogged():
                    return self._keep_artifact(message)
                case NotKept():
                    return self._note(message.name, message.reason)
        except OSError as error:
            return self._note(message.name, error.strerror or str(error))
        return None

    def _note(self, name: str, reason: str) -> str | None:
        if self._missing.get(name) == reason or len(self._missing) == MOST_SAID:
            return None
        self._missing[name] = reason
        return f"not all could be kept: {'; '.join(f'{name} ({reason})' for name, reason in self._missing.items())}"

    def _keep_picture(self, picture: PictureLogged, epoch: int) -> None:
        name = picture.name.encode(errors="replace").decode()
        kept = (
            _folder_of(self._workdir / IMAGES_FOLDER, name) / f"{epoch if picture.step is None else picture.step}.png"
        )
        with _whole(kept):
            shutil.move(picture.path, kept)

    def _keep_artifact(self, artifact: ArtifactLogged) -> str | None:
        kept, source = self._workdir / ARTIFACTS_FOLDER, Path(artifact.path)
        for part in _relative(artifact.name).parts:
            kept /= part if _like(kept, part) in (None, part) else _with_digest(part, part)
        # a call may name any file; but a link in the trial's folder leads nowhere else
        is_in_trial = source.is_relative_to(self._workdir.absolute())
        within = self._workdir if is_in_trial else Path(os.path.realpath(source))
        if source.is_dir():
            problems = _copy_all(source, kept, within)
        else:
            problems = [reason] if (reason := obstacle(source, within)) else []
            if not problems:
                _copy(source, kept)
        return self._note(artifact.name, "; ".join(problems)) if problems else None


@contextmanager
def _whole(kept: Path) -> Iterator[None]:
    """A context in which a file is written; where that fails, nothing is left of it."""
    try:
        yield
    except OSError:
        kept.unlink(missing_ok=True)
        raise


def _copy_all(source: Path, kept: Path, within: Path) -> list[str]:
    """Copy what is taken of a folder; returns a line for each file that is not there."""
    found = taken(source, within)
    problems = found.problems("")
    for path in found.files:
        try:
            _copy(source / path, kept / path)
        except OSError as error:
            problems.append(f"{path}: {error}")
    return problems[:MOST_SAID]


def _copy(source: Path, kept: Path) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    regular.clear(kept)
    with _whole(kept), opened(source) as file, kept.open("wb") as copy:
        shutil.copyfileobj(file, copy, AT_ONCE)


def _folder_of(images: Path, name: str) -> Path:
    """The folder of a picture's name, which is made where there is none."""
    plain = NOT_PLAIN.sub("_", "_".join(_relative(name).parts))
    plain = plain if len(plain) <= LONGEST else _with_digest(plain, name)
    like = _like(images, plain)
    is_others = like is not None and _owner(images / like) != name
    folder = images / (_with_digest(plain, name) if is_others else like or plain)
    folder.mkdir(parents=True, exist_ok=True)
    if _owner(folder) != name:
        (folder / NAME_FILE).write_text(name)
    return folder


def _owner(folder: Path) -> str | None:
    with suppress(OSError):
        return (folder / NAME_FILE).read_text()
    return None


def _like(folder: Path, name: str) -> str | None:
    """What in a folder has this name, or else one that a file system may take for it."""
    with suppress(OSError):
        names = [path.name for path in folder.iterdir()]
        return name if name in names else next((other for other in names if _folded(other) == _folded(name)), None)
    return None


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


def _with_digest(name: str, of: str) -> str:
    digest = hashlib.sha256(of.encode(errors="replace")).hexdigest()[:8]
    return f"{Path(name).stem[:LONGEST]}-{digest}{Path(name).suffix[:LONGEST]}"


def _relative(name: str) -> Path:
    """A name of a script's as a path that leads nowhere else."""
    parts = [part for part in Path(name).parts if part not in ("/", "..", ".")]
    return Path(*parts) if parts else Path("unnamed")
