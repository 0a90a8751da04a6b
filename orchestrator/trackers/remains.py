"""What a trial leaves in its folder at its end beside artifacts and pictures: its log, and files of its own."""

import os
from collections.abc import Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

from orchestrator.functions import TrialFunction
from orchestrator.programs.environment import CHECKPOINTS
from orchestrator.system.figures import bytes_in_words
from orchestrator.system.paths import ARTIFACTS_FOLDER, IMAGES_FOLDER, LOG_FILE
from orchestrator.system.regular import opened
from orchestrator.system.taken import Taken, taken
from orchestrator.worker.journal import JOURNAL_FILE
from orchestrator.workspace import ANEW_FILE, ORIGIN_FILE, PROPOSAL_FILE

HALF_A_LOG = 512 * 1024  # bytes; what lies between two of these is left out
OURS = {ARTIFACTS_FOLDER, IMAGES_FOLDER, LOG_FILE, JOURNAL_FILE, PROPOSAL_FILE, ORIGIN_FILE, ANEW_FILE}
MOST_NAMED = 5


def folder(workdir: Path, function: TrialFunction) -> Path:
    """The folder in which a trial may leave what it likes: of a program, the one that it is told of."""
    return workdir if function.program is None else workdir / CHECKPOINTS


def kept(place: Path, patterns: Sequence[str], workdir: Path) -> Taken:
    """What a trial has left there under these patterns, and why some of it, or all that is there, is not taken."""
    look = taken(place, workdir, OURS)
    files = {path: real for path, real in look.files.items() if _is_meant(path, patterns)}
    left_out = {
        path: reason
        for path, reason in look.left_out.items()
        if not path.parts or _is_meant(path, patterns) or (_is_folder(place / path) and _is_above(path, patterns))
    }
    return Taken(look.top, files, left_out)


def lost(place: Path, patterns: Sequence[str], workdir: Path, checkpoints: Sequence[str] = ()) -> str:
    """What is not kept, in words: "model.pt (5.2 MB), a.ckpt (1 kB) and 3 more"; empty where nothing is lost.

    Args:
        place: the folder.
        patterns: of what is kept.
        workdir: of the trial.
        checkpoints: patterns of what the trial resumes from, and nobody wants once it has ended.
    """
    left = [path for path in taken(place, workdir, OURS).own if not _is_meant(path, (*patterns, *checkpoints))]
    named = ", ".join(f"{path.as_posix()} ({_size(place / path)})" for path in left[:MOST_NAMED])
    return f"{named} and {len(left) - MOST_NAMED} more" if len(left) > MOST_NAMED else named


def cut(log: Path) -> bytes | None:
    """A log that is too long to be kept, without its middle; None where it is short enough."""
    with opened(log) as file:
        size = file.seek(0, os.SEEK_END)
        if size <= 2 * HALF_A_LOG:
            return None
        file.seek(0)
        head = file.read(HALF_A_LOG)
        file.seek(size - HALF_A_LOG)
        tail = file.read(HALF_A_LOG)
    head, tail = head[: head.rfind(b"\n") + 1] or head, tail[tail.find(b"\n") + 1 :]
    return head + f"\nsweep: {size - len(head) - len(tail):,} bytes of this log are left out here\n\n".encode() + tail


def _is_meant(path: Path, patterns: Sequence[str]) -> bool:
    """Whether a file is one of the patterns', or in a folder that is."""
    return any(_fits(path.parts, PurePath(pattern).parts) for pattern in patterns)


def _is_folder(path: Path) -> bool:
    with suppress(OSError):
        return path.is_dir()
    return False


def _is_above(folder: Path, patterns: Sequence[str]) -> bool:
    """Whether in a folder there may be files of the patterns."""
    ways = (PurePath(pattern).parts for pattern in patterns)
    return any(_fits(folder.parts, way[:end]) for way in ways for end in range(1, len(way)))


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return True
    first, *others = pattern
    if first == "**":
        return any(_fits(parts[start:], others) for start in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], first) and _fits(parts[1:], others)


def _size(path: Path) -> str:
    try:
        return bytes_in_words(path.lstat().st_size)
    except OSError:  # of a folder that may be listed and not looked into
        return "of unknown size"
