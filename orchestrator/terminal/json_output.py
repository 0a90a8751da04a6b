"""Standard output for programs: documents in lines of their own, and nothing else."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from orchestrator.documents.base import Document

STDOUT, STDERR = 1, 2


class _Output:
    """Where documents go, for the time of a command; a launch writes them from more than one thread."""

    file: TextIO | None = None
    lock = threading.Lock()


@contextmanager
def documents_alone() -> Iterator[None]:
    """For the time of a command: what is printed goes to standard error, by whomever, but for documents."""
    sys.stdout.flush()
    kept = os.dup(STDOUT)
    with os.fdopen(kept, "w", encoding="utf-8", errors="replace") as file, redirect_stdout(sys.stderr):
        os.dup2(STDERR, STDOUT)
        _Output.file = file
        try:
            yield
        finally:
            _Output.file = None
            os.dup2(file.fileno(), STDOUT)


def emit(document: "Document") -> None:
    """Print a document. Where nobody reads any more, nothing is printed, and the command goes on."""
    file = _Output.file or sys.stdout
    with _Output.lock:
        try:
            print(document.line(), file=file, flush=True)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())
