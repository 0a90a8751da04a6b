"""Follows the event files of TensorBoard that a program writes, with whatever library it does so."""

import itertools
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from orchestrator.programs.followers.records import NotARecordError, Scalars, messages, scalars
from orchestrator.programs.logged import Logged

APART = 0.1  # seconds within which calls of the same step belong together
MARK = "events.out.tfevents."  # how their names begin; time, host and, from most libraries, process id follow
SHARE = 0.01  # of the time, which the search for files may take
AT_LEAST = 0.5  # seconds between two searches
MOST_FOLDERS = 2000  # of a search
SKIPPED = {"node_modules", "__pycache__", "site-packages", "wandb", "mlruns"}
OF_A_TIME = re.compile(r"\d{9,}(\.\d+)?|.*\d\d[-_:.]?\d\d[-_:.]\d\d.*")  # names of folders that tell when


class EventFiles:
    """Reads the scalars that are new in the event files of a program.

    Its files are those that its processes have open, those with the id of one of them in their names, and all that lie
    in `own`. A record that is still being written is read later.

    Args:
        pid: The program's process, which may have ended. Its children count.
        folders: Where files are looked for.
        own: A folder where nobody else writes. The first call of `poll` returns what an earlier attempt has left there.
        since: When the program began, in seconds since 1970; None: now.
    """

    def __init__(self, pid: int, folders: Sequence[Path], own: Path, since: float | None = None) -> None:
        self._pid = pid
        self._folders = folders
        self._own = own
        self._pids = {pid}
        self._files: dict[Path, _EventFile] = {}
        self._since = (time.time() if since is None else since) - 1  # file systems have clocks of their own
        self._next_search = 0.0

    def poll(self) -> list[Logged]:
        """What is new, in order of time."""
        if time.monotonic() >= self._next_search:
            self._search()
        return self._new(time.time() - APART)

    def end(self) -> list[Logged]:
        """What is left when the program has ended."""
        self._search()
        return self._new(float("inf"))

    def _new(self, until: float) -> list[Logged]:
        new = [logged for file in self._files.values() for logged in file.read(until)]
        return sorted(new, key=lambda logged: logged.at)

    def _search(self) -> None:
        begun = time.monotonic()
        for path in [*self._open_files(), *self._named_files()]:
            if path not in self._files:
                root = next(iter(self._files), path).parent
                self._files[path] = _EventFile(path, _prefix(path.parent, root))
        ended = time.monotonic()
        self._next_search = ended + max(AT_LEAST, (ended - begun) / SHARE)

    def _open_files(self) -> Iterator[Path]:
        with suppress(psutil.Error):
            program = psutil.Process(self._pid)
            for process in [program, *program.children(recursive=True)]:
                self._pids.add(process.pid)
                with suppress(psutil.Error):
                    yield from (Path(file.path) for file in process.open_files() if _is_event_file(file.path))

    def _named_files(self) -> Iterator[Path]:
        """Those that are not open: some libraries open a file for each record."""
        for path in _event_files(self._own, 0):
            yield path
        for folder in self._folders:
            for path in _event_files(folder, self._since):
                if self._pids & {int(part) for part in path.name.split(".")[4:] if part.isdecimal()}:
                    yield path


class _EventFile:
    """A file, read as far as it is whole."""

    def __init__(self, path: Path, prefix: str) -> None:
        self._path = path
        self._prefix = prefix
        self._read = 0
        self._plugins: dict[str, str] = {}
        self._events: list[Scalars] = []
        self._at_zero: set[str] = set()  # tags that have had a value at step 0
        self._is_broken = False

    def read(self, until: float) -> Iterator[Logged]:
        """What is new, as far as it was logged before a time. A file that turns out to be something else is left."""
        with suppress(OSError):
            if not self._is_broken and self._path.stat().st_size > self._read:
                self._read_events()
        ready = list(itertools.takewhile(lambda event: event.at <= until, self._events))
        del self._events[: len(ready)]
        for event in _together(ready):
            values = {_named(self._prefix, tag): value for tag, value in event.values.items()}
            yield Logged("tensorboard", values, self._step(event), event.at)

    def _read_events(self) -> None:
        with self._path.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        begin = self._read
        try:
            for message, end in messages(data):
                if (event := scalars(message, self._plugins)) is not None:
                    self._events.append(event)
                self._read = begin + end
        except NotARecordError:
            self._is_broken = True

    def _step(self, event: Scalars) -> int | None:
        """The step of values; None where one is at 0 again, which stands for a call that names none."""
        if event.step != 0:
            return event.step
        is_again = bool(self._at_zero & event.values.keys())
        self._at_zero |= event.values.keys()
        return None if is_again else 0


def _together(events: list[Scalars]) -> list[Scalars]:
    """Events with those of the same step that follow them at once: a script logs one metric a call."""
    joined: list[Scalars] = []
    for event in events:
        last = joined[-1] if joined else None
        if last and last.step == event.step and event.at - last.at < APART and not last.values.keys() & event.values:
            joined[-1] = Scalars(last.at, last.step, {**last.values, **event.values})
        else:
            joined.append(event)
    return joined


def _event_files(folder: Path, since: float) -> Iterator[Path]:
    """The event files in a folder and below that were written after a time."""
    for place, folders, names in itertools.islice(os.walk(folder), MOST_FOLDERS):
        folders[:] = [name for name in folders if name not in SKIPPED and not name.startswith(".")]
        for name in filter(_is_event_file, names):
            path = Path(place, name)
            with suppress(OSError):
                if path.stat().st_mtime >= since:
                    yield path.resolve()


def _is_event_file(path: str) -> bool:
    return Path(path).name.startswith(MARK)


def _prefix(folder: Path, root: Path) -> str:
    """What tells the metrics of a folder from those of the first: the way from there, without times."""
    way = Path(os.path.relpath(folder, root)).parts
    return "/".join(part for part in way if part not in ("..", ".") and not OF_A_TIME.fullmatch(part))


def _named(prefix: str, tag: str) -> str:
    """The name of a metric. A folder that repeats the tag is one of `add_scalars`, with the rest as the name."""
    if not prefix:
        return tag
    for begin in (tag, tag.replace("/", "_")):
        if prefix.startswith(begin) and len(prefix) > len(begin):
            return f"{tag}/{prefix[len(begin) :].strip('_/')}"
    return f"{prefix}/{tag}"
