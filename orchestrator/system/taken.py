"""Which files of a trial's folder are taken, and why others are not: one rule for all that reads such folders.

Taken are regular files, and links to files and folders within the trial's folder, as what they lead to. What lies
outside of it is not the trial's, and what is no regular file may never end.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from errno import ELOOP, ENOENT
from pathlib import Path

from orchestrator.system import regular

DEEPEST = 100  # folders within each other
MOST_LINKED = 1000  # folders that links lead to; links between few folders can make any number of ways


@dataclass(frozen=True)
class Taken:
    """What is taken of a folder, by paths within it."""

    top: Path  # the folder, without links
    files: Mapping[Path, Path]  # what each one leads to, without links
    left_out: Mapping[Path, str]  # why others are not taken; of the folder itself under "."

    @property
    def own(self) -> list[Path]:
        """The files that no link leads to."""
        return [path for path, real in self.files.items() if real == self.top / path]

    @property
    def is_all(self) -> bool:
        """Whether the folder has nothing else, and no links."""
        return not self.left_out and len(self.own) == len(self.files)

    def problems(self, folder: str, itself: str = "") -> list[str]:
        """A line for each that is left out, under the name of the folder; `itself` where that has none."""
        named = ((Path(folder) / path, reason) for path, reason in self.left_out.items())
        return [f"{path.as_posix() if path.parts else itself} {reason}".lstrip() for path, reason in named]


def taken(folder: Path, within: Path, without: Collection[str] = ()) -> Taken:
    """Look through a folder of a trial.

    Args:
        folder: which; nothing is taken of one that is not there.
        within: the folder of the trial.
        without: names at the top of the folder that are not looked at.
    """
    return _Look(_real(within), without).through(folder)


def obstacle(path: Path, within: Path) -> str | None:
    """Why a file of a trial is not taken; None where it is, or is not there."""
    return _Look(_real(within)).obstacle(path) if is_there(path) else None


def is_there(path: Path) -> bool:
    """Whether there is anything, be it a link that leads nowhere, or what cannot be looked at."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def _real(folder: Path) -> Path:
    """A folder of a trial without links above it; one in its own place is none of it."""
    return Path(os.path.realpath(folder.parent), folder.name)


@dataclass(frozen=True)
class _Folder:
    """A folder to look through: its path within the first, itself without links, and those that the way led through."""

    path: Path
    real: Path
    above: tuple[Path, ...] = ()


@dataclass
class _Look:
    root: Path  # of the trial, without links
    without: Collection[str] = ()
    files: dict[Path, Path] = field(default_factory=dict)
    left_out: dict[Path, str] = field(default_factory=dict)
    linked: int = 0

    def through(self, folder: Path) -> Taken:
        top = Path(os.path.realpath(folder))
        if is_there(folder):
            if reason := self._outside(folder):
                self.left_out[Path()] = reason
            elif not folder.is_dir():
                self.left_out[Path()] = "is no folder"
            else:
                waiting = [_Folder(Path(), top)]
                while waiting:
                    waiting += self._below(waiting.pop())
        return Taken(top, dict(sorted(self.files.items())), dict(sorted(self.left_out.items())))

    def obstacle(self, path: Path) -> str | None:
        """Why what is there is not taken."""
        if reason := self._outside(path):
            return reason
        try:
            other = regular.kind(path.stat().st_mode)
        except OSError as error:
            return f"cannot be looked at ({error.strerror})"
        return f"is {other}, and no regular file" if other else None

    def _below(self, folder: _Folder) -> Iterator[_Folder]:
        """Note the files of a folder; yields the folders that are in it."""
        try:
            with os.scandir(folder.real) as entries:
                found = [entry for entry in entries if folder.path.parts or entry.name not in self.without]
        except OSError as error:
            self.left_out[folder.path] = f"cannot be listed ({error.strerror})"
            return
        for entry in found:
            try:
                yield from self._entry(entry, folder)
            except OSError as error:  # where the system does not say what it is without looking at it
                self.left_out[folder.path / entry.name] = f"cannot be looked at ({error.strerror})"

    def _entry(self, entry: os.DirEntry[str], folder: _Folder) -> Iterator[_Folder]:
        path = folder.path / entry.name
        if entry.is_file(follow_symlinks=False):
            self.files[path] = Path(entry.path)
        elif reason := self._refused(entry, folder):
            self.left_out[path] = reason
        elif entry.is_dir():
            self.linked += entry.is_symlink()
            yield _Folder(path, Path(os.path.realpath(entry.path)), (*folder.above, folder.real))
        else:
            self.files[path] = Path(os.path.realpath(entry.path))

    def _refused(self, entry: os.DirEntry[str], folder: _Folder) -> str | None:
        """Why what is no file itself is not taken."""
        place = Path(entry.path)
        if reason := self._outside(place):
            return reason
        try:
            if not entry.is_dir():
                return self.obstacle(place)
        except OSError as error:
            return f"cannot be looked at ({error.strerror})"
        if len(folder.above) == DEEPEST:
            return f"is more than {DEEPEST} folders deep"
        if Path(os.path.realpath(place)) in (*folder.above, folder.real):
            return "leads back to a folder that it is in"
        is_one_more = entry.is_symlink() and self.linked >= MOST_LINKED
        return f"is one of more than {MOST_LINKED:,} links to folders" if is_one_more else None

    def _outside(self, path: Path) -> str | None:
        """Why a path leads nowhere, or out of the trial's folder."""
        try:
            real = Path(os.path.realpath(path, strict=True))
        except OSError as error:
            how = "leads nowhere" if error.errno in (ENOENT, ELOOP) else "cannot be read"
            return f"{how} ({error.strerror})"
        return None if real.is_relative_to(self.root) else f"links to {real}, outside of the trial's folder"
