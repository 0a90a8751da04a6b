"""Follows a store of MLflow's in a folder, which belongs to one trial.

Such a store is made of files, which MLflow appends to at each call: `<experiment>/<run>/metrics/<name>` has a line
`<milliseconds> <value> <step>` for each value. Recent versions make one only with
`MLFLOW_ALLOW_FILE_STORE=true` in the environment. A new SQLite store would take a script two seconds.
"""

import os
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from orchestrator.programs.logged import ArtifactLogged, Logged, Message, Noted
from orchestrator.system.regular import opened

APART = 0.1  # seconds within which what one call logs is in its files
OF_MLFLOW = "mlflow."  # how the names of its own tags begin
NO_RUNS = {"models", "traces", "datasets", "tags"}  # folders of an experiment
Point = tuple[int, int, str, str, float]  # milliseconds, step, run, metric, value


class MlflowStore:
    """Reads what is new in a store; one that is not there yet is empty.

    The first call of `poll` returns what an earlier attempt has left. All runs of the store count as one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, int] = {}  # bytes, by file
        self._noted: dict[str, tuple[int, int]] = {}  # when params and tags were written, and their size
        self._points: list[Point] = []
        self._at_zero: set[tuple[str, str]] = set()  # runs and metrics that have had a value at step 0

    def poll(self) -> list[Message]:
        """What is new, apart from what a call may be about to write."""
        return self._new(time.time() - APART)

    def end(self) -> list[Message]:
        """What is left when the program has ended, and the artifacts."""
        return [*self._new(float("inf")), *self._artifacts()]

    def _new(self, until: float) -> list[Message]:
        noted: list[Message] = []
        for run in self._runs():
            self._points += self._new_points(run)
            if tags := {**self._new_texts(run / "params"), **self._new_texts(run / "tags")}:
                noted.append(Noted("mlflow", tags))
        ready = [point for point in self._points if point[0] / 1000 <= until]
        self._points = [point for point in self._points if point[0] / 1000 > until]
        return [*noted, *self._calls(ready)]

    def _runs(self) -> Iterator[Path]:
        for experiment in _folders(self._folder):
            yield from (run for run in _folders(experiment) if run.name not in NO_RUNS)

    def _new_points(self, run: Path) -> Iterator[Point]:
        metrics = run / "metrics"
        for entry in _files(metrics):
            name = os.path.relpath(entry.path, metrics)
            for line in self._new_lines(entry):
                with suppress(ValueError):  # some other version's line
                    at, value, step = line.split()[:3]
                    yield int(at), int(step), run.name, name, float(value)

    def _new_lines(self, entry: os.DirEntry[str]) -> list[str]:
        """The lines that are new in a file, without one that is being written; none of a file that is gone."""
        path, whole, newline = entry.path, b"", b""
        with suppress(OSError):
            if entry.stat().st_size <= self._read.get(path, 0):
                return []
            with opened(Path(path)) as file:
                file.seek(self._read.get(path, 0))
                whole, newline, _ = file.read().rpartition(b"\n")
        self._read[path] = self._read.get(path, 0) + len(whole) + len(newline)
        return whole.decode(errors="replace").splitlines()

    def _new_texts(self, folder: Path) -> dict[str, str]:
        """The files that are new or were written again: their names in the folder, and what is in them."""
        texts = {}
        for entry in _files(folder):
            name = os.path.relpath(entry.path, folder)
            with suppress(OSError):  # such as a tag that was deleted meanwhile
                stat = entry.stat()
                written = (stat.st_mtime_ns, stat.st_size)
                if not name.startswith(OF_MLFLOW) and written != self._noted.get(entry.path):
                    with opened(Path(entry.path)) as file:
                        texts[name] = file.read().decode(errors="replace")
                    self._noted[entry.path] = written
        return texts

    def _calls(self, points: list[Point]) -> Iterator[Logged]:
        """Values of one time and one step were logged by one call; but none of them twice."""
        calls: dict[tuple[int, int, str, int], dict[str, float]] = defaultdict(dict)
        for at, step, run, name, value in points:
            again = 0
            while name in calls[at, step, run, again]:
                again += 1
            calls[at, step, run, again][name] = value
        for (at, step, run, _), metrics in sorted(calls.items(), key=lambda call: (call[0][0], call[0][3])):
            yield Logged("mlflow", metrics, self._step(step, run, metrics), at / 1000)

    def _step(self, step: int, run: str, metrics: dict[str, float]) -> int | None:
        """The step of a call; None where a metric is at 0 again, which stands for a call that names none."""
        if step != 0:
            return step
        known = {(run, name) for name in metrics}
        is_again = bool(known & self._at_zero)
        self._at_zero |= known
        return None if is_again else 0

    def _artifacts(self) -> Iterator[ArtifactLogged]:
        """What lies in the folders of artifacts. Of two of the same name, the later run's gets its run in its name."""
        names: set[str] = set()
        for run in self._runs():
            for path in _entries(run / "artifacts"):
                name = path.name if path.name not in names else f"{run.name}/{path.name}"
                names.add(name)
                yield ArtifactLogged("mlflow", str(path), name)
        for experiment in _folders(self._folder):
            for model in _folders(experiment / "models"):
                yield ArtifactLogged("mlflow", str(model / "artifacts"), f"models/{model.name}")


def _entries(folder: Path) -> list[Path]:
    """What is in a folder that may not be there, the oldest first."""
    try:
        return sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    except OSError:
        return []


def _folders(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if path.is_dir() and not path.name.startswith(".")]


def _files(folder: Path) -> Iterator[os.DirEntry[str]]:
    """The files in a folder and below; links lead elsewhere."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path))
        elif entry.is_file(follow_symlinks=False):
            yield entry
