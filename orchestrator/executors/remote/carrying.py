"""Files of a trial's folder, between a node and the orchestrator's machine.

The journal and the log go by what is new in them. All other files go whole, in pieces, where they have changed. A file
is copied aside before it is sent, and is left for later where it changes meanwhile. What belongs to a journal is read
before the journal, and comes behind it: so no checkpoint is here of an epoch that the journal here does not have.
"""

import hashlib
import os
import shutil
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.executors.remote.messages import Commit, FileState, Letter, Piece, Tail
from orchestrator.system import regular
from orchestrator.system.paths import IMAGES_FOLDER, LOG_FILE
from orchestrator.system.regular import opened
from orchestrator.worker.journal import JOURNAL_FILE

PIECE = 2**20  # bytes
MOST_READ = 2**26  # bytes of a file that is read to be compared; larger ones are sent where they may be needed
TAILS = (JOURNAL_FILE, LOG_FILE)
UNFINISHED = ".carried"  # a folder for what is not whole yet
SETTLED_SECONDS = 0.05  # since a file was last written to: then it may be whole
Stamp = tuple[int, int, int]  # size, time of the last change, and inode


def digest(path: Path) -> str:
    """Of what is in a file."""
    known = hashlib.blake2b(digest_size=16)
    with opened(path) as file:
        while piece := file.read(PIECE):
            known.update(piece)
    return known.hexdigest()


def stamps(folder: Path) -> dict[str, Stamp]:
    """The regular files of a folder, by their paths in it."""
    found = {}
    for place, folders, names in os.walk(folder):
        if UNFINISHED in folders:
            folders.remove(UNFINISHED)
        for name in names:
            path = Path(place, name)
            with suppress(OSError):
                status = path.stat()
                if stat.S_ISREG(status.st_mode):
                    found[str(path.relative_to(folder))] = (status.st_size, status.st_mtime_ns, status.st_ino)
    return found


def states(folder: Path) -> list[FileState]:
    """What a folder has, to be compared with another one."""
    shutil.rmtree(folder / UNFINISHED, ignore_errors=True)
    found = []
    for path, (size, _, _) in stamps(folder).items():
        with suppress(OSError):
            found.append(FileState(path, size, digest(folder / path) if size <= MOST_READ else ""))
    return found


def lacking(folder: Path, wanted: Sequence[FileState]) -> list[str]:
    """Remove from a folder what is not wanted, and name what it lacks."""
    has = {state.path: state for state in states(folder)}
    for path in has.keys() - {state.path for state in wanted}:
        regular.remove(folder / path)
    return [state.path for state in wanted if not state.digest or has.get(state.path) != state]


def _is_picture(path: str) -> bool:
    """Whether a file comes before the epoch that it is of."""
    return path.startswith(f"{IMAGES_FOLDER}/")


def pieces(token: int, row: int, path: str, source: Path) -> Iterator[Letter]:
    """A file, in pieces."""
    offset = 0
    with opened(source) as file:
        while (piece := file.read(PIECE)) or not offset:
            yield Letter(Piece(token, row, path, offset), piece)
            offset += len(piece)
            if not piece:
                return


@dataclass
class Receiving:
    """A folder that is written from what comes for it."""

    folder: Path

    def take(self, piece: Piece, body: bytes) -> None:
        """Add a piece to what is not in place yet."""
        path = self._unfinished(piece.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with opened(path, "r+b" if piece.offset else "wb") as file:
            file.seek(piece.offset)
            file.write(body)

    def commit(self, commit: Commit) -> None:
        """Put files in place, each at once, and remove others."""
        for path in commit.made:
            place = self._inside(path)
            place.parent.mkdir(parents=True, exist_ok=True)
            if place.is_dir() and not place.is_symlink():
                regular.remove(place)
            self._unfinished(path).replace(place)
        for path in commit.gone:
            self._inside(path).unlink(missing_ok=True)
        with suppress(OSError):  # another file may be on its way
            (self.folder / UNFINISHED).rmdir()

    def append(self, tail: Tail, body: bytes) -> None:
        """Go on with a file from an offset."""
        path = self._inside(tail.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        regular.clear(path)
        with opened(path, "r+b" if path.exists() else "wb") as file:
            file.seek(tail.offset)
            file.write(body)
            file.truncate()

    def _unfinished(self, path: str) -> Path:
        return self._inside(f"{UNFINISHED}/{hashlib.blake2b(path.encode(), digest_size=16).hexdigest()}")

    def _inside(self, path: str) -> Path:
        """The place of a file; what comes from elsewhere writes nothing outside its folder."""
        place = Path(path)
        if place.is_absolute() or ".." in place.parts:
            raise ValueError(f"{path!r} is no path within a trial's folder")
        return self.folder / place


class Sending:
    """A trial's folder on a node, as far as the orchestrator has it.

    Args:
        token: of the attempt.
        row: of the trial in its stack.
        folder: on this machine.
        aside: a folder for copies, on the same disk.
    """

    def __init__(self, token: int, row: int, folder: Path, aside: Path) -> None:
        self._token = token
        self._row = row
        self._folder = folder
        self._aside = aside
        self._ends: dict[str, tuple[int, int]] = {}  # of the tails: how much is there, and in which inode
        self._known = stamps(folder)  # all of this has just been compared, or sent here
        self._digests: dict[str, str] = {}
        for path in TAILS:
            if stamp := self._known.pop(path, None):
                self._ends[path] = (stamp[0], stamp[2])

    def tails(self, whole: Sequence[str] = ()) -> Iterator[Letter]:
        """What is new in the journal and in the log; all of those that are named."""
        for name in TAILS:
            with suppress(OSError), opened(self._folder / name) as file:
                status = os.fstat(file.fileno())
                end, inode = self._ends.get(name, (0, status.st_ino))
                if inode != status.st_ino or status.st_size < end or name in whole:
                    end = 0
                    self._ends.pop(name, None)
                if status.st_size > end or name not in self._ends:
                    yield from self._tail(name, file.fileno(), end, status)

    def _tail(self, name: str, file: int, end: int, status: os.stat_result) -> Iterator[Letter]:
        left = status.st_size - end
        while True:
            content = os.pread(file, min(left, PIECE), end)
            yield Letter(Tail(self._token, self._row, name, end), content)
            end, left = end + len(content), left - len(content)
            self._ends[name] = (end, status.st_ino)
            if not content or not left:
                return

    def pictures(self) -> Iterator[Letter]:
        """Pictures by epoch that are new, which belong to the epoch that is told next."""
        if (self._folder / IMAGES_FOLDER).is_dir():
            now = {f"{IMAGES_FOLDER}/{path}": at for path, at in stamps(self._folder / IMAGES_FOLDER).items()}
            yield from self._send({path: at for path, at in now.items() if self._known.get(path) != at}, [])

    def changes(self, *, is_end: bool) -> Iterator[Letter]:
        """All that has changed; what is being written at this moment is left for the next time, except at the end."""
        now = stamps(self._folder)
        for name in TAILS:
            now.pop(name, None)
        settled = time.time_ns() - int(SETTLED_SECONDS * 1e9)
        changed = {
            path: stamp
            for path, stamp in now.items()
            if self._known.get(path) != stamp and (is_end or (stamp[1] <= settled and not _is_picture(path)))
        }
        gone = [path for path in self._known if path not in now]
        yield from self._send(changed, gone, is_end=is_end)

    @property
    def has_changed(self) -> bool:
        """Whether there is something for `changes`."""
        now = stamps(self._folder)
        return any(self._known.get(path) != stamp for path, stamp in now.items() if path not in TAILS)

    def _send(self, changed: Mapping[str, Stamp], gone: Sequence[str], *, is_end: bool = True) -> Iterator[Letter]:
        copies = [(path, stamp, copy) for path, stamp in changed.items() if (copy := self._copied(path, stamp, is_end))]
        made = []
        yield from self.tails()
        for path, stamp, copy in copies:
            now = digest(copy)
            if self._digests.get(path) != now:
                yield from pieces(self._token, self._row, path, copy)
                made.append(path)
            self._known[path], self._digests[path] = stamp, now
            copy.unlink()
        if made or gone:
            yield Letter(Commit(self._token, self._row, made, gone))
        for path in gone:
            self._known.pop(path)
            self._digests.pop(path, None)

    def _copied(self, path: str, stamp: Stamp, is_end: bool) -> Path | None:
        """A copy of a file as it was at that moment; None where it has changed since, or has gone."""
        self._aside.mkdir(parents=True, exist_ok=True)
        copy = self._aside / f"{self._row}-{hashlib.blake2b(path.encode(), digest_size=16).hexdigest()}"
        with suppress(OSError):
            with opened(self._folder / path) as source, copy.open("wb") as target:
                shutil.copyfileobj(source, target, PIECE)
                status = os.fstat(source.fileno())
            if is_end or (status.st_size, status.st_mtime_ns, status.st_ino) == stamp:
                return copy
        copy.unlink(missing_ok=True)
        return None
