"""Numbered messages between a job and its orchestrator: none is lost or doubled where their connection is cut.

Each carries its number and that of the last one that its sender has got. What the other side has not got is kept, and
sent again over the next connection.
"""

import struct
import time
from collections import deque

from orchestrator.executors.slurm.wire import Wire

HEAD = struct.Struct("!QQ")  # number, 0 where nothing but the second is said; number of the last one that was got
SECONDS_BETWEEN_SIGNS = 10.0  # of life, where there is nothing to say
SECONDS_OF_SILENCE = 60.0  # after which a connection is taken to be cut


class Post:
    """One side of it."""

    def __init__(self) -> None:
        self.got = 0  # the number of the last message from the other side
        self._number = 0  # of the last one that was sent
        self._kept: deque[tuple[int, bytes]] = deque()
        self._wire: Wire | None = None
        self._said = self._heard = 0.0

    @property
    def wire(self) -> Wire | None:
        """The connection, where there is one."""
        return self._wire

    def connect(self, wire: Wire, has_got: int) -> None:
        """Go on over a connection.

        Args:
            wire: to the other side, which has said hello.
            has_got: the number of the last message that it has.
        """
        self.disconnect()
        self._wire = wire
        self._said = self._heard = time.monotonic()
        self._forget(has_got)
        for number, message in self._kept:
            self._send(number, message)

    def disconnect(self) -> None:
        """Go on without one."""
        if self._wire:
            self._wire.close()
        self._wire = None

    def put(self, message: bytes) -> None:
        """Send a message, now or over the next connection."""
        self._number += 1
        self._kept.append((self._number, message))
        self._send(self._number, message)

    def take(self) -> list[bytes]:
        """The messages that have come since."""
        if self._wire is None:
            return []
        frames = self._wire.received()
        found = []
        for frame in frames:
            number, has_got = HEAD.unpack_from(frame)
            self._forget(has_got)
            if number == self.got + 1:
                self.got = number
                found.append(frame[HEAD.size :])
        if frames:
            self._heard = time.monotonic()
        if found:
            self._send(0)
        self._look_after()
        return found

    @property
    def has_more_to_send(self) -> bool:
        """Whether the network has not taken all that there is to send."""
        return self._wire is not None and self._wire.has_more_to_send

    @property
    def is_delivered(self) -> bool:
        """Whether the other side has all that was sent."""
        return not self._kept

    def _look_after(self) -> None:
        """Say that this side lives; end a connection that is cut."""
        now = time.monotonic()
        if self._wire is None:
            return
        if self._wire.closed or now - self._heard > SECONDS_OF_SILENCE:
            self.disconnect()
        elif now - self._said > SECONDS_BETWEEN_SIGNS:
            self._send(0)
        else:
            self._wire.flush()

    def _send(self, number: int, message: bytes = b"") -> None:
        if self._wire:
            self._said = time.monotonic()
            self._wire.send(HEAD.pack(number, self.got) + message)

    def _forget(self, has_got: int) -> None:
        while self._kept and self._kept[0][0] <= has_got:
            self._kept.popleft()
