"""What a trial prints in this process, also from code that is no Python."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from orchestrator.system.regular import opened


def flush() -> None:
    """Have all that was printed in the file that it is printed to, before another file takes its place."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    ctypes.CDLL(None).fflush(None)


class Tee:
    """A standard stream that also writes into the log of the trial that runs; to all else it is the stream itself."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._log: Path | None = None

    def write(self, text: str) -> int:
        """Write to the stream, and into the log, if there is one."""
        if self._log is not None:
            with suppress(OSError), opened(self._log, "ab") as log:
                log.write(text.encode(errors="backslashreplace"))
        return int(self._stream.write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextmanager
    def of(self, stream: Any, log: Path) -> Iterator["Tee"]:
        """Stand for this stream, and write into this log for a while."""
        self._stream, self._log = stream, log
        try:
            yield self
        finally:
            self._log = None


class Tees:
    """Both standard streams. A logger may keep one of them from trial to trial, so they are the same ones for all."""

    def __init__(self) -> None:
        self._out, self._err = Tee(sys.stdout), Tee(sys.stderr)

    @contextmanager
    def into(self, log: Path) -> Iterator[None]:
        """While the block runs, what Python prints also goes into this log."""
        before = sys.stdout, sys.stderr
        with self._out.of(sys.stdout, log) as out, self._err.of(sys.stderr, log) as err:
            sys.stdout, sys.stderr = out, err
            try:
                yield
            finally:
                sys.stdout, sys.stderr = before
