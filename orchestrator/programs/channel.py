"""The worker's end of what a program logs at its source: a socket that the program's processes connect to.

A line is a JSON object: a message's fields, and its class as `kind`. Each line is answered with one newline, for which
the process that sent it waits. NaN and the infinities come as Python's `json` writes them, which JSON itself has not.
"""

import contextlib
import json
import os
import selectors
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast, get_args

from pydantic import TypeAdapter

from orchestrator.programs.logged import Message
from orchestrator.system.scratch import scratch

LONGEST_LINE = 2**20  # bytes; a longer one is dropped
LONGEST_PATH = 103  # bytes of a socket's path, on macOS; Linux takes 107
_KINDS: dict[str, TypeAdapter[Message]] = {kind.__name__: TypeAdapter(kind) for kind in get_args(Message)}


@dataclass(eq=False)
class _Caller:
    """A process that logs: what it has sent of a line that is not whole, and how many lines wait for an answer."""

    connection: socket.socket
    begun: bytearray = field(default_factory=bytearray)
    is_too_long: bool = False
    unanswered: int = 0


class Channel:
    """Receives messages from any number of processes of a program, and holds each one until it is released.

    Args:
        folder: where the socket's own folder is made, unless its path would be too long for a socket: then it is in
            the system's temporary folder.
    """

    def __init__(self, folder: Path) -> None:
        self._contexts = ExitStack()
        self._folder = self._contexts.enter_context(_private_folder(folder))
        self.path = self._folder / "s"
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.setblocking(False)
        self._listener.bind(os.fspath(self.path))
        self._listener.listen(128)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._callers: list[_Caller] = []

    def filenos(self) -> list[int]:
        """What to wait for with `select`; other ones after each call of `receive`. None once it is closed."""
        return [key.fd for key in (self._selector.get_map() or {}).values()]

    def receive(self) -> list[Message]:
        """Everything that has come, in the order of each process, without waiting. What is no message is left out."""
        self._accept()
        ready = [key.data for key, _ in self._selector.select(0) if key.data is not None]
        return [message for caller in ready for message in self._read(caller)]

    def release(self) -> None:
        """Let the processes go on whose calls have been received so far."""
        for caller in [caller for caller in self._callers if caller.unanswered]:
            try:
                caller.connection.send(b"\n" * caller.unanswered)
                caller.unanswered = 0
            except OSError:
                self._drop(caller)

    def close(self) -> None:
        """End the channel: processes that still wait go on, and what they log from now on is not heard."""
        shutil.rmtree(self._folder, ignore_errors=True)  # first: so they know that it has not died
        for caller in [*self._callers]:
            self._drop(caller)
        self._selector.close()
        self._listener.close()
        self._contexts.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # none is left, or the process that connected has gone again
            while True:
                connection, _ = self._listener.accept()
                connection.setblocking(False)
                caller = _Caller(connection)
                self._callers.append(caller)
                self._selector.register(connection, selectors.EVENT_READ, caller)

    def _read(self, caller: _Caller) -> list[Message]:
        messages: list[Message] = []
        for _ in range(64):  # MiB of one process; what is left comes with the next call
            try:
                sent = caller.connection.recv(LONGEST_LINE)
            except BlockingIOError:
                break
            except OSError:
                sent = b""
            if not sent:
                self._drop(caller)
                break
            messages += _messages(caller, sent)
        return messages

    def _drop(self, caller: _Caller) -> None:
        self._selector.unregister(caller.connection)
        self._callers.remove(caller)
        caller.connection.close()


@contextmanager
def _private_folder(folder: Path) -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="c", dir=folder)).absolute()
    if len(os.fsencode(made / "s")) <= LONGEST_PATH:
        yield made
        return
    made.rmdir()
    with scratch() as shorter:
        yield shorter


def _messages(caller: _Caller, sent: bytes) -> list[Message]:
    *ends, rest = sent.split(b"\n")
    found = []
    for end in ends:
        line = bytes(caller.begun + end)
        is_whole = not caller.is_too_long and len(line) <= LONGEST_LINE
        caller.begun.clear()
        caller.is_too_long = False
        caller.unanswered += 1
        if is_whole and (message := _parse(line)):
            found.append(message)
    caller.begun += rest
    if len(caller.begun) > LONGEST_LINE:
        caller.is_too_long = True
        caller.begun.clear()
    return found


def _parse(line: bytes) -> Message | None:
    try:
        said = json.loads(line)
        return _KINDS[cast("str", said.pop("kind"))].validate_python(said)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
