"""Follows what a program prints, in its log."""

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from orchestrator.programs.followers.lines import Lines, Pattern
from orchestrator.programs.logged import Logged

LONGEST = 1000  # characters of a line that are read: a pattern may take long for a long line
AT_ONCE = 1 << 20  # bytes that are read in a call
ENDS = re.compile(rb"[\r\n]")  # a bar of progress is written over itself


class OutputLines:
    """Reads the metrics in the lines that are new in a log.

    Args:
        path: The log, which may not be there yet.
        offset: Where to begin, in bytes.
        pattern: The regular expression that finds the metrics; None for those that people print usually.
    """

    def __init__(self, path: Path, offset: int = 0, pattern: str | None = None) -> None:
        self._path = path
        self._offset = offset
        self._rest = b""  # of a line that is not whole
        self._lines = Lines() if pattern is None else Pattern(pattern)

    @property
    def read(self) -> int:
        """Up to where whole lines have been read, in bytes."""
        return self._offset - len(self._rest)

    def poll(self) -> list[Logged]:
        """What is new."""
        return list(self._logged(self._new_lines()))

    def end(self) -> list[Logged]:
        """What is left when the program has ended."""
        found: list[Logged] = []
        while self._is_behind():
            found += self.poll()
        rest, self._rest = self._rest, b""
        return [*found, *self._logged([rest])]

    def _is_behind(self) -> bool:
        with suppress(OSError):
            return self._path.stat().st_size > self._offset
        return False

    def _new_lines(self) -> list[bytes]:
        if not self._is_behind():
            return []
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read(AT_ONCE)
        self._offset += len(data)
        *lines, rest = ENDS.split(self._rest + data)
        self._rest = rest[: 4 * LONGEST]
        return lines

    def _logged(self, lines: list[bytes]) -> Iterator[Logged]:
        for line in lines:
            found = self._lines.read(line.decode(errors="replace")[:LONGEST])
            if found is not None:
                yield Logged("output", found.metrics, found.step, time.time())
