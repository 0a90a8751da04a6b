"""A process beside a worker: the parent of its programs, which leaves nothing of them, also when the worker dies.

An order is a line of JSON: a program to start, or null, to kill what is left of it. So is an answer: the program's pid,
or why it cannot be started; once it has ended, its status, negative for a signal, and the most memory that it took, in
bytes; null once nothing of it is left. When there is nothing more to read, the worker is dead: what runs is killed.
"""

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from orchestrator.programs.processes import CHANNEL, kill_all
from orchestrator.system import descendants
from orchestrator.system.regular import opened

WORKER = 0  # the file descriptor of a socket
MOST_AT_ONCE = 2**20  # bytes
KILOBYTE = 1 if sys.platform == "darwin" else 1024  # what systems count the memory of ended processes in


class _Watch:
    """Over one program at a time, and all that descends from it."""

    def __init__(self) -> None:
        self._pid = 0  # of the program, while it runs
        self._channel = ""
        self._adopts = descendants.adopt_orphans()

    def obey(self, order: Any) -> None:
        """Do what the worker asks for."""
        if order is None:
            self.clear()
            _answer(None)
        else:
            self._start(**order)

    def _start(self, arguments: list[str], folder: str, environment: dict[str, str], log: str) -> None:
        self._channel = environment.get(CHANNEL, "")
        try:
            with opened(Path(log), "ab") as output:
                process = subprocess.Popen(
                    arguments,
                    cwd=folder,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as error:
            _answer({"error": [error.errno, error.strerror, error.filename]})
            return
        except ValueError as error:  # an argument with a null byte
            _answer({"error": [0, str(error), arguments[0]]})
            return
        process.returncode = 0  # it is reaped here
        self._pid = process.pid
        _answer({"pid": process.pid})

    def reap(self) -> bool:
        """Take note of processes that have ended; returns whether any is left."""
        try:
            while True:
                pid, status, used = os.wait4(-1, os.WNOHANG)
                if pid == 0:
                    return True
                if pid == self._pid:
                    self._pid = 0
                    _answer({"status": os.waitstatus_to_exitcode(status), "memory": used.ru_maxrss * KILOBYTE})
        except ChildProcessError:
            return False

    def clear(self) -> None:
        """Kill the program, and whatever it has started."""
        if self.reap():
            descendants.kill_all(os.getpid())
            self.reap()
        if not self._adopts and self._channel:  # some may have left their parents
            kill_all(self._channel, variable=CHANNEL)


def serve() -> None:
    """Live as a guard, until the worker ends or dies."""
    awake, wake = os.pipe()
    for end in (awake, wake):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the worker ignores it, and what is started here would do so, too
    watch, begun = _Watch(), b""
    while True:
        ready, _, _ = select.select([WORKER, awake], [], [])
        if awake in ready:
            os.read(awake, MOST_AT_ONCE)
            watch.reap()
        if WORKER in ready:
            sent = _read()
            if not sent:
                break
            *lines, begun = (begun + sent).split(b"\n")
            for line in lines:
                watch.obey(json.loads(line))
    watch.clear()


def _answer(answer: Any) -> None:
    try:
        os.write(WORKER, json.dumps(answer).encode() + b"\n")
    except OSError:  # the worker is dead, which the next look at its orders shows
        return


def _read() -> bytes:
    try:
        return os.read(WORKER, MOST_AT_ONCE)
    except ConnectionResetError:  # the worker has died with an answer unread
        return b""
