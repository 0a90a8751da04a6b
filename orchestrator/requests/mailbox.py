"""The folder through which requests reach a launch: `requests/`, where launches of a sweep meet.

It belongs to the user of the launch alone. Its file `launch` has the launch's token. A request is a file that is
written whole or not at all, and is gone before it is done: so it is never done twice. Its answer is a file beside it.
"""

import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from orchestrator.requests.calls import LARGEST, Answer, answers
from orchestrator.system import regular

FOLDER, LAUNCH = "requests", "launch"
REQUEST, ANSWER = ".request", ".answer"
NAME = re.compile(r"\d{20}-[0-9a-f]{16}")
SECONDS_OF_AN_ANSWER = 60.0  # that nobody fetches
SECONDS_TO_FETCH = 1.0  # the last answers of a launch
MOST_AT_ONCE = 100


class Mailbox:
    """The folder as the launch has it: as a context, it is made anew, and goes with the launch.

    Args:
        meeting: the folder where launches of the sweep meet; this launch holds its lock.
    """

    def __init__(self, meeting: Path) -> None:
        self.folder = meeting / FOLDER
        self.token = secrets.token_hex(16)
        self._answered: dict[str, float] = {}  # when, by name

    def __enter__(self) -> "Mailbox":
        regular.remove(self.folder)  # with what was asked of an earlier launch, and does nothing any more
        self.folder.mkdir(mode=0o700)
        self._fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        write(self._fd, LAUNCH, self.token.encode())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            os.unlink(LAUNCH, dir_fd=self._fd)
            until = time.monotonic() + SECONDS_TO_FETCH
            while error is None and self._has_unfetched and time.monotonic() < until:
                time.sleep(0.02)
        os.close(self._fd)
        regular.remove(self.folder)

    def taken(self) -> Iterator[tuple[str, bytes]]:
        """The requests that are there, by name, in the order in which they were made; each is taken once.

        Raises:
            OSError: the folder cannot be read.
        """
        self._clear()
        names = [name.removesuffix(REQUEST) for name in self._there if name.endswith(REQUEST)]
        for name in sorted(filter(NAME.fullmatch, names))[:MOST_AT_ONCE]:
            content = read(self._fd, f"{name}{REQUEST}")
            try:
                os.unlink(f"{name}{REQUEST}", dir_fd=self._fd)
            except OSError:  # it was taken back
                continue
            if content is not None:
                yield name, content

    def answer(self, name: str, answer: Answer) -> None:
        """Answer a request.

        Raises:
            OSError: it cannot be written.
        """
        write(self._fd, f"{name}{ANSWER}", answers.dump_json(answer))
        self._answered[name] = time.monotonic()

    @property
    def _has_unfetched(self) -> bool:
        there = self._there
        return any(f"{name}{ANSWER}" in there for name in self._answered)

    @property
    def _there(self) -> set[str]:
        with os.scandir(self._fd) as entries:
            return {entry.name for entry in entries}

    def _clear(self) -> None:
        """Remove the answers that whoever has asked did not live to fetch."""
        now = time.monotonic()
        for name in [name for name, at in self._answered.items() if now - at > SECONDS_OF_AN_ANSWER]:
            del self._answered[name]
            with suppress(OSError):
                os.unlink(f"{name}{ANSWER}", dir_fd=self._fd)


@contextmanager
def opened(folder: Path) -> Iterator[int]:
    """A folder, and no link to one, as a file descriptor.

    Raises:
        OSError: there is none.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read(folder: int, name: str) -> bytes | None:
    """What a file of a folder has; None where it is not there, no regular file of this user's, or too large."""
    try:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError:
        return None
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_size > LARGEST:
        os.close(file)
        return None
    with os.fdopen(file, "rb") as content:
        return content.read()


def write(folder: int, name: str, content: bytes) -> None:
    """Write a file of a folder, for this user alone, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    unfinished = f"{name}.unfinished"
    file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
    with os.fdopen(file, "wb") as written:
        written.write(content)
    os.rename(unfinished, name, src_dir_fd=folder, dst_dir_fd=folder)
