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

from orchestrator.programs.processes import CHANNEL, WORKDIR, ProgramProcess, kill_all

# each writes the id of a process that sleeps on; the last are of nobody's environment, session or parent
SLEEP = "sh -c 'echo $$; exec /bin/sleep 600'"
LEAVERS = {
    "in another session": f"setsid {SLEEP} & sleep 600",
    "without its environment": f"env -i {SLEEP} & sleep 600",
    "as a daemon": f"(setsid env -i {SLEEP} &) ; sleep 600",
    "as a daemon, and the program ends": f"(setsid env -i {SLEEP} &)",
}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], ProgramProcess]]:
    """Start a line of shell as a program, once the one before has been closed."""
    started = []

    def start(line: str) -> ProgramProcess:
        environment = {**os.environ, WORKDIR: str(tmp_path), CHANNEL: str(tmp_path)}
        started.append(ProgramProcess(["sh", "-c", line], tmp_path, environment, tmp_path / "log.txt"))
        return started[-1]

    yield start
    for program in started:
        program.close()


def until(is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.01)
    return is_so()


def started_by(log: Path) -> int:
    assert until(lambda: log.is_file() and log.read_text().endswith("\n"))
    return int(log.read_text())


@pytest.mark.parametrize("line", LEAVERS.values(), ids=LEAVERS)
def test_nothing_that_a_program_has_started_outlives_it(
    tmp_path: Path, start: Callable[[str], ProgramProcess], line: str
) -> None:
    program = start(line)
    left = started_by(tmp_path / "log.txt")
    assert processes.alive(left)
    program.close()
    assert not processes.alive(left)
    assert program.status is not None


def test_a_process_of_another_trial_is_left_alone(tmp_path: Path, start: Callable[[str], ProgramProcess]) -> None:
    program = start("sleep 600")
    kill_all(str(tmp_path / "another"))
    assert program.status is None


def test_a_program_ends_with_its_guard_and_the_next_one_has_another(
    tmp_path: Path, start: Callable[[str], ProgramProcess]
) -> None:
    program = start(LEAVERS["in another session"])
    left, guard = started_by(tmp_path / "log.txt"), psutil.Process(program.pid).ppid()
    os.kill(guard, signal.SIGKILL)
    assert until(lambda: program.status == -signal.SIGKILL)
    program.close()
    assert processes.all_gone([program.pid, left])
    following = start("exit 3")
    assert until(lambda: following.status is not None)
    assert following.status == 3


WORKER = """
import multiprocessing, os, sys, time
from pathlib import Path
from orchestrator.programs.processes import CHANNEL, WORKDIR, ProgramProcess

def work(folder, line):
    environment = {**os.environ, WORKDIR: folder, CHANNEL: folder}
    program = ProgramProcess(["sh", "-c", line], Path(folder), environment, Path(folder, "log.txt"))
    while program.status is None:
        time.sleep(0.01)

if __name__ == "__main__":
    worker = multiprocessing.get_context("fork").Process(target=work, args=sys.argv[1:])
    worker.start()
    print(worker.pid, flush=True)
    worker.join()
"""


@pytest.mark.parametrize("killed", ["worker", "guard"])
def test_nothing_of_a_program_outlives_its_worker_or_its_guard(tmp_path: Path, killed: str) -> None:
    words = [sys.executable, "-c", WORKER, str(tmp_path), LEAVERS["as a daemon"]]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as launch:
        assert launch.stdout is not None
        worker = int(launch.stdout.readline())
        left = started_by(tmp_path / "log.txt")
        (guard,) = processes.children(worker)
        below = [guard, *processes.children(guard)]
        os.kill({"worker": worker, "guard": guard}[killed], signal.SIGKILL)
        assert processes.all_gone([left, *below])
