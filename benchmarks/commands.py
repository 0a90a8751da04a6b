"""Whole commands and what they take, in a pipe or in a terminal; and the sweep of trials that do nothing."""

import os
import pty
import shutil
import sqlite3
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from measuring import ROOT

BENCHMARKS = ROOT / "benchmarks"
SWEEP = str(Path(sys.executable).with_name("sweep"))
EPOCHS, METRICS = 50, 4
WIDE = "wide.yaml"  # the sweep of trials with many parameters
WORKERS = 2
TERMINAL_SIZE = (40, 120)
BYTES_OF_MAXRSS = 1 if sys.platform == "darwin" else 1024
OF_THE_CALLER = {"MLFLOW_TRACKING_URI", "COLUMNS", "NO_COLOR", "FORCE_COLOR", "PYTHONPATH"}
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in OF_THE_CALLER} | {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "TERM": "xterm-256color",
}


class Ended(NamedTuple):
    """What a command took: seconds from its start to its end, bytes of memory at its peak, seconds of processors."""

    seconds: float
    peak: int
    processor: float


def run(command: Sequence[str], folder: Path, *, terminal: bool = False) -> Ended:
    """Run a command in a folder to its end, its output read as fast as it comes."""
    ours, theirs = pty.openpty() if terminal else os.pipe()
    if terminal:
        termios.tcsetwinsize(theirs, TERMINAL_SIZE)
    said: list[bytes] = []
    started = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=folder, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    reader = threading.Thread(target=_read, args=(ours, said))
    reader.start()
    _, status, usage = os.wait4(process.pid, 0)  # of this one child: subprocess tells no child's own memory
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    reader.join()
    os.close(ours)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{b''.join(said).decode()[-2000:]}")
    return Ended(seconds, usage.ru_maxrss * BYTES_OF_MAXRSS, usage.ru_utime + usage.ru_stime)


def _read(source: int, said: list[bytes]) -> None:
    try:
        while part := os.read(source, 65536):
            said.append(part)
    except OSError:  # how a terminal says that nobody writes to it any more
        return


def idle_sweep(folder: Path, trials: int, method: str, *, warm: bool = False) -> str:
    """Write a sweep of trials that do nothing but yield metrics; the name of its file."""
    shutil.copy(BENCHMARKS / "idle.py", folder)
    x = f"values: [{', '.join(map(str, range(trials)))}]" if method == "grid" else "min: 0, max: 1000000000"
    (folder / "idle.yaml").write_text(
        f"trial: idle:train\nmethod: {method}\nrun_cap: {trials}\nmetric: {{name: m0, goal: maximize}}\n"
        f"warm: {str(warm).lower()}\nparameters:\n  epochs: {EPOCHS}\n  metrics: {METRICS}\n  x: {{{x}}}\n"
    )
    return "idle.yaml"


def launch(folder: Path, trials: int, *, terminal: bool, method: str = "grid", warm: bool = False) -> Ended:
    """Launch the sweep of trials that do nothing, or what is left of it."""
    command = [SWEEP, "launch", idle_sweep(folder, trials, method, warm=warm), "--workers", str(WORKERS)]
    return run(command, folder, terminal=terminal)


def write_alone(folder: Path, trials: int) -> Ended:
    """The floor: write the same runs with MLflow's client alone."""
    return run([sys.executable, str(BENCHMARKS / "floor.py"), str(trials), str(EPOCHS), str(METRICS)], folder)


def empty_store(folder: Path) -> Path:
    """A SQLite store with MLflow's schema and nothing in it: making one takes seconds, once in a store's life."""
    write_alone(folder, 0)
    return store(folder)


def store(folder: Path) -> Path:
    """Where every contender keeps its runs."""
    return folder / "mlruns" / "mlflow.db"


def furnish(folder: Path, empty: Path) -> Path:
    """A new folder with an empty store in it."""
    store(folder).parent.mkdir(parents=True)
    shutil.copy(empty, store(folder))
    return folder


def landed(folder: Path, trials: int) -> None:
    """Make sure that all that was to be written is in the store."""
    wanted = (trials, trials * EPOCHS * METRICS)
    with closing(sqlite3.connect(store(folder))) as database:
        (points,) = database.execute("SELECT count(*) FROM metrics WHERE key GLOB 'm[0-9]*'").fetchone()
        (runs,) = database.execute(
            "SELECT count(DISTINCT run_uuid) FROM runs JOIN metrics USING (run_uuid) WHERE status = 'FINISHED'"
        ).fetchone()
    if (runs, points) != wanted:
        raise SystemExit(f"{folder}: the store has {runs} finished runs and {points} points, not {wanted}")
