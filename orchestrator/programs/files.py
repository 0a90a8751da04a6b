"""Pictures and artifacts of a program, kept in the folder of its trial, where no two of them meet.

Names that differ only in case, or in how accents are written, are the same to some file systems.
"""

import hashlib
import re
import shutil
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestrator.programs.logged import ArtifactLogged, NotKept, PictureLogged
from orchestrator.system.paths import ARTIFACTS_FOLDER, IMAGES_FOLDER

NAME_FILE = "name.txt"  # in the folder of a picture: its name, from which the folder's is made
NOT_PLAIN = re.compile(r"[^A-Za-z0-9_\-. ]")  # what MLflow takes in the name of a picture
LONGEST = 100  # characters of a name
MOST_SAID = 10  # of files that could not be kept


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
                    self._keep_artifact(message)
                case NotKept():
                    return self._note(message.name, message.reason)
        except OSError as error:
            return self._note(message.name, _reason(error))
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

    def _keep_artifact(self, artifact: ArtifactLogged) -> None:
        kept, source = self._workdir / ARTIFACTS_FOLDER, Path(artifact.path)
        for part in _relative(artifact.name).parts:
            kept /= part if _like(kept, part) in (None, part) else _with_digest(part, part)
        kept.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, kept, dirs_exist_ok=True, copy_function=_copy)
        else:
            _copy(source, kept)


@contextmanager
def _whole(kept: Path) -> Iterator[None]:
    """A context in which a file is written; where that fails, nothing is left of it."""
    try:
        yield
    except OSError:
        kept.unlink(missing_ok=True)
        raise


def _copy(source: str | Path, kept: str | Path) -> None:
    with _whole(Path(kept)):
        shutil.copyfile(source, kept)


def _reason(error: OSError) -> str:
    """Why a file could not be kept, in words."""
    if isinstance(error, shutil.Error):  # of a folder: of each file, where it is, where it should be, and why
        return "; ".join(f"{Path(source).name}: {why}" for source, _, why in error.args[0][:MOST_SAID])
    return error.strerror or str(error)


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
