"""Disks that are full, read-only, or hold a store of another version: one clear line, and afterwards on it goes."""

import os
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from reading import children, outcomes, steps

Command = Callable[..., subprocess.CompletedProcess[str]]

GREEDY = """
from dataclasses import dataclass
from pathlib import Path

@dataclass(frozen=True)
class Config:
    x: float = 1.0
    epochs: int = 8
    seed: int = 0
    chunk: int = 200_000  # bytes that each epoch adds to the checkpoint

def train(config: Config, workdir: Path):
    kept = workdir / "kept"
    content = kept.read_bytes() if kept.exists() else b""
    for epoch in range(len(content) // config.chunk + 1, config.epochs + 1):
        yield {"epoch": epoch, "train_loss": 1.0 / epoch}
        content += b"x" * config.chunk
        new = workdir / "new"
        new.write_bytes(content)
        new.rename(kept)
"""
SWEEP = "name: greedy\ntrial: greedy:train\nparameters: {x: {values: [1, 2]}}"


@contextmanager
def mounted(place: Path, size: int) -> Iterator[None]:
    """A small file system of its own; skips the test where none may be mounted."""
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no file system may be mounted here: {done.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def remount(place: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True)


def says_one_line(done: subprocess.CompletedProcess[str], status: int, words: str) -> None:
    assert done.returncode == status, (done.stdout, done.stderr)
    assert words in done.stderr
    assert done.stderr.startswith("sweep: ")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr + done.stdout


def has_ended_well(store: str) -> None:
    assert set(outcomes(store, "greedy").values()) == {"completed"}
    for run in children(store, "greedy"):
        assert run.info.status == "FINISHED"
        assert steps(store, run, "train_loss") == list(range(1, 9))


@pytest.fixture
def greedy(folder: Path) -> Path:
    (folder / "greedy.py").write_text(GREEDY)
    path = folder / "greedy.yaml"
    path.write_text(SWEEP)
    return path


@pytest.mark.slow
def test_a_sweep_whose_disk_is_full_goes_on_when_there_is_room(
    greedy: Path, command: Command, empty_store: Path
) -> None:
    small = greedy.parent / "small"
    with mounted(small, empty_store.stat().st_size + 1_500_000):
        (small / "mlflow.db").write_bytes(empty_store.read_bytes())
        store = f"sqlite:///{small / 'mlflow.db'}"
        full = command("launch", greedy, "--tracking-uri", store)
        assert full.returncode == 1, (full.stdout, full.stderr)
        assert "No space left on device" in full.stdout + full.stderr or "disk is full" in full.stderr
        assert "Traceback" not in full.stdout + full.stderr
        remount(small, "size=100M")
        assert command("launch", greedy, "--tracking-uri", store).returncode == 0
        has_ended_well(store)


@pytest.mark.slow
def test_a_store_that_may_not_grow_ends_a_sweep_with_a_line(greedy: Path, store: str) -> None:
    limit = (greedy.parent / "mlruns" / "mlflow.db").stat().st_size
    launch = [sys.executable, "-m", "orchestrator", "launch", str(greedy), "--set", "chunk=10"]
    small = subprocess.run(
        launch,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    says_one_line(small, 1, "launch again to resume")
    assert subprocess.run(launch, capture_output=True, timeout=100, check=False).returncode == 0
    has_ended_well(store)


@pytest.mark.slow
def test_a_read_only_file_system_is_said_in_a_line(greedy: Path, command: Command, empty_store: Path) -> None:
    place = greedy.parent / "read-only"
    with mounted(place, 10_000_000):
        (place / "mlflow.db").write_bytes(empty_store.read_bytes())
        store = f"sqlite:///{place / 'mlflow.db'}"
        remount(place, "ro")
        says_one_line(command("launch", greedy, "--tracking-uri", store), 2, "Read-only file system")
        remount(place, "rw")
        assert command("launch", greedy, "--tracking-uri", store).returncode == 0
        has_ended_well(store)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_said_in_a_line(greedy: Path, store: str, command: Command) -> None:
    mlruns = greedy.parent / "mlruns"
    mlruns.chmod(0o555)
    refused = command("launch", greedy)
    mlruns.chmod(0o755)
    says_one_line(refused, 2, "Permission denied")


@pytest.mark.slow
def test_a_store_of_another_version_is_said_in_a_line_and_left_alone(
    greedy: Path, store: str, command: Command
) -> None:
    path = greedy.parent / "mlruns" / "mlflow.db"
    with sqlite3.connect(path) as database:
        (version,) = database.execute("SELECT version_num FROM alembic_version").fetchone()
        database.execute("UPDATE alembic_version SET version_num = 'cafe01'")
    says_one_line(command("launch", greedy), 2, "out-of-date database schema")
    with sqlite3.connect(path) as database:
        database.execute("UPDATE alembic_version SET version_num = ?", [version])
    assert command("launch", greedy).returncode == 0
    has_ended_well(store)
