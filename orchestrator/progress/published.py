"""The status of a launch in a file beside its lock: other terminals read it without MLflow, which takes seconds."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from orchestrator.progress.status import Status
from orchestrator.spec import SweepSpec
from orchestrator.system import regular
from orchestrator.workspace import Workspace

if TYPE_CHECKING:
    from orchestrator.progress.live import LiveProgress  # whoever reads needs nothing of it

SECONDS_BETWEEN_WRITES = 0.5
SECONDS_FOR_LAST_WRITE = 1.0  # after these the file system hangs, and the launch ends without it
SECONDS_CURRENT = 5.0  # an older one is of a launch that stands still, and may have lost its sweep meanwhile


@dataclass(frozen=True)
class _Published:
    holder: Mapping[str, Any]  # the launch, as it stands beside the lock
    file: str  # what it runs
    status: Status


_published = TypeAdapter(_Published)


@contextmanager
def published(
    workspace: Workspace, spec: SweepSpec, progress: "LiveProgress", is_aside: Callable[[], bool]
) -> Iterator[None]:
    """A context in which the status of a launch can be read elsewhere, once it has begun.

    Args:
        workspace: that the launch holds.
        spec: what it runs.
        progress: of the launch.
        is_aside: whether its trials are others than those that the status of the sweep is about.
    """
    ended, path, file = threading.Event(), workspace.status_file, _digest(spec)
    regular.remove(path)  # of a launch that was killed

    def write() -> None:
        while not ended.wait(SECONDS_BETWEEN_WRITES):
            with suppress(Exception):  # whatever it is, the launch does without: others look into the store
                if progress.is_whole and not is_aside():
                    told = _Published(workspace.holder, file, progress.status())
                    regular.replace(path, to_json(told, inf_nan_mode="constants"))

    thread = threading.Thread(target=write, name="status", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(SECONDS_FOR_LAST_WRITE)
        if not thread.is_alive():
            regular.remove(path)


def status(uri: str, sweep: str, spec: SweepSpec | None = None) -> Status | None:
    """The status of a sweep that a launch on this machine tells; None where only the store can tell it.

    Args:
        uri: of the store.
        sweep: its name.
        spec: the file whose trials alone are looked at; None: all of the sweep.
    """
    workspace = Workspace(uri, sweep)
    path = workspace.status_file
    with suppress(OSError, ValidationError):  # none, or of another version
        written = path.stat().st_mtime
        told = _published.validate_json(regular.content(path))
        is_current = abs(time.time() - written) < SECONDS_CURRENT and told.holder == workspace.holder
        if is_current and (spec is None or told.file == _digest(spec)) and workspace.is_held():
            return told.status
    return None


def _digest(spec: SweepSpec) -> str:
    """What tells a file with what `--set` gave to it from others."""
    return hashlib.sha256(repr((spec.source.text, sorted(spec.overrides))).encode()).hexdigest()
