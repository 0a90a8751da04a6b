"""The folder of a sweep's work in flight: one folder a trial, and the lock that keeps a second launch out."""

import json
import os
import socket
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout
from pydantic import TypeAdapter, ValidationError

from orchestrator.errors import AlreadyRunningError, InputError
from orchestrator.functions import TrialFunction
from orchestrator.system import regular
from orchestrator.system.paths import (
    LOCK_FILE,
    artifacts_folder,
    check_own,
    folder_name,
    lock_folder,
    of_servers,
    sqlite_path,
    work_folder,
)
from orchestrator.system.stalling import StalledError, attended
from orchestrator.trial import Params, Proposal, Trial

PROPOSAL_FILE = "proposal.json"
ORIGIN_FILE = "origin.txt"  # the run from whose checkpoint a trial goes on
ANEW_FILE = "anew.txt"  # the run in whose place a trial runs anew
HOLDER_FILE = "launch.json"  # beside the lock: who has it
STATUS_FILE = "status.json"  # beside the lock: how far the launch is
NAME_FILE = "name.txt"  # of a sweep whose folder is not called by its name
OF_NO_TRIAL = (LOCK_FILE, HOLDER_FILE, STATUS_FILE, NAME_FILE)


@dataclass(frozen=True)
class _Note:
    params: Params
    label: str
    proposal: Proposal


_notes = TypeAdapter(_Note)


def is_live(uri: str, sweep: str) -> bool:
    """Whether a launch of the sweep may be at work: for a sweep on a server only its own machine knows."""
    return sqlite_path(uri) is None or Workspace(uri, sweep).is_held()


def sweeps(uri: str) -> list[str]:
    """The names of the sweeps that were launched here, without a look into the store."""
    folders = work_folder(uri).glob("*/")
    return sorted(file.read_text("utf-8") if (file := path / NAME_FILE).is_file() else path.name for path in folders)


def has_others(uri: str, names: Iterable[str]) -> bool:
    """Whether a store may have other sweeps than these: beside a SQLite store, each has left files."""
    if sqlite_path(uri) is None:
        return True
    known = {folder_name(name) for name in names}
    return any(path.name not in known for path in artifacts_folder(uri).glob("*/"))


class Workspace:
    """A sweep's folder in `mlruns/work`, held by one launch at a time. As a context it takes the lock.

    The lock is the operating system's, so that the lock of a dead process does not block.
    """

    def __init__(self, uri: str, sweep: str) -> None:
        self._sweep = sweep
        self.folder = work_folder(uri) / folder_name(sweep)
        self.meeting = lock_folder(uri, sweep)
        self.status_file = self.meeting / STATUS_FILE
        self._holder = self.meeting / HOLDER_FILE
        self._lock = FileLock(self.meeting / LOCK_FILE)

    def __enter__(self) -> "Workspace":
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            check_own(self.meeting)
            self.meeting.mkdir(parents=True, exist_ok=True)
            if self.folder.name != self._sweep:
                (self.folder / NAME_FILE).write_text(self._sweep, encoding="utf-8")
            self._lock.acquire(timeout=1)  # a glance of `is_held` takes a moment
            since = time.strftime("%Y-%m-%d %H:%M:%S")
            who = {"pid": os.getpid(), "host": socket.gethostname(), "since": since, "folder": str(self.folder)}
            self._holder.write_text(json.dumps(who))
        except Timeout as error:
            raise AlreadyRunningError(f"this sweep is already running, {self._where_held()}") from error
        except OSError as error:
            raise InputError(f"{self.folder}: cannot be written ({error.strerror})") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._holder.unlink(missing_ok=True)
        self._lock.release()

    def check_unheld(self) -> None:
        """See that no launch works in this folder whose store is another one: they meet elsewhere.

        Raises:
            AlreadyRunningError: one does: of a sweep of this name.
        """
        on_servers = of_servers().glob(f"*/{self.folder.name}")
        here = [place for place in on_servers if _noted(place).get("folder") == str(self.folder)]
        for place in here if self.folder == self.meeting else [self.folder]:
            try:
                with FileLock(place / LOCK_FILE, timeout=0):
                    pass
            except Timeout as error:
                raise AlreadyRunningError(
                    f"a launch works in {self.folder}, of a sweep of this name in another store"
                ) from error

    def empty(self) -> None:
        """Drop all that trials have left; the folder stays, and what says that somebody holds it."""
        for path in self.folder.iterdir():
            if path.name not in OF_NO_TRIAL:
                regular.remove(path)

    def is_left_behind(self) -> bool:
        """Whether its folder is there, with nothing of a trial in it, and nobody holds it."""
        if not self.folder.is_dir() or self.is_held():
            return False
        return all(path.name in OF_NO_TRIAL for path in self.folder.iterdir())

    def is_held(self) -> bool:
        """Whether a launch is at work here."""
        if not self.meeting.is_dir():
            return False
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            return True
        except OSError:  # somebody else's folder, which may only be read: a launch that was killed looks alive there
            return self._holder.is_file()
        self._lock.release()
        return False

    @property
    def holder(self) -> Mapping[str, Any]:
        """The launch that is at work here, or was the last to be; nothing where none is."""
        return _noted(self.meeting)

    @property
    def log(self) -> Path:
        """What workers print outside trials."""
        return self.folder / "workers.log"

    def of(self, trial: Trial) -> Path:
        """The trial's own folder."""
        return self.folder / trial.trial_key

    def note(self, trial: Trial) -> None:
        """Keep what a search has proposed until MLflow has it; what stands in the place of the folder goes."""
        folder = self.of(trial)
        if folder.is_symlink() or not folder.is_dir():
            regular.remove(folder)
        elif not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            with suppress(OSError):
                folder.chmod(0o700)
        if trial.proposal is None:
            return
        path = folder / PROPOSAL_FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        regular.replace(path, _notes.dump_json(_Note(trial.params, trial.label, trial.proposal)), sync=True)

    def begun(self, function: TrialFunction) -> list[Trial]:
        """The trials of searches that were noted and have not come to an end in MLflow."""
        trials = []
        for path in self.folder.glob(f"*/{PROPOSAL_FILE}"):
            with suppress(ValidationError):  # what a power cut left
                note = _notes.validate_json(regular.content(path))
                trial = function.trial(function.completed(note.params), note.label, note.proposal)
                if trial.trial_key == path.parent.name:  # else of another function, or of another version of it
                    trials.append(trial)
        return trials

    def remove(self, trial: Trial) -> None:
        """Drop what a trial left, once MLflow holds its end."""
        regular.remove(self.of(trial))

    def begin_anew(self, trial_key: str, run_id: str) -> None:
        """Drop what is left of a trial that runs anew in place of this run, once.

        Who has asked for that may have done so elsewhere, where nothing of it was.
        """
        folder = self.folder / trial_key
        if regular.content(folder / ANEW_FILE) != run_id.encode():
            regular.remove(folder)
            folder.mkdir(parents=True, exist_ok=True)  # some file systems keep what is still open
            regular.replace(folder / ANEW_FILE, run_id.encode())

    def clear(self, trials: Iterable[Trial]) -> None:
        """Drop what several trials left.

        Raises:
            StalledError: the file system does not answer.
        """

        def remove() -> None:
            for trial in trials:
                self.remove(trial)

        try:
            attended(remove)
        except StalledError as error:
            raise StalledError(0, f"a folder could not be removed: {error}", str(self.folder)) from error

    def _where_held(self) -> str:
        try:
            holder = _noted(self.meeting)
            return f"in process {holder['pid']} on {holder['host']} since {holder['since']}"
        except KeyError:
            return "in a process that has just started or is about to end"


def _noted(meeting: Path) -> Mapping[str, Any]:
    """Who has the lock in a folder where launches meet; nothing where nobody has."""
    with suppress(OSError, ValueError):
        found = json.loads((meeting / HOLDER_FILE).read_text())
        return found if isinstance(found, dict) else {}
    return {}
