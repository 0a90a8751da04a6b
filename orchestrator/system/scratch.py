"""Folders that are needed for a moment. What killed processes have left of theirs goes when the next one is made."""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def scratch() -> Iterator[Path]:
    """An empty folder of this process's own, removed at the end, and by nobody else while the process lives."""
    place = Path(tempfile.gettempdir()) / f"vae-sweeps-{os.getuid()}" / "scratch"
    place.mkdir(parents=True, exist_ok=True)
    _clear(place)
    folder = place / uuid.uuid4().hex[:12]
    lock = _lock_of(folder)
    with lock:
        folder.mkdir()
        try:
            yield folder
        finally:
            _remove(folder)


def _clear(place: Path) -> None:
    """Remove the folders whose processes have died: the operating system has freed their locks."""
    for left in place.glob("*.lock"):
        with suppress(Timeout, OSError), _lock_of(left.with_suffix("")).acquire(blocking=False):
            _remove(left.with_suffix(""))


def _lock_of(folder: Path) -> FileLock:
    return FileLock(folder.with_suffix(".lock"))


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.with_suffix(".lock").unlink(missing_ok=True)
