"""Which process holds a sweep, in a tag of its parent run: known also where somebody has removed the lock."""

import json
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
from mlflow.entities import Run

from orchestrator.errors import AlreadyRunningError
from orchestrator.system.paths import LOCK_FILE, lock_folder, sqlite_path

PROCESS = "sweep.process"
SECONDS_OF_A_CLOCK = 2.0  # by which a process's start, which is counted from the machine's, may differ by look


def tags() -> dict[str, str]:
    """What names this process as the holder."""
    pid = os.getpid()
    return {PROCESS: json.dumps({"host": socket.gethostname(), "pid": pid, "began": psutil.Process(pid).create_time()})}


def check(parent: Run | None, uri: str, sweep: str) -> None:
    """See that no other process of this machine runs the sweep, whose lock this launch has got.

    Raises:
        AlreadyRunningError: one does.
    """
    if parent is None or parent.info.status != "RUNNING":
        return
    lock = lock_folder(uri, sweep) / LOCK_FILE
    with suppress(ValueError, KeyError, TypeError, psutil.Error):
        holder = json.loads(parent.data.tags.get(PROCESS, "{}"))
        if _lives(holder) and _has_open(holder["pid"], lock, unknown=sqlite_path(uri) is not None):
            since = datetime.fromtimestamp(holder["began"]).strftime("%Y-%m-%d %H:%M:%S")
            raise AlreadyRunningError(
                f"this sweep is already running, in process {holder['pid']} on {holder['host']} since {since}; "
                f"its lock {lock} was removed. Wait for it, or end it with `kill {holder['pid']}`, as Ctrl-C would"
            )


def _lives(holder: Mapping[str, Any]) -> bool:
    """Whether it is another process of this machine, which has not ended; its number may be another one's by now."""
    if holder["host"] != socket.gethostname() or holder["pid"] == os.getpid():
        return False
    process = psutil.Process(holder["pid"])
    is_it = abs(process.create_time() - holder["began"]) <= SECONDS_OF_A_CLOCK
    return is_it and process.status() != psutil.STATUS_ZOMBIE


def _has_open(pid: int, lock: Path, *, unknown: bool) -> bool:
    """Whether a process still has the lock, or one of that name that was removed.

    Args:
        pid: of the process.
        lock: its file.
        unknown: what to say where nobody can: of a sweep on a server its lease tells.
    """
    try:
        files = [os.readlink(file) for file in Path(f"/proc/{pid}/fd").iterdir()]  # noqa: PTH115 - these lead nowhere
    except OSError:
        return unknown
    own = os.path.realpath(lock)
    return any(file.removesuffix(" (deleted)") == own for file in files)
