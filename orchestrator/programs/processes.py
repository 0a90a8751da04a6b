"""The processes of a program: started in a session of their own, asked to end, and never left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

WORKDIR = "SWEEP_WORKDIR"  # the environment variable by which all processes of a trial are known
CHANNEL = "SWEEP_CHANNEL"  # the one by which those of an attempt are
SECONDS_BETWEEN_LOOKS = 0.01
SECONDS_OF_A_PID = 60.0  # before the same number may be that of another process
SECONDS_TO_DIE = 10.0  # what hangs in a driver or on a disk does not
GUARD = Path(__file__).with_name("guard.py")


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
        self._since, self._others = time.monotonic(), {*psutil.pids()}
        with log.open("ab") as output, _default_interrupt():
            self._process = subprocess.Popen(
                arguments,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid = self._process.pid
        self._end: int | None = None
        with suppress(AttributeError, OSError):  # macOS and old kernels have none
            self._end = os.pidfd_open(self.pid)

    @property
    def status(self) -> int | None:
        """What it has ended with, negative for a signal; None while it runs."""
        return self._process.poll()

    def filenos(self) -> list[int]:
        """What becomes readable when it ends; nothing where the system has no such thing."""
        return [] if self._end is None else [self._end]

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
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        is_young = time.monotonic() - self._since < SECONDS_OF_A_PID
        kill_all(self.workdir, self._others if is_young else ())
        if self._end is not None:
            os.close(self._end)
            self._end = None


def living(value: str, others: Collection[int] = (), variable: str = WORKDIR) -> Iterator[psutil.Process]:
    """The processes in whose environment a variable has this value, but for those that are known to be others."""
    for pid in psutil.pids():
        if pid in others:
            continue
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            if process.environ().get(variable) == value and process.pid != os.getpid():
                yield process


def kill_all(value: str, others: Collection[int] = (), variable: str = WORKDIR) -> None:
    """Kill these processes, also those that are born meanwhile."""
    deadline = time.monotonic() + SECONDS_TO_DIE
    while (left := [*living(value, others, variable)]) and time.monotonic() < deadline:
        for process in left:
            with suppress(psutil.Error):
                process.kill()
        time.sleep(SECONDS_BETWEEN_LOOKS)


class Guard:
    """A process that kills the processes of an attempt when this one dies, by whatever signal.

    The next attempt at the same trial may have begun before it comes to that, and is left alone.
    """

    def __init__(self) -> None:
        self._channel = ""
        self._process = self._started()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def watch(self, channel: str | None) -> None:
        """From now on the attempt with this channel is the one that runs here; None: no attempt does."""
        self._channel = channel or ""
        if self._process.poll() is not None:  # somebody has killed it
            self.close()
            self._process = self._started()
        if self._process.stdin is not None:
            with suppress(OSError):  # it has just been killed, and is seen to by the next call
                self._process.stdin.write(f"{self._channel}\n")
                self._process.stdin.flush()

    def keep(self) -> None:
        """See that it is there."""
        if self._process.poll() is not None:
            self.watch(self._channel)

    def close(self) -> None:
        """End it, as where this process dies."""
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
        self._process.wait()

    def _started(self) -> subprocess.Popen[str]:
        arguments = [sys.executable, "-I", str(GUARD)]
        environment = {name: value for name, value in os.environ.items() if name not in (WORKDIR, CHANNEL)}
        return subprocess.Popen(arguments, stdin=subprocess.PIPE, env=environment, start_new_session=True, text=True)


@contextmanager
def _default_interrupt() -> Iterator[None]:
    """A worker ignores SIGINT, and what is started then would ignore it as well."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
