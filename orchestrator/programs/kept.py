"""What a program leaves in the folder of its trial: pictures, artifacts, and how far its epochs have come."""

import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.programs.epochs import Epochs
from orchestrator.programs.logged import ArtifactLogged, PictureLogged
from orchestrator.system.paths import ARTIFACTS_FOLDER, IMAGES_FOLDER

STATE_FILE = "epochs.json"


@dataclass
class State:
    """How far the epochs of a program have come, for the attempt after this one."""

    path: Path
    epoch: int = 0
    offset: int | None = None
    counts: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, workdir: Path) -> "State":
        """What an attempt before has left."""
        path = workdir / STATE_FILE
        with suppress(OSError, ValueError, TypeError):
            return cls(path, **json.loads(path.read_text()))
        return cls(path)

    def epochs(self, compared: str | None) -> Epochs:
        """Epochs that go on from there."""
        return Epochs(compared, self.epoch, offset=self.offset, counts=self.counts)

    def write(self, epochs: Epochs, epoch: int) -> None:
        """Note that an epoch is whole."""
        state = {"epoch": epoch, "offset": epochs.offset, "counts": epochs.counts}
        unfinished = self.path.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(state))
        unfinished.replace(self.path)

    def forget(self) -> None:
        """Note that the program has begun again."""
        self.path.unlink(missing_ok=True)


def keep_picture(workdir: Path, picture: PictureLogged, epoch: int) -> None:
    """Keep an image as one by epoch."""
    step = epoch if picture.step is None else picture.step
    kept = workdir / IMAGES_FOLDER / "_".join(_relative(picture.name).parts) / f"{step}.png"
    with suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(picture.path, kept)


def keep_artifact(workdir: Path, artifact: ArtifactLogged) -> None:
    """Keep a file or a folder as an artifact of the trial."""
    kept, source = workdir / ARTIFACTS_FOLDER / _relative(artifact.name), Path(artifact.path)
    with suppress(OSError, shutil.Error):
        kept.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, kept, dirs_exist_ok=True)
        else:
            shutil.copyfile(source, kept)


def _relative(name: str) -> Path:
    """A name of a script's as a path that leads nowhere else."""
    parts = [part for part in Path(name).parts if part not in ("/", "..", ".")]
    return Path(*parts) if parts else Path("unnamed")
