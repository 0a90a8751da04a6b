"""The processes of a program do not outlive its trial, whatever becomes of those that watch over them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import processes
import psutil
import pytest

from orchestrator.programs.processes import CHANNEL, WORKDIR, Guard, ProgramProcess, kill_all

STARTS_ANOTHER = """
import subprocess, time
print(subprocess.Popen(["sleep", "600"], start_new_session=True).pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[ProgramProcess]:
    """A program, whose log has the id of a process that it has started in a session of its own."""
    environment = {**os.environ, WORKDIR: str(tmp_path), CHANNEL: str(tmp_path)}
    process = ProgramProcess([sys.executable, "-c", STARTS_ANOTHER], tmp_path, environment, tmp_path / "log.txt")
    yield process
    process.close()


def until(is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.01)
    return is_so()


def started_by(log: Path) -> int:
    assert until(lambda: log.read_text().endswith("\n"))
    return int(log.read_text())


def test_what_a_program_has_started_in_another_session_ends_with_it(tmp_path: Path, program: ProgramProcess) -> None:
    other = started_by(tmp_path / "log.txt")
    program.close()
    assert processes.all_gone([program.pid, other])


def test_a_process_of_another_trial_is_left_alone(tmp_path: Path, program: ProgramProcess) -> None:
    kill_all(str(tmp_path / "another"))
    assert program.status is None


def test_a_guard_that_was_killed_is_replaced(tmp_path: Path, program: ProgramProcess) -> None:
    guard = Guard()
    guard.watch(str(tmp_path))
    first = guard.pid
    os.kill(first, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(first)], timeout=30)
    guard.keep()
    assert guard.pid != first
    guard.close()
    assert until(lambda: program.status == -signal.SIGKILL)


GUARDED = """
import os, sys
from orchestrator.programs.processes import Guard
guard = Guard()
guard.watch(sys.argv[1])
os.kill(guard.pid, 9)
os.waitid(os.P_PID, guard.pid, os.WEXITED | os.WNOWAIT)
guard.keep()
os.kill(os.getpid(), 9)
"""


def test_the_processes_of_a_trial_die_with_its_worker_also_where_its_guard_was_killed_before(
    tmp_path: Path, program: ProgramProcess
) -> None:
    other = started_by(tmp_path / "log.txt")
    subprocess.run([sys.executable, "-c", GUARDED, str(tmp_path)], check=False)
    assert until(lambda: program.status == -signal.SIGKILL)
    assert processes.all_gone([other])
