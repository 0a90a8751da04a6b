"""Follows what a program prints, in its log."""

import time
from contextlib import suppress
from pathlib import Path

from orchestrator.programs.followers.lines import Lines, Pattern
from orchestrator.programs.logged import Logged

LONGEST = 1000  # characters of a line that are read: a pattern may take long for a long line
AT_ONCE = 1 << 18  # bytes
SECONDS_AT_ONCE = 0.1  # of a call, so that what is logged otherwise need not wait for this


class OutputLines:
    """Reads the metrics in the lines that are new in a log.

    Args:
        path: The log, which may not be there yet.
        offset: Where to begin, in bytes.
        pattern: The regular expression that finds the metrics; None for those that people print usually.
    """

    def __init__(self, path: Path, offset: int = 0, pattern: str | None = None) -> None:
        self.read = offset  # up to where whole lines have been read, in bytes
        self._path = path
        self._offset = offset
        self._rest = b""  # of a line that is not whole
        self._lines = Lines() if pattern is None else Pattern(pattern)

    @property
    def is_behind(self) -> bool:
        """Whether there is more by now than has been read."""
        with suppress(OSError):
            return self._path.stat().st_size > self._offset
        return False

    def poll(self) -> list[Logged]:
        """What is new, or the first of it."""
        until = time.monotonic() + SECONDS_AT_ONCE
        found = self._logged(self._new_lines())
        while self.is_behind and time.monotonic() < until:
            found += self._logged(self._new_lines())
        return found

    def end(self) -> list[Logged]:
        """What is left when the program has ended."""
        found = self.poll()
        while self.is_behind:
            found += self.poll()
        rest, self._rest = self._rest, b""
        return found + self._logged(rest)

    def _new_lines(self) -> bytes:
        """The next lines that are whole, with their ends."""
        if not self.is_behind:
            return b""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read(AT_ONCE).replace(b"\r", b"\n")  # a bar of progress is written over itself
        self._offset += len(data)
        end = data.rfind(b"\n") + 1
        if not end:
            self._rest = (self._rest + data)[: 4 * LONGEST]  # the rest of a line that is too long is not looked at
            return b""
        self.read = self._offset - len(data) + end
        lines, self._rest = self._rest + data[:end], data[end:][: 4 * LONGEST]
        return lines

    def _logged(self, lines: bytes) -> list[Logged]:
        text = lines.decode(errors="replace")
        if not self._lines.may_have(text):
            return []
        found = [self._lines.read(line[:LONGEST]) for line in text.split("\n")]
        return [Logged("output", one.metrics, one.step, time.time()) for one in found if one is not None]
