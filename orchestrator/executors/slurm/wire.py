"""Messages over a socket that never blocks: each comes whole, after its length."""

import socket
import struct
from contextlib import suppress

LENGTH = struct.Struct("!I")
LONGEST = 2**28  # bytes of a message
CHUNK = 2**16
SECONDS_UNTIL_PROBED, SECONDS_BETWEEN_PROBES, PROBES = 20, 5, 4  # of a connection on which nothing is said


class Wire:
    """A connected socket; `closed` says that nothing more can come over it.

    Args:
        connected: the socket, which is this object's from now on.
        longest: bytes of a message; more ends the connection.
    """

    def __init__(self, connected: socket.socket, longest: int = LONGEST) -> None:
        self.closed = False
        self.longest = longest
        self._socket = connected
        self._in, self._out = bytearray(), bytearray()
        connected.setblocking(False)
        with suppress(OSError, AttributeError):
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, SECONDS_UNTIL_PROBED)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, SECONDS_BETWEEN_PROBES)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)

    def fileno(self) -> int:
        """Becomes readable when there is something to receive, or the other end is closed."""
        return self._socket.fileno()

    @property
    def has_more_to_send(self) -> bool:
        """Whether the network has not taken all of it yet; `flush` gives it more."""
        return bool(self._out) and not self.closed

    def send(self, message: bytes) -> None:
        """Send a message, or keep what the network does not take yet."""
        self._out += LENGTH.pack(len(message)) + message
        self.flush()

    def flush(self) -> None:
        """Give the network what is still to be sent."""
        try:
            while self._out and not self.closed:
                del self._out[: self._socket.send(self._out[:CHUNK])]
        except BlockingIOError:
            pass
        except OSError:
            self.closed = True

    def received(self) -> list[bytes]:
        """The messages that have come by now."""
        self._read()
        return [*iter(self._next, None)]

    def first(self) -> bytes | None:
        """The next of them, if there is one."""
        self._read()
        return self._next()

    def _read(self) -> None:
        try:
            while not self.closed:
                chunk = self._socket.recv(CHUNK)
                self._in += chunk
                self.closed = not chunk
        except BlockingIOError:
            pass
        except OSError:
            self.closed = True

    def _next(self) -> bytes | None:
        if len(self._in) < LENGTH.size:
            return None
        (length,) = LENGTH.unpack_from(self._in)
        if length > self.longest:
            self.closed = True
            self._in.clear()
            return None
        end = LENGTH.size + length
        if len(self._in) < end:
            return None
        message = bytes(self._in[LENGTH.size : end])
        del self._in[:end]
        return message

    def close(self) -> None:
        """Close the socket, once."""
        self.closed = True
        self._socket.close()
