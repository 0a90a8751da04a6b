"""Where jobs find their orchestrator: in a file on the shared disk that only its user may read.

It has the addresses at which the orchestrator listens, and a key. A later launch writes another file, which a job that
has lost its connection looks into again and again.
"""

import json
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from orchestrator.executors.remote.greeting import Address, dial
from orchestrator.executors.remote.link import Link
from orchestrator.system import regular

ADDRESS_FILE = "address.json"
HERE = "127.0.0.1"
SECONDS_TO_CONNECT = 2.0  # meanwhile a job looks after nothing else


@dataclass(frozen=True)
class Door:
    """The addresses of an orchestrator, and the key to it."""

    hosts: Sequence[str]
    port: int
    key: str

    @classmethod
    def of(cls, address: Address) -> "Door":
        """That of this machine: its name, and its addresses."""
        found = [each for addresses in psutil.net_if_addrs().values() for each in addresses]
        outer = [e.address for e in found if e.family == socket.AF_INET and not e.address.startswith("127.")]
        return cls(list(dict.fromkeys((socket.gethostname(), *outer, HERE))), address.port, address.key)

    @classmethod
    def read(cls, folder: Path) -> "Door | None":
        """The one that is written in this folder, if there is one."""
        try:
            found = json.loads(regular.content(folder / ADDRESS_FILE))
            return cls(found["hosts"], found["port"], found["key"])
        except (OSError, ValueError, KeyError):
            return None

    def write(self, folder: Path) -> None:
        """Leave it for jobs."""
        temporary = folder / f"{ADDRESS_FILE}.new"
        temporary.unlink(missing_ok=True)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump({"hosts": self.hosts, "port": self.port, "key": self.key}, file)
        temporary.replace(folder / ADDRESS_FILE)

    def remove(self, folder: Path) -> None:
        """Take it away again, where no other launch has written its own."""
        if self.read(folder) == self:
            with suppress(OSError):
                (folder / ADDRESS_FILE).unlink()

    @property
    def in_words(self) -> str:
        """Where it is, for people."""
        hosts = [host for host in self.hosts if host != HERE] or [HERE]
        return f"{' or '.join(hosts)}, port {self.port}"


class Caller:
    """Tries the addresses of an orchestrator one after the other: first the one that has answered last.

    Args:
        name: of the session that calls.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._turn = 0
        self._good = ""

    def dial(self, door: Door, link: Link) -> bool:
        """Connect a link by way of the next address; whether that has answered.

        Raises:
            RefusedError: it does not want this session any more.
        """
        hosts = sorted(door.hosts, key=lambda host: host != self._good)
        host = hosts[self._turn % len(hosts)]
        self._turn += 1
        with suppress(OSError):
            dial(Address(host, door.port, door.key), self._name, link, SECONDS_TO_CONNECT)
            self._turn, self._good = 0, host
            return True
        return False
