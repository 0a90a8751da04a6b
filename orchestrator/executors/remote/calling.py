"""An agent's link to its orchestrator, which it dials again whenever it is cut."""

import math
import os
import select
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection

from orchestrator.executors.remote.greeting import Address, RefusedError, UnreachableError, dial
from orchestrator.executors.remote.link import Link
from orchestrator.executors.remote.messages import Leave, Letter, Renew

SECONDS_OF_DOUBT = 8.0  # sooner than any engine gives a machine up
SECONDS_TO_STAND_STILL = SECONDS_OF_DOUBT + 4.0  # in which an agent does so that can be reached no more
SECONDS_OF_SILENCE = 20.0  # after which a connection counts as cut
SECONDS_BETWEEN_CALLS = 1.0
SECONDS_ALONE = 900.0  # without an orchestrator; then it is over
SECONDS_TO_REACH = 60.0  # it, for the first time: later, there has been a way


class SupersededError(Exception):
    """The orchestrator has something to say first: the attempt that is being served may be over."""


class CalledLink(Link):
    """The agent's end.

    Args:
        address: of the orchestrator.
        name: of the agent.
    """

    def __init__(self, address: Address, name: str) -> None:
        super().__init__()
        self._address = address
        self._name = name
        self._called = 0.0
        self._reach_until = time.monotonic() + SECONDS_TO_REACH

    def wait(self, ends: Sequence[Connection | int], seconds: float) -> None:
        """Wait for something to do, here or at other ends, and move what goes over the link.

        Raises:
            RefusedError: the agent is not wanted any more, or nobody answers for long.
            UnreachableError: it has never been reached.
        """
        self._connect()
        own = [] if self.connection is None else [self.connection.fileno()]
        writing = own if self.wants_to_write else []
        seconds = seconds if own else min(seconds, SECONDS_BETWEEN_CALLS)
        select.select([*own, sys.stdin.fileno(), *ends], writing, [], seconds)
        self.pump()

    @property
    def is_in_doubt(self) -> bool:
        """Whether the orchestrator may have given this agent up: it has left, or was silent for longer than ever."""
        return self.connection is None or time.monotonic() - self.heard > SECONDS_OF_DOUBT

    def send_in_turn(self, letter: Letter) -> None:
        """Send a letter, once there is room for it.

        Raises:
            RefusedError: as for `wait`, or whoever has started the agent has ended.
            SupersededError: while there was none, the orchestrator has said that something else is to be done.
        """
        if self.connection is not None:  # each side is to hear the other, however much there is to send
            self.wait([], 0.0)
        while not self.has_room:
            self.wait([], SECONDS_BETWEEN_CALLS)
            if is_orphan():
                raise RefusedError("whoever has started this has ended")
            heard = (Letter.decode(sent).message for sent in self.waiting())
            if any(isinstance(message, Renew | Leave) for message in heard):
                raise SupersededError
        self.send(letter.encode())

    def _connect(self) -> None:
        now = time.monotonic()
        if self.connection is not None and now - self.heard > SECONDS_OF_SILENCE:
            self.detach()
        if self.connection is not None or now - self._called < SECONDS_BETWEEN_CALLS:
            return
        if now - self.heard > SECONDS_ALONE:
            raise RefusedError("nobody answers any more")
        self._called = now
        try:
            dial(self._address, self._name, self)
        except UnreachableError:
            if now > self._reach_until:
                raise
        except (OSError, ValueError, KeyError):  # somebody was there
            self._reach_until = math.inf
        else:
            self._reach_until = math.inf


def is_orphan() -> bool:
    """Whether whoever has started this process, and holds the other end of its input, has ended."""
    ready, _, _ = select.select([sys.stdin], [], [], 0)
    return bool(ready) and not os.read(sys.stdin.fileno(), 4096)
