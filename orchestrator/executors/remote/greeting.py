"""How two processes find that they belong together: each shows that it has the key, without saying it.

What follows is neither encrypted nor signed: it is for the network of a cluster, as what its engine itself sends.
"""

import hmac
import json
import secrets
import socket
from dataclasses import dataclass
from typing import Any

from orchestrator.executors.remote.link import HEADER, Link

LONGEST_GREETING = 4096
SECONDS_TO_GREET = 5.0


@dataclass(frozen=True)
class Address:
    """Where an orchestrator listens, and the key to it, in hexadecimal."""

    host: str
    port: int
    key: str


class RefusedError(Exception):
    """The orchestrator does not know this agent: it has ended, or has gone on without it."""


class UnreachableError(OSError):
    """Nothing of this machine gets to where the orchestrator listens."""


def challenge() -> str:
    """What the other side is to answer."""
    return secrets.token_hex(16)


def proof(key: str, of: str, name: str, asked: str) -> str:
    """What only somebody with the key can answer."""
    return hmac.new(bytes.fromhex(key), f"{of}|{name}|{asked}".encode(), "sha256").hexdigest()


def is_proof(given: Any, key: str, of: str, name: str, asked: str) -> bool:
    """Whether an answer is right."""
    return hmac.compare_digest(str(given).encode(), proof(key, of, name, asked).encode())


def frame(greeting: dict[str, Any]) -> bytes:
    """A greeting as it is sent."""
    payload = json.dumps(greeting).encode()
    return HEADER.pack(len(payload), 0, 0) + payload


def greeting(payload: bytes) -> dict[str, Any]:
    """What `frame` wrote.

    Raises:
        ConnectionAbortedError: it is something else.
    """
    try:
        found = json.loads(payload)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ConnectionAbortedError("what comes is not of this program")
    return found


def dial(address: Address, name: str, link: Link, seconds: float = SECONDS_TO_GREET) -> None:
    """Connect an agent's link with its orchestrator; waits so long for a connection, and then for each answer.

    Raises:
        RefusedError: it is not wanted any more.
        UnreachableError: there is no way to it.
        OSError: nobody answers, or somebody else.
    """
    try:
        connection = socket.create_connection((address.host, address.port), timeout=seconds)
    except OSError as error:
        raise UnreachableError(f"cannot reach {address.host}:{address.port} from {socket.gethostname()}") from error
    connection.settimeout(SECONDS_TO_GREET)
    try:
        received = _greeted(connection, address.key, name, link.received)
    except BaseException:
        connection.close()
        raise
    link.attach(connection, received)


def _greeted(connection: socket.socket, key: str, name: str, received: int) -> int:
    """Greet an orchestrator; returns the last message that it has received."""
    own = challenge()
    asked = str(_next(connection).get("challenge"))
    shown = proof(key, "agent", name, asked)
    connection.sendall(frame({"name": name, "proof": shown, "challenge": own, "received": received}))
    welcome = _next(connection)
    if not is_proof(welcome.get("proof"), key, "orchestrator", name, own):
        raise ConnectionAbortedError("somebody else answers in place of the orchestrator")
    if welcome.get("refused"):
        raise RefusedError(str(welcome["refused"]))
    return int(welcome["received"])


def _next(connection: socket.socket) -> dict[str, Any]:
    """The next greeting, and nothing of what follows it."""
    length, _, _ = HEADER.unpack(_exactly(connection, HEADER.size))
    if length > LONGEST_GREETING:
        raise ConnectionAbortedError("what comes is not of this program")
    return greeting(_exactly(connection, length))


def _exactly(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        if not (chunk := connection.recv(size - len(received))):
            raise ConnectionResetError("the other side has closed the connection")
        received += chunk
    return received
