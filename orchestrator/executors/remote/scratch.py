"""Where an agent has the folders of its trials, on its own disk. Those of agents that were killed are removed."""

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

LOCK = "agent.lock"
_held: dict[Path, int] = {}


def made() -> Path:
    """A folder of this process's own; what others have left behind goes."""
    base = Path(tempfile.gettempdir()) / f"vae-sweeps-agents-{os.getuid()}"
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    for other in base.iterdir():
        if (lock := _locked(other)) is not None:
            shutil.rmtree(other, ignore_errors=True)
            os.close(lock)
    folder = Path(tempfile.mkdtemp(prefix="new-", dir=base))  # unlocked, and so another may remove it
    with suppress(OSError):
        (folder / LOCK).touch()
    lock = _locked(folder)
    if lock is None:
        return made()
    _held[folder] = lock
    return folder


def remove(folder: Path) -> None:
    """Give a folder back."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(KeyError):
        os.close(_held.pop(folder))


def _locked(folder: Path) -> int | None:
    """The lock of a folder, or None where its process lives."""
    with suppress(OSError):
        lock = os.open(folder / LOCK, os.O_RDWR)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return None
        if (folder / LOCK).exists():
            return lock
        os.close(lock)  # removed meanwhile, by who had the lock
    return None
