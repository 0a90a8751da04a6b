"""What a program leaves in the folder of its trial: pictures, artifacts, and how far its epochs have come."""

import json
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.programs.epochs import Epochs, Whole
from orchestrator.programs.logged import ArtifactLogged, PictureLogged
from orchestrator.system.paths import ARTIFACTS_FOLDER, IMAGES_FOLDER

STATE_FILE = "epochs.json"


@dataclass
class State:
    """How far the epochs of a program have come, for the attempt after this one.

    A program goes on as soon as what it logs is received, and may keep a checkpoint then, after which it never logs
    that again. So what is received is here before it is answered, until it is in the trial's journal.

    Args:
        path: of the file.
        epoch: the last one in the journal.
        offset: what `Epochs.offset` was then.
        counts: what `Epochs.counts` was then.
        ahead: epochs that are not in the journal yet, and may not be whole: the number, metrics and time of each.
    """

    path: Path
    epoch: int = 0
    offset: int | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    ahead: list[tuple[int, dict[str, float], float]] = field(default_factory=list)

    @classmethod
    def of(cls, workdir: Path) -> "State":
        """What an attempt before has left."""
        path = workdir / STATE_FILE
        with suppress(OSError, ValueError, TypeError):
            return cls(path, **json.loads(path.read_text()))
        return cls(path)

    def epochs(self, compared: str | None, *, goes_on: bool) -> Epochs:
        """Epochs that go on from there.

        Args:
            compared: the metric by which trials are compared.
            goes_on: whether the program may go on; else one that only counts begins at 1.
        """
        last = max([self.epoch, *(epoch for epoch, _, _ in self.ahead)]) if goes_on else 0
        return Epochs(compared, self.epoch, counted_after=last, offset=self.offset, counts=self.counts)

    def journaled(self, epoch: int, offset: int | None, counts: Mapping[str, int]) -> None:
        """Note that an epoch is in the journal."""
        self.epoch, self.offset, self.counts = epoch, offset, counts
        self.ahead = [known for known in self.ahead if known[0] > epoch]
        self._write()

    def keep(self, offset: int | None, ahead: Iterable[Whole]) -> None:
        """Keep what is ahead of the journal; of an epoch that comes twice, the later."""
        by_epoch = {whole.epoch: (whole.epoch, dict(whole.metrics), whole.at) for whole in ahead}
        kept = [by_epoch[epoch] for epoch in sorted(by_epoch)]
        if (offset, kept) != (self.offset, self.ahead):
            self.offset, self.ahead = offset, kept
            self._write()

    def forget(self) -> None:
        """Note that the program has begun again."""
        self.epoch, self.counts = 0, {}

    def _write(self) -> None:
        state = {name: value for name, value in vars(self).items() if name != "path"}
        unfinished = self.path.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(state))
        unfinished.replace(self.path)


def keep_picture(workdir: Path, picture: PictureLogged, epoch: int) -> None:
    """Keep an image as one by epoch."""
    step = epoch if picture.step is None else picture.step
    kept = workdir / IMAGES_FOLDER / "_".join(_relative(picture.name).parts) / f"{step}.png"
    with suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(picture.path, kept)


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
