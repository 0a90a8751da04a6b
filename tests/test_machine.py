import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.system import machine
from orchestrator.system.machine import Shares, share

GIB = 2**30


@pytest.fixture(autouse=True)
def of_eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_cores", lambda: 8)
    monkeypatch.setattr(machine, "_gpus", tuple)
    monkeypatch.setattr(machine, "_memory", lambda: 64 * GIB)


@pytest.mark.parametrize(
    ("trials", "workers", "shares"),
    [
        (100, None, Shares(8, 1, ())),
        (3, None, Shares(3, 2, ())),
        (1, None, Shares(1, 8, ())),
        (100, 4, Shares(4, 2, ())),
        (100, 16, Shares(16, 1, ())),
    ],
)
def test_cores_are_shared_by_as_many_workers_as_can_be_busy(trials: int, workers: int | None, shares: Shares) -> None:
    assert share(trials, workers) == shares


@pytest.mark.parametrize(("asked", "threads"), [("1", 1), ("3", 3), ("0", 2), ("", 2), ("4,2", 2)])
def test_a_worker_has_the_threads_that_the_environment_asks_for(
    monkeypatch: pytest.MonkeyPatch, asked: str, threads: int
) -> None:
    monkeypatch.setattr(machine, "ASKED", asked)
    assert share(100, 4) == Shares(4, threads, ())


def test_the_environment_is_read_as_the_launch_begins() -> None:
    code = "from orchestrator.system import machine; print(machine.share(1, 1).threads)"
    environment = {**os.environ, "OMP_NUM_THREADS": "5"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "5\n"


def test_there_are_no_more_workers_than_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_memory", lambda: 4 * GIB)
    assert share(100, None) == Shares(3, 2, ())
    monkeypatch.setattr(machine, "_memory", lambda: GIB // 2)
    assert share(100, None) == Shares(1, 8, ())


def test_a_container_has_the_memory_that_it_may_use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(machine, "MEMORY_LIMIT", tmp_path / "memory.max")
    whole = machine._memory()
    (tmp_path / "memory.max").write_text("12345678\n")
    assert machine._memory() == 12345678 < whole
    (tmp_path / "memory.max").write_text("max\n")
    assert machine._memory() == whole


def test_each_gpu_has_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_gpus", lambda: ("a", "b"))
    assert share(100, None) == Shares(2, 4, ("a", "b"))


@pytest.mark.parametrize(
    ("content", "cores"), [("250000 100000\n", 2), ("50000 100000", 1), ("max 100000", 8), (None, 8)]
)
def test_a_container_has_the_cores_that_it_may_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None, cores: int
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(8))
    monkeypatch.setattr(machine, "CPU_QUOTA", tmp_path / "cpu.max")
    if content is not None:
        (tmp_path / "cpu.max").write_text(content)
    assert machine._cores() == cores


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_glibc_takes_the_settings() -> None:
    assert machine.keep_freed_memory()
