"""The processes of a program: started in a session of their own, asked to end, and never left behind."""

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

import psutil

from orchestrator.system import descendants

WORKDIR = "SWEEP_WORKDIR"  # the environment variable by which all processes of a trial are known
CHANNEL = "SWEEP_CHANNEL"  # the one by which those of an attempt are
SECONDS_BETWEEN_LOOKS = 0.01
SECONDS_TO_DIE = 10.0  # what hangs in a driver or on a disk does not
ROOT = Path(__file__).resolve().parents[2]
GUARD = "import sys; sys.path.insert(0, sys.argv[1]); from orchestrator.programs import guard; guard.serve()"


class Guard:
    """A process that starts programs for this one, one at a time, and kills what is left of them when this one dies."""

    def __init__(self) -> None:
        environment = {name: value for name, value in os.environ.items() if name not in (WORKDIR, CHANNEL)}
        words = [sys.executable, "-I", "-c", GUARD, str(ROOT)]
        self._connection, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(words, stdin=theirs.fileno(), env=environment, start_new_session=True)
        self._answers = self._connection.makefile("rb", buffering=0)  # so that none is in a buffer unseen

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def fileno(self) -> int:
        """What becomes readable with an answer, or when it has died."""
        return self._connection.fileno()

    def order(self, order: Mapping[str, Any] | None) -> bool:
        """Give an order, as `orchestrator.programs.guard` says; returns False where it is dead."""
        try:
            self._connection.sendall(json.dumps(order).encode() + b"\n")
        except OSError:
            return False
        return True

    def answer(self) -> Any:
        """Its next answer, for which this waits.

        Raises:
            EOFError: it is dead.
        """
        try:
            line = self._answers.readline()
        except OSError as error:
            raise EOFError from error
        if not line.endswith(b"\n"):
            raise EOFError
        return json.loads(line)

    def close(self) -> None:
        """End it, as where this process dies."""
        self._answers.close()
        self._connection.close()
        self._process.wait()


class ProgramProcess:
    """A program that runs, with whatever it starts itself. Its output goes to a file.

    Args:
        arguments: of its command line.
        folder: that it runs in.
        environment: of it; `SWEEP_WORKDIR` in it is the trial's own folder.
        log: the file that its output is added to.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path) -> None:
        self.workdir = environment[WORKDIR]
        places = {"folder": str(folder), "log": str(log.absolute())}
        try:
            self._guard, answer = _ordered({"arguments": [*arguments], "environment": {**environment}, **places})
        except EOFError:
            raise OSError(0, "its guard was killed", arguments[0]) from None
        if "error" in answer:
            raise OSError(*answer["error"])
        self.pid: int = answer["pid"]
        self.memory: int | None = None  # the most that it took, in bytes, once it has ended
        self._status: int | None = None
        self._is_guarded = True

    @property
    def status(self) -> int | None:
        """What it has ended with, negative for a signal; None while it runs."""
        while self._status is None and select.select([self._guard], [], [], 0)[0]:
            self._hear()
        return self._status

    def fileno(self) -> int:
        """Becomes readable when it ends."""
        return self._guard.fileno()

    def end(self, grace: float, meanwhile: Callable[[], None]) -> None:
        """Have it end: SIGINT, so that it can save; after half of `grace` seconds SIGTERM; `close` sends SIGKILL.

        Args:
            grace: seconds.
            meanwhile: called again and again while it may still run.
        """
        deadline = time.monotonic()
        for number in (signal.SIGINT, signal.SIGTERM):
            if self.status is not None:
                break
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)
            deadline += grace / 2
            while self.status is None and time.monotonic() < deadline:
                meanwhile()
                time.sleep(SECONDS_BETWEEN_LOOKS)

    def close(self) -> None:
        """Kill what is left of it: itself, and the processes that it has started, whatever session they are in."""
        if self._is_guarded and self._guard.order(None):
            while self._is_guarded and self._hear() is not None:
                pass
        else:
            self._kill()

    def _hear(self) -> Any:
        """The next answer of the guard. If that has been killed, then nothing else can see to the program's end."""
        try:
            answer = self._guard.answer()
        except EOFError:
            self._kill()
            return None
        if answer is not None:
            self._status, self.memory = answer["status"], answer["memory"]
        return answer

    def _kill(self) -> None:
        self._is_guarded = False
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        if parent_process() is not None:  # a worker of programs has no other children
            descendants.kill_all(os.getpid())
            descendants.reap()
        kill_all(self.workdir)
        if self._status is None:
            self._status = -signal.SIGKILL


def living(value: str, variable: str = WORKDIR) -> Iterator[psutil.Process]:
    """The processes in whose environment a variable has this value."""
    for pid in psutil.pids():
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            if process.environ().get(variable) == value and process.pid != os.getpid():
                yield process


def kill_all(value: str, variable: str = WORKDIR) -> None:
    """Kill these processes, also those that are born meanwhile."""
    deadline = time.monotonic() + SECONDS_TO_DIE
    while (left := [*living(value, variable)]) and time.monotonic() < deadline:
        for process in left:
            with suppress(psutil.Error):
                process.kill()
        time.sleep(SECONDS_BETWEEN_LOOKS)


_guards: list[Guard] = []  # of this process: none, or one


def _ordered(order: Mapping[str, Any]) -> tuple[Guard, Any]:
    """Have this process's guard start a program, or another one, where somebody has killed it."""
    if _guards and _guards[0].order(order):
        with suppress(EOFError):
            return _guards[0], _guards[0].answer()
    while _guards:
        dead = _guards.pop()
        atexit.unregister(dead.close)
        dead.close()
    if parent_process() is not None:
        descendants.adopt_orphans()  # where the guard is killed, it falls to the worker to end the program
    _guards.append(Guard())
    atexit.register(_guards[0].close)
    _guards[0].order(order)
    return _guards[0], _guards[0].answer()
