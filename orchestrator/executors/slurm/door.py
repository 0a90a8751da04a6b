"""Where jobs find their orchestrator, and how both are sure of each other.

The orchestrator listens, and leaves its addresses and a key in a file on the shared disk that only its user may read.
A job reads it, shows that it has the key, and is shown the same. A later launch writes another file, which a job that
has lost its connection looks into again and again.
"""

import hashlib
import hmac
import json
import os
import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from orchestrator.executors.slurm.wire import LONGEST, Wire
from orchestrator.system import regular

ADDRESS_FILE = "address.json"
LONGEST_GREETING = 2**20  # bytes
SECONDS_TO_GREET = 10.0
SECONDS_TO_CONNECT = 2.0  # to each of the addresses
BACKLOG = 1000


@dataclass(frozen=True)
class Guest:
    """A job that has shown that it is one: what it says of itself, and the connection."""

    hello: Mapping[str, Any]
    wire: Wire
    nonce: bytes

    def welcome(self, key: bytes, words: Mapping[str, Any]) -> None:
        """Answer it."""
        said = json.dumps(words)
        self.wire.send(json.dumps({"said": said, "proof": _proof(key, b"orchestrator", self.nonce, said)}).encode())
        self.wire.longest = LONGEST


class Door:
    """The orchestrator's side: it listens from the beginning until it is closed.

    Args:
        folder: on the shared disk, in which the addresses lie.
    """

    def __init__(self, folder: Path) -> None:
        self.key = secrets.token_bytes(32)
        self._path = folder / ADDRESS_FILE
        self._listening = socket.create_server(("", 0), backlog=BACKLOG)
        self._listening.setblocking(False)
        self._entering: dict[Wire, tuple[bytes, float]] = {}  # their nonce, and until when they may greet
        port = self._listening.getsockname()[1]
        address = {"hosts": _hosts(), "port": port, "key": self.key.hex()}
        temporary = self._path.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(address, file)
        temporary.replace(self._path)

    @property
    def ends(self) -> Sequence[int]:
        """What becomes readable when somebody comes, or says who they are."""
        return [self._listening.fileno(), *(wire.fileno() for wire in self._entering)]

    def guests(self) -> list[Guest]:
        """Those who have come by now."""
        with suppress(BlockingIOError, InterruptedError, ConnectionAbortedError):
            while True:
                connected, _ = self._listening.accept()
                wire, nonce = Wire(connected, LONGEST_GREETING), secrets.token_bytes(32)
                self._entering[wire] = (nonce, time.monotonic() + SECONDS_TO_GREET)
                wire.send(nonce)
        found = []
        for wire, (nonce, until) in [*self._entering.items()]:
            messages = wire.received()
            if not messages and not wire.closed and time.monotonic() < until:
                continue
            del self._entering[wire]
            hello = _checked(messages[0], self.key, b"job", nonce) if messages else None
            if hello is None:
                wire.close()
            else:
                found.append(Guest(hello, wire, bytes.fromhex(str(hello["nonce"]))))
        return found

    def close(self) -> None:
        """Listen no more; who looks for the address finds none."""
        self._listening.close()
        for wire in self._entering:
            wire.close()
        with suppress(OSError, ValueError):
            if json.loads(regular.content(self._path))["key"] == self.key.hex():
                self._path.unlink()


@dataclass(frozen=True)
class Address:
    """Where an orchestrator listens, as it has left it."""

    hosts: Sequence[str]
    port: int
    key: bytes

    @classmethod
    def read(cls, folder: Path) -> "Address | None":
        """The address in this folder, if there is one."""
        try:
            found = json.loads(regular.content(folder / ADDRESS_FILE))
            return cls(found["hosts"], found["port"], bytes.fromhex(found["key"]))
        except (OSError, ValueError, KeyError):
            return None

    def call(self, hello: Mapping[str, Any]) -> tuple[Wire, Mapping[str, Any]] | None:
        """Connect, and say hello: the connection and the answer; None where nobody is there who has the key."""
        for host in self.hosts:
            with suppress(OSError):
                connected = socket.create_connection((host, self.port), SECONDS_TO_CONNECT)
                if (answer := self._greet(wire := Wire(connected), hello)) is not None:
                    return wire, answer
                wire.close()
        return None

    def _greet(self, wire: Wire, hello: Mapping[str, Any]) -> Mapping[str, Any] | None:
        nonce = _first(wire)
        if nonce is None:
            return None
        own = secrets.token_bytes(32)
        said = json.dumps({**hello, "nonce": own.hex()})
        wire.send(json.dumps({"said": said, "proof": _proof(self.key, b"job", nonce, said)}).encode())
        answer = _first(wire)
        return None if answer is None else _checked(answer, self.key, b"orchestrator", own)


def _first(wire: Wire) -> bytes | None:
    """The next message; None where the connection ends, or nothing comes for long."""
    until = time.monotonic() + SECONDS_TO_GREET
    while not wire.closed and time.monotonic() < until:
        if message := wire.first():
            return message
        time.sleep(0.01)
    return None


def _proof(key: bytes, who: bytes, nonce: bytes, said: str) -> str:
    return hmac.new(key, who + nonce + said.encode(), hashlib.sha256).hexdigest()


def _checked(message: bytes, key: bytes, who: bytes, nonce: bytes) -> Mapping[str, Any] | None:
    """What somebody says who has the key; None of anybody else."""
    try:
        told = json.loads(message)
        if hmac.compare_digest(told["proof"], _proof(key, who, nonce, told["said"])):
            return dict(json.loads(told["said"]))
    except (ValueError, KeyError, TypeError):
        pass
    return None


def _hosts() -> list[str]:
    """What other machines may reach this one by: its name, and its addresses, without those of itself alone."""
    found = [each for addresses in psutil.net_if_addrs().values() for each in addresses]
    outer = [each.address for each in found if each.family == socket.AF_INET and not each.address.startswith("127.")]
    return list(dict.fromkeys((socket.gethostname(), *outer, "127.0.0.1")))
