"""Files of a trial's folder, between a node and the orchestrator's machine.

The journal and the log go by what is new in them. All other files go whole, in pieces, where they have changed, with
the time of their last change and their mode. While a trial runs, a file is copied aside before it is sent, and is left
for later where it changes meanwhile. What belongs to a journal is read before the journal, and comes behind it: so no
checkpoint is here of an epoch that the journal here does not have.
"""

import hashlib
import os
import shutil
import stat
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from orchestrator.executors.remote.messages import Commit, FileState, Letter, Mark, Piece, Reading, Tail
from orchestrator.system import regular
from orchestrator.system.paths import IMAGES_FOLDER, LOG_FILE
from orchestrator.system.regular import NotRegularError, opened
from orchestrator.worker.journal import JOURNAL_FILE

PIECE = 2**20  # bytes
MOST_READ = 2**26  # bytes of a file that is read to be compared; larger ones are sent where they may be needed
TAILS = (JOURNAL_FILE, LOG_FILE)
UNFINISHED = ".carried"  # a folder for what is not whole yet
SETTLED_SECONDS = 0.05  # since a file was last written to: then it may be whole
# What has gone since the folder was read, and what nobody may read: what cannot be taken is left out, as it is here.
VANISHED = (FileNotFoundError, NotADirectoryError, IsADirectoryError, NotRegularError, PermissionError)


class Stamp(NamedTuple):
    """What tells whether a file has changed; `changed` is in nanoseconds."""

    size: int
    changed: int
    inode: int
    mode: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Stamp":
        """Of a file."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ino, status.st_mode)

    @property
    def mark(self) -> Mark:
        """What goes along with the content. Whoever gets it can read the file."""
        return self.changed, stat.S_IMODE(self.mode) & 0o777 | stat.S_IRUSR


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
                    found[str(path.relative_to(folder))] = Stamp.of(status)
    return found


def states(folder: Path) -> list[FileState]:
    """What a folder has, to be compared with another one."""
    shutil.rmtree(folder / UNFINISHED, ignore_errors=True)
    found = []
    for path, stamp in stamps(folder).items():
        with suppress(OSError):
            content = digest(folder / path) if stamp.size <= MOST_READ else ""
            found.append(FileState(path, stamp.size, content, (0, 0) if path in TAILS else stamp.mark))
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
        """Remove files, and put others in place, each at once: so a file may become a folder, and a folder a file."""
        for path in commit.gone:
            with suppress(*VANISHED):
                self._inside(path).unlink()
        for path in commit.made:
            place = self._inside(path)
            for parent in reversed(Path(path).parents):
                if not (self.folder / parent).is_dir():
                    regular.remove(self.folder / parent)
            place.parent.mkdir(parents=True, exist_ok=True)
            if place.is_dir() and not place.is_symlink():
                regular.remove(place)
            self._unfinished(path).replace(place)
        for path, (changed, mode) in commit.marks.items():
            place = self._inside(path)
            if not place.is_symlink():
                with suppress(*VANISHED):
                    place.chmod(mode)
                    os.utime(place, ns=(changed, changed))
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
        self._seen: dict[str, Stamp] = {}  # at the last look
        for path in TAILS:
            if stamp := self._known.pop(path, None):
                self._ends[path] = (stamp.size, stamp.inode)

    def tails(self, whole: Sequence[str] = ()) -> Iterator[Letter]:
        """What is new in the journal and in the log; all of those that are named."""
        for name in TAILS:
            with suppress(*VANISHED), opened(self._folder / name) as file:
                status = os.fstat(file.fileno())
                end, inode = self._ends.get(name, (0, status.st_ino))
                if inode != status.st_ino or status.st_size < end or name in whole:
                    self._ends.pop(name, None)
                yield from self._tail(name, file.fileno(), status)

    def _tail(self, name: str, file: int, status: os.stat_result) -> Iterator[Letter]:
        """What is new in a file; nothing that was sent by another call while this one stood still."""
        while (sent := self._ends.get(name)) is None or (sent[1] == status.st_ino and sent[0] < status.st_size):
            end = sent[0] if sent else 0
            content = os.pread(file, min(status.st_size - end, PIECE), end)
            self._ends[name] = (end + len(content), status.st_ino)
            yield Letter(Tail(self._token, self._row, name, end), content)
            if not content:
                return

    def pictures(self) -> Iterator[Letter]:
        """Pictures by epoch that are new, which belong to the epoch that is told next."""
        if (self._folder / IMAGES_FOLDER).is_dir():
            now = {f"{IMAGES_FOLDER}/{path}": at for path, at in stamps(self._folder / IMAGES_FOLDER).items()}
            copies = {}
            for path, stamp in now.items():
                if self._known.get(path) != stamp and (copy := (yield from self._copied(path))):
                    copies[path] = replace(copy, stamp=stamp)  # what has changed since goes again
            yield from self._send(copies, [])

    def changes(self) -> Iterator[Letter]:
        """What has changed; what may be being written at this moment is left for the next time."""
        now, before = self._stamps(), self._seen
        self._seen = now
        settled = time.time_ns() - int(SETTLED_SECONDS * 1e9)
        copies = {}
        for path, stamp in now.items():
            is_new = path in before and before[path].inode != stamp.inode  # renamed into place, so it is whole
            if self._known.get(path) == stamp or (stamp.changed > settled and not is_new) or _is_picture(path):
                continue
            if copy := (yield from self._copied(path)):
                if copy.stamp == stamp:
                    copies[path] = copy
                else:
                    copy.file.unlink()
        yield from self._send(copies, self._gone(now))

    def rest(self) -> Iterator[Letter]:
        """All that has changed, once nothing changes any more."""
        now = self._stamps()
        changed = {path: stamp for path, stamp in now.items() if self._known.get(path) != stamp}
        sources = {path: _Source(self._folder / path, stamp) for path, stamp in changed.items()}
        yield from self._send(sources, self._gone(now))

    def _stamps(self) -> dict[str, Stamp]:
        return {path: stamp for path, stamp in stamps(self._folder).items() if path not in TAILS}

    def _gone(self, now: Mapping[str, Stamp]) -> list[str]:
        return [path for path in self._known if path not in now]

    @property
    def has_changed(self) -> bool:
        """Whether there is something for `changes`."""
        return any(self._known.get(path) != stamp for path, stamp in self._stamps().items())

    def _send(self, sources: Mapping[str, "_Source"], gone: Sequence[str]) -> Iterator[Letter]:
        made, marks = [], {}
        yield from self.tails()
        for path, source in sources.items():
            if not source.digest or self._digests.get(path) != source.digest:
                try:
                    yield from pieces(self._token, self._row, path, source.file)
                except VANISHED:
                    continue
                made.append(path)
            marks[path] = source.stamp.mark
            self._known[path], self._digests[path] = source.stamp, source.digest
            if source.is_copy:
                source.file.unlink()
        if marks or gone:
            yield Letter(Commit(self._token, self._row, made, gone, marks))
        for path in gone:
            self._known.pop(path, None)
            self._digests.pop(path, None)

    def _copied(self, path: str) -> Generator[Letter, None, "_Source | None"]:
        """Copy a file aside, with a letter between pieces, so that others have their turn. None where it has gone."""
        self._aside.mkdir(parents=True, exist_ok=True)
        copy = self._aside / f"{self._row}-{hashlib.blake2b(path.encode(), digest_size=16).hexdigest()}"
        content = hashlib.blake2b(digest_size=16)
        try:
            with opened(self._folder / path) as source, copy.open("wb") as target:
                while piece := source.read(PIECE):
                    content.update(piece)
                    target.write(piece)
                    if len(piece) == PIECE:
                        yield Letter(Reading(self._token))
                stamp = Stamp.of(os.fstat(source.fileno()))
        except VANISHED:
            copy.unlink(missing_ok=True)
            return None
        return _Source(copy, stamp, content.hexdigest(), is_copy=True)


@dataclass(frozen=True)
class _Source:
    """Where the content of a file is read that is to be sent; its digest where that is known."""

    file: Path
    stamp: Stamp
    digest: str = ""
    is_copy: bool = False
