"""What a trial leaves in its folder at its end beside artifacts and pictures: its log, and files of its own."""

import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from orchestrator.functions import TrialFunction
from orchestrator.programs.environment import CHECKPOINTS
from orchestrator.system.paths import ARTIFACTS_FOLDER, IMAGES_FOLDER, LOG_FILE
from orchestrator.worker.journal import JOURNAL_FILE
from orchestrator.workspace import PROPOSAL_FILE

HALF_A_LOG = 512 * 1024  # bytes; what lies between two of these is left out
OURS = {ARTIFACTS_FOLDER, IMAGES_FOLDER, LOG_FILE, JOURNAL_FILE, PROPOSAL_FILE}
MOST_NAMED = 5
UNITS = ("bytes", "kB", "MB", "GB")


def folder(workdir: Path, function: TrialFunction) -> Path:
    """The folder in which a trial may leave what it likes: of a program, the one that it is told of."""
    return workdir if function.program is None else workdir / CHECKPOINTS


def files(place: Path) -> list[Path]:
    """What a trial has left there, links left out: paths within the folder."""
    own = (path for path in _below(place) if not path.is_symlink() and not _is_ours(path, place))
    return sorted(path.relative_to(place) for path in own if path.is_file())


def kept(place: Path, patterns: Sequence[str]) -> list[Path]:
    """What a trial has left there under these patterns, with links to what lies there, too: paths within the folder."""
    found: dict[Path, None] = {}
    root = place.resolve()
    for pattern in patterns:
        for path in sorted(place.glob(pattern)):
            found |= dict.fromkeys(_below(path) if path.is_dir() else [path])
    inside = (path for path in found if path.is_file() and path.resolve().is_relative_to(root))
    return [path.relative_to(place) for path in inside if not _is_ours(path, place)]


def lost(place: Path, patterns: Sequence[str], checkpoints: Sequence[str] = ()) -> str:
    """What is not kept, in words: "model.pt (5.2 MB), a.ckpt (1 kB) and 3 more"; empty where nothing is lost.

    Args:
        place: the folder.
        patterns: of what is kept.
        checkpoints: of what the trial resumes from, and nobody wants once it has ended.
    """
    saved = {*kept(place, patterns)} if patterns else set()
    left = [
        path
        for path in files(place)
        if path not in saved and not any(fnmatchcase(path.as_posix(), p) for p in checkpoints)
    ]
    named = ", ".join(f"{path.as_posix()} ({_size(place / path)})" for path in left[:MOST_NAMED])
    return f"{named} and {len(left) - MOST_NAMED} more" if len(left) > MOST_NAMED else named


def cut(log: Path) -> bytes | None:
    """A log that is too long to be kept, without its middle; None where it is short enough."""
    with log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size <= 2 * HALF_A_LOG:
            return None
        file.seek(0)
        head = file.read(HALF_A_LOG)
        file.seek(size - HALF_A_LOG)
        tail = file.read()
    head, tail = head[: head.rfind(b"\n") + 1] or head, tail[tail.find(b"\n") + 1 :]
    return head + f"\nsweep: {size - len(head) - len(tail):,} bytes of this log are left out here\n\n".encode() + tail


def _below(place: Path) -> Iterator[Path]:
    """The files below a folder; links to folders are not followed."""
    for folder, _, names in os.walk(place):
        yield from (Path(folder) / name for name in names)


def _is_ours(path: Path, place: Path) -> bool:
    return path.relative_to(place).parts[0] in OURS


def _size(path: Path) -> str:
    size, unit = float(path.stat().st_size), 0
    while size >= 1000 and unit < len(UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.3g} {UNITS[unit]}"
