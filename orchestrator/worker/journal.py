"""What a trial has reported so far, on disk beside its checkpoint: its epochs, its monitor's states, and its result.

Each line is written before the trial goes on, so what a checkpoint builds on is in the journal. From it a launch
completes what the last launch did not write into MLflow, and a resumed trial is monitored as if never cut off.
"""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from orchestrator.events import AnyEvent, Event, Finished, Points, Progress, Tagged
from orchestrator.system import regular
from orchestrator.system.regular import opened
from orchestrator.trial import Outcome
from orchestrator.worker.monitor import MonitorState

JOURNAL_FILE = "journal.jsonl"
SECONDS_BETWEEN_SYNCS = 10.0  # with the disk
_synced: dict[Path, float] = {}  # when, of the journals that this process writes


@dataclass(frozen=True)
class Entry:
    """An event, and the state of the monitor when it was reported."""

    event: AnyEvent
    memory: MonitorState


_entries: TypeAdapter[Entry] = TypeAdapter(Entry)


def read(workdir: Path) -> list[Entry]:
    """The entries of a trial's journal, no epoch twice; a line that was cut off is left out.

    Of one that is too large to be read, the trial's own doing, there is one entry: that the trial has failed.
    """
    path = workdir / JOURNAL_FILE
    if regular.is_too_large(path):
        size = f"more than {regular.LARGEST >> 20} MiB"
        reason = f"its journal {path} has {size}, and is not read: remove its folder to run it anew"
        return [Entry(Finished(Outcome.FAILED, reason=reason), MonitorState(1, 0, None, {}))]
    return list(_distinct(path))


def write(workdir: Path, event: Event, state: MonitorState) -> None:
    """Add an entry. A killed process loses none; a power cut may cost those of the last seconds, but no result."""
    path = workdir / JOURNAL_FILE
    with opened(path, "ab") as file:
        file.write(_entries.dump_json(Entry(event, state)) + b"\n")
        if event.is_final or time.monotonic() - _synced.setdefault(path, time.monotonic()) > SECONDS_BETWEEN_SYNCS:
            file.flush()
            os.fsync(file.fileno())
            _synced[path] = time.monotonic()
    if event.is_final:
        del _synced[path]


def reopen(workdir: Path) -> bool:
    """Take the end out of the journal of a trial that is to go on; returns whether it has epochs to go on from."""
    entries = [entry for entry in read(workdir) if not entry.event.is_final]
    lines = (_entries.dump_json(entry) + b"\n" for entry in entries)
    regular.replace(workdir / JOURNAL_FILE, b"".join(lines), sync=True)
    return any(isinstance(entry.event, Progress) for entry in entries)


def restart(workdir: Path) -> None:
    """Forget what is there: the trial begins again. The old entries stay beside the journal until the trial ends."""
    path = workdir / JOURNAL_FILE
    with suppress(FileNotFoundError):
        path.replace(path.with_suffix(".before"))


def repair(workdir: Path) -> None:
    """Remove a line that was cut off, so that the next entry begins on a new line."""
    path = workdir / JOURNAL_FILE
    if regular.is_too_large(path):
        return
    regular.clear(path)
    content = regular.content(path)
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with opened(path, "r+b") as file:
            file.truncate(whole)


def _distinct(path: Path) -> Iterator[Entry]:
    seen: set[object] = set()
    for line in regular.content(path).splitlines():
        try:
            entry = _entries.validate_json(line)
        except ValidationError:
            continue
        key = _key(entry.event)
        if key not in seen:
            seen.add(key)
            yield entry


def _key(event: AnyEvent) -> object:
    """What an event shares with another one that says the same again."""
    if isinstance(event, Points | Tagged):
        return repr(event)
    if isinstance(event, Progress):  # an epoch may get a metric later
        return event.epoch, frozenset(event.metrics)
    return getattr(event, "epoch", event.kind)
