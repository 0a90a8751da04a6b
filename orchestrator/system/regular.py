"""Regular files, opened without waiting: a named pipe in the place of one may never have another end."""

import os
import select
import shutil
import stat
import subprocess
from contextlib import suppress
from errno import EINVAL, ETIMEDOUT
from pathlib import Path
from typing import IO, cast

KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


LARGEST = 1 << 29  # bytes of a file that is read at once


class NotRegularError(OSError):
    """What is to be opened is no regular file."""


def kind(mode: int) -> str | None:
    """What is no regular file, in words, by its mode; None for a regular file."""
    return None if stat.S_ISREG(mode) else KINDS.get(stat.S_IFMT(mode), "of an unknown kind")


def opened(path: Path, mode: str = "rb") -> IO[bytes]:
    """Open a regular file, or a link to one, in a mode of `open` for bytes.

    Raises:
        NotRegularError: it is something else.
        OSError: it cannot be opened.
    """

    def opener(name: str, flags: int) -> int:
        with suppress(FileNotFoundError):
            _check(name, path.stat().st_mode)  # first: to open a pipe would wake whoever writes to it
        file = os.open(name, flags | os.O_NONBLOCK, 0o666)
        try:
            _check(name, os.fstat(file).st_mode)
            os.set_blocking(file, True)
        except OSError:
            os.close(file)
            raise
        return file

    return cast("IO[bytes]", open(path, mode, opener=opener))


def piped(path: Path, most: int, seconds: float) -> bytes:
    """What comes out of a pipe until its end, or until there is more than `most` bytes of it.

    Raises:
        TimeoutError: nothing has come for so many seconds.
        OSError: it cannot be read.
    """
    content = b""
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        waiting = select.poll()
        waiting.register(file, select.POLLIN)
        while len(content) <= most:
            if not waiting.poll(1000 * seconds):
                raise TimeoutError(ETIMEDOUT, f"nothing has come out of it for {seconds:g} seconds", str(path))
            if not (chunk := os.read(file, most + 1)):
                break
            content += chunk
    finally:
        os.close(file)
    return content


def _check(name: str, mode: int) -> None:
    if not stat.S_ISDIR(mode) and (other := kind(mode)):  # `open` itself refuses folders
        raise NotRegularError(EINVAL, f"is {other}, and no regular file", name)


def unreadable(error: OSError) -> str:
    """That a file cannot be read, in words that go on from its name."""
    return str(error.strerror) if isinstance(error, NotRegularError) else f"cannot be read ({error.strerror or error})"


def content(path: Path) -> bytes:
    """What is in a file; nothing of one that is not there, cannot be read, is no regular file, or is too large."""
    with suppress(OSError), opened(path) as file:
        if (size := os.fstat(file.fileno()).st_size) <= LARGEST:
            return file.read(size)  # not until its end: a file may grow without one meanwhile
    return b""


def is_too_large(path: Path) -> bool:
    """Whether there is a regular file that `content` does not read for its size."""
    with suppress(OSError):
        found = path.stat()
        return stat.S_ISREG(found.st_mode) and found.st_size > LARGEST
    return False


def clear(path: Path) -> None:
    """Remove what stands in a file's place and cannot be read and written as a file; links, too."""
    with suppress(OSError):
        mode = path.lstat().st_mode
        if not stat.S_ISREG(mode) or not os.access(path, os.R_OK | os.W_OK):
            remove(path)


def remove(path: Path) -> None:
    """Remove whatever is there, as far as that can be done."""
    with suppress(OSError):
        if not stat.S_ISDIR(path.lstat().st_mode):  # rmtree would open it, and wait
            path.unlink()
            return
    try:
        shutil.rmtree(path, ignore_errors=True)
    except RecursionError:  # folders within folders, more than Python follows
        subprocess.run(["rm", "-rf", "--", str(path)], capture_output=True, check=False)


def replace(path: Path, content: bytes, *, sync: bool = False) -> None:
    """Write a file, whole or not at all, whatever stood in its place.

    Args:
        path: of the file.
        content: of it.
        sync: whether it is to survive a power cut.
    """
    unfinished = path.with_suffix(".unfinished")
    for place in (unfinished, path):
        clear(place)
    with unfinished.open("wb") as file:
        file.write(content)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    unfinished.replace(path)
