"""A log in the folder of a trial that has no result yet: it grows, and may go."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from orchestrator.errors import InputError
from orchestrator.programs.command import hidden
from orchestrator.system.regular import opened

if TYPE_CHECKING:
    from orchestrator.trackers import Store
    from orchestrator.trials.record import Record

MENTIONS_A_VARIABLE = "${envvar:"


def secrets(store: "Store", record: "Record") -> Sequence[str]:
    """The values that the log of a program may have, and that nobody is shown: they are hidden there when it ends.

    Raises:
        InputError: they are not known here.
    """
    from orchestrator.spec import load

    sweep = record.tags["sweep"]
    text = store.sweep_file(sweep) or ""
    program = None
    if MENTIONS_A_VARIABLE in text:
        program = load(Path(store.last_launch(sweep).file), text=text, is_to_run=False).function.program
    if program is None:
        return []
    if missing := [name for name in program.command.secret_names if name not in os.environ]:
        raise InputError(
            f"{record.label} has not ended, and its log may have the value of {missing[0]}, which is to be hidden, and "
            f"is not known here; set {missing[0]}, or wait until the trial has ended"
        )
    return program.command.secrets(os.environ)


class PrintedLog:
    """What is new in a log, each time it is asked for; without secrets."""

    def __init__(self, path: Path, secrets: Sequence[str]) -> None:
        self._path, self._secrets = path, secrets
        self._file: IO[bytes] | None = None
        self._begun = b""  # of a line that may have the beginning of a secret
        self._lines = 0  # that are whole

    def news(self, *, is_over: bool) -> bytes:
        """What came since the last call; of what may have a secret, whole lines alone, unless that is all of it."""
        self._open()
        new = self._begun + (self._file.read() if self._file else b"")
        if is_over and self._file:
            self._file.close()
        end = len(new) if is_over or not self._secrets else new.rfind(b"\n") + 1
        new, self._begun = new[:end], new[end:]
        self._lines += new.count(b"\n")
        text = new.decode(errors="surrogateescape")
        return hidden(text, self._secrets).encode(errors="surrogateescape") if self._secrets else new

    def _open(self) -> None:
        """Open the log, or another one in its place; one that has gone is read to its end."""
        try:
            there = self._path.stat()
        except OSError:
            return
        if self._file is None:
            with suppress(OSError):
                self._file = opened(self._path)
            return
        known = os.fstat(self._file.fileno())
        if known.st_ino != there.st_ino or there.st_size < self._file.tell():  # hidden secrets have other lengths
            self._file.close()
            self._file, self._begun = opened(self._path), b""
            for _ in range(self._lines):
                self._file.readline()
