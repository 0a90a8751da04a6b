"""What a program prints: its log."""

import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing import parent_process
from pathlib import Path

from orchestrator.programs.command import hidden
from orchestrator.programs.program import Program
from orchestrator.system.regular import opened

LAST_LINES, LONGEST_END = 5, 64 * 1024  # lines for a reason, and bytes to look for them in


class ProgramLog:
    """The log of a program, in which an attempt before may have written.

    Args:
        path: of the file.
        program: that prints.
        secrets: that are hidden in it.
    """

    def __init__(self, path: Path, program: Program, secrets: Sequence[str]) -> None:
        self.path = path
        self._program, self._secrets = program, secrets
        program.hide_secrets(path)  # what an attempt before could not hide
        self.begin = path.stat().st_size if path.is_file() else 0  # of this attempt, in bytes
        self._shown = self.begin
        self._is_shown = parent_process() is None  # else it is a worker, whose output is the log

    def hidden(self, text: str) -> str:
        """A text without secrets."""
        return hidden(text, self._secrets)

    def hide(self) -> int | None:
        """Take secrets out of what this attempt has printed; returns how long the log is then, if there were any."""
        return self.path.stat().st_size if self._program.hide_secrets(self.path, self.begin) else None

    def echo(self) -> None:
        """Show what is new where this process has a terminal of its own, and does not print into the log."""
        if self._is_shown and (size := self.path.stat().st_size) > self._shown:
            with opened(self.path) as file:
                file.seek(self._shown)
                sys.stdout.write(self.hidden(file.read(size - self._shown).decode(errors="replace")))
                sys.stdout.flush()
            self._shown = size

    def last_lines(self) -> str:
        """The last lines of this attempt that say something, in a line."""
        lines = [line.strip() for line in self.end().split("\n")]
        return " | ".join([line for line in lines if re.search(r"\w", line)][-LAST_LINES:])

    def end(self) -> str:
        """The end of what this attempt has printed, of a length in which a traceback has room."""
        with suppress(OSError), opened(self.path) as file:
            file.seek(max(self.begin, file.seek(0, os.SEEK_END) - LONGEST_END))
            return file.read(LONGEST_END).decode(errors="replace")
        return ""
