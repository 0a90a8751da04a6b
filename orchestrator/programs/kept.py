"""What a program leaves in the folder of its trial: pictures, artifacts, and how far its epochs have come."""

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from orchestrator.programs.epochs import Epochs, Made, NewCurve, Whole
from orchestrator.programs.logged import ArtifactLogged, PictureLogged, Source
from orchestrator.system.paths import ARTIFACTS_FOLDER, IMAGES_FOLDER

STATE_FILE = "epochs.json"


@dataclass
class Begin:
    """Where an attempt began: what the ones before had logged until then is not its own."""

    pid: int
    at: float  # seconds since 1970
    log: int  # bytes
    epoch: int = 0
    offset: int | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    has_restarted: bool = False  # since then


@dataclass
class State:
    """How far the epochs of a program have come, for the attempt after this one.

    `epoch` is the last one that is whole; `under_way` is the one after it, with its values so far; `files` are those
    of TensorBoard that the attempt has written.
    """

    path: Path
    epoch: int = 0
    offset: int | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    chosen: Source | None = None
    under_way: tuple[int, Mapping[str, float]] | None = None
    files: Sequence[str] = ()
    begin: Begin | None = None

    @classmethod
    def of(cls, workdir: Path) -> "State":
        """What an attempt before has left."""
        path = workdir / STATE_FILE
        with suppress(OSError, ValueError, TypeError):
            known = json.loads(path.read_text())
            begin = known.pop("begin")
            return cls(path, **known, begin=begin and Begin(**begin))
        return cls(path)

    def epochs(self, compared: str | None, left: Iterable[Made] = ()) -> Epochs:
        """Epochs that go on from there, after those that are left to be taken in."""
        last = self.epoch
        for one in left:
            match one:
                case NewCurve(number=1) if one.epoch <= 1:
                    last = 0
                case Whole():
                    last = one.epoch
        return Epochs(compared, last, offset=self.offset, counts=self.counts)

    def take(self, epochs: Epochs, chosen: Source | None) -> None:
        """Take in how far an attempt has come apart from whole epochs; `write` keeps it."""
        self.offset, self.counts, self.chosen = epochs.offset, epochs.counts, chosen
        self.under_way = epochs.under_way

    def begin_attempt(self, pid: int, at: float, log: int) -> None:
        """Note that an attempt has begun, with so many bytes in the log."""
        self.begin = Begin(pid, at, log, self.epoch, self.offset, dict(self.counts))
        self.under_way, self.files = None, ()
        self.write()

    def begin_again(self) -> None:
        """Note that the program has begun its curve again."""
        self.epoch = 0
        if self.begin is not None:
            self.begin.has_restarted = True
        self.write()

    def write(self) -> None:
        """Keep all that is known."""
        unfinished = self.path.with_suffix(".unfinished")
        unfinished.write_text(json.dumps({name: value for name, value in asdict(self).items() if name != "path"}))
        unfinished.replace(self.path)


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
