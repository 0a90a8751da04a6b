"""A stream of messages between two processes of different machines, in order, over one connection after the other.

Each message has a number. What the other side has not taken yet is kept, and sent again after the connection was cut:
nothing is lost, and nothing comes twice.
"""

import socket
import struct
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress

HEADER = struct.Struct(
    "!IQQ"
)  # length of the payload, number of the message (0: none), number up to which all is taken
MOST_UNDER_WAY = 4 * 2**20  # bytes that the other side has not taken yet
MOST_UNTOLD = 2**18  # bytes that are taken and not acknowledged yet
LONGEST_MESSAGE = 2**26  # bytes
AT_ONCE = 2**18  # bytes of a read
SECONDS_BETWEEN_SIGNS = 3.0


class Frames:
    """Splits what comes through a socket into frames.

    Args:
        longest: payload that is taken, in bytes.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._buffer = bytearray()

    def read(self, connection: socket.socket) -> list[tuple[int, int, bytes]]:
        """All whole frames that have come by now: number, what was taken, payload.

        Raises:
            OSError: the connection is closed or broken, or what comes is no frame.
        """
        for _ in range(16):
            try:
                chunk = connection.recv(AT_ONCE)
            except BlockingIOError:
                break
            if not chunk:
                raise ConnectionResetError("the other side has closed the connection")
            self._buffer += chunk
            if len(chunk) < AT_ONCE:
                break
        found, at = [], 0
        while len(self._buffer) - at >= HEADER.size:
            length, number, taken = HEADER.unpack_from(self._buffer, at)
            if length > self._longest:
                raise ConnectionAbortedError("what comes is not of this program")
            end = at + HEADER.size + length
            if end > len(self._buffer):
                break
            found.append((number, taken, bytes(self._buffer[at + HEADER.size : end])))
            at = end
        del self._buffer[:at]
        return found


class Link:
    """This side's end. Nothing of it blocks."""

    def __init__(self) -> None:
        self.connection: socket.socket | None = None
        self.heard = time.monotonic()  # when the other side last gave a sign of life
        self.taken = 0  # the last message that this side has taken
        self._received = 0
        self._number = 0  # of the last message that was sent
        self._kept: deque[tuple[int, bytes]] = deque()  # what the other side has not taken, as far as is known here
        self._under_way = 0  # bytes of these
        self._untold = 0
        self._inbox: deque[tuple[int, bytes]] = deque()
        self._out = bytearray()
        self._told = time.monotonic()
        self._frames = Frames(LONGEST_MESSAGE)

    @property
    def has_room(self) -> bool:
        """Whether more may be sent than must be."""
        return self._under_way < MOST_UNDER_WAY

    @property
    def wants_to_write(self) -> bool:
        """Whether a connection that can take more is of use."""
        return bool(self._out)

    @property
    def has_message(self) -> bool:
        """Whether `receive` has one."""
        return bool(self._inbox)

    @property
    def is_delivered(self) -> bool:
        """Whether the other side has taken all that was sent."""
        return not self._kept

    @property
    def received(self) -> int:
        """The last message that has come, to be told when a connection is made."""
        return self._received

    def attach(self, connection: socket.socket, received: int) -> None:
        """Go on over a new connection, whose other side has received all messages up to this one."""
        self.detach()
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection, self.heard = connection, time.monotonic()
        self._frames = Frames(LONGEST_MESSAGE)
        for number, message in self._kept:
            if number > received:
                self._write(number, message)

    def detach(self) -> None:
        """Leave the connection, if there is one."""
        if self.connection is not None:
            with suppress(OSError):
                self.connection.close()
        self.connection = None
        self._out.clear()

    def send(self, message: bytes) -> None:
        """Send a message now, or over the next connection."""
        self._number += 1
        self._kept.append((self._number, message))
        self._under_way += len(message)
        if self.connection is not None:
            self._write(self._number, message)
            self.flush()

    def receive(self) -> bytes | None:
        """Take the next message, or None where there is none."""
        if not self._inbox:
            return None
        self.taken, message = self._inbox.popleft()
        self._untold += len(message)
        if self._untold > MOST_UNTOLD:
            self._give_sign()
        return message

    def waiting(self) -> Iterator[bytes]:
        """The messages that `receive` has yet to take."""
        return (message for _, message in self._inbox)

    def pump(self) -> None:
        """Read what has come, and write what can be written."""
        if self.connection is None:
            return
        try:
            for number, taken, message in self._frames.read(self.connection):
                self.heard = time.monotonic()
                self._forget(taken)
                if number > self._received:
                    self._received = number
                    self._inbox.append((number, message))
        except OSError:
            self.detach()
        if time.monotonic() - self._told >= SECONDS_BETWEEN_SIGNS:
            self._give_sign()
        self.flush()

    def flush(self) -> None:
        """Write what the connection takes."""
        while self._out and self.connection is not None:
            try:
                sent = self.connection.send(memoryview(self._out)[:AT_ONCE])
            except BlockingIOError:
                return
            except OSError:
                self.detach()
                return
            del self._out[:sent]

    @property
    def due(self) -> float:
        """When to pump at the latest, for the other side to hear from this one."""
        return self._told + SECONDS_BETWEEN_SIGNS

    def _give_sign(self) -> None:
        if self.connection is not None:
            self._write(0, b"")

    def _write(self, number: int, message: bytes) -> None:
        self._told, self._untold = time.monotonic(), 0
        self._out += HEADER.pack(len(message), number, self.taken) + message

    def _forget(self, taken: int) -> None:
        while self._kept and self._kept[0][0] <= taken:
            self._under_way -= len(self._kept.popleft()[1])
