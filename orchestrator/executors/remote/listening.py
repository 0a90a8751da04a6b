"""Where agents reach their orchestrator."""

import secrets
import selectors
import socket
import time
from collections.abc import Callable
from contextlib import suppress

from orchestrator.executors.remote import greeting
from orchestrator.executors.remote.greeting import LONGEST_GREETING, SECONDS_TO_GREET, Address
from orchestrator.executors.remote.link import Frames, Link

SECONDS_BETWEEN_ROUNDS = 1.0
NOT_WANTED = "the orchestrator has gone on without this agent"
Admit = Callable[[str], Link | None]  # the link of an agent of this name; None where it is not wanted


class AgentListener:
    """Accepts agents that have the key, and moves what goes over their links. It can be waited on like a file.

    Args:
        host: the address of this machine that agents can reach.
        admit: called with the name of each that comes.
    """

    def __init__(self, host: str, admit: Admit) -> None:
        self._admit = admit
        self._selector = selectors.DefaultSelector()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, 0), family=family, backlog=1024)
        self._socket.setblocking(False)
        self.address = Address(host, self._socket.getsockname()[1], secrets.token_hex(32))
        self._selector.register(self._socket, selectors.EVENT_READ, None)
        self._links: dict[Link, socket.socket] = {}  # and the connection that is registered for each
        self._writing: set[Link] = set()  # of which it is waited for
        self.due = 0.0  # when to pump at the latest

    def fileno(self) -> int:
        """Becomes readable when there is something for `pump`."""
        return int(self._selector.fileno())  # epoll and kqueue have it

    def pump(self) -> None:
        """Accept, read and write what there is; gives signs of life where they are due."""
        self._watch_all()
        for key, _ in self._selector.select(0):
            match key.data:
                case None:
                    self._accept()
                case _Guest() as guest:
                    self._greet(guest)
                case link:
                    link.pump()
                    self._watch(link)  # at once: what is accepted next may have the number of what was closed
        if time.monotonic() >= self.due:
            self.due = time.monotonic() + SECONDS_BETWEEN_ROUNDS
            for link in [*self._links]:
                link.pump()
        self._watch_all()

    def _watch_all(self) -> None:
        """Wait for what each link can do now."""
        for link, known in [*self._links.items()]:
            if link.connection is not known or link.wants_to_write or link in self._writing:
                self._watch(link)

    def drop(self, link: Link) -> None:
        """Leave a link for good."""
        link.detach()
        self._watch(link)

    def close(self) -> None:
        """Leave all links."""
        for link in [*self._links]:
            self.drop(link)
        for key in [*self._selector.get_map().values()]:
            if isinstance(key.data, _Guest):
                key.data.connection.close()
        self._selector.close()
        self._socket.close()

    def _accept(self) -> None:
        with suppress(OSError):
            connection, _ = self._socket.accept()
            connection.setblocking(False)
            guest = _Guest(connection)
            self._selector.register(connection, selectors.EVENT_READ, guest)
            connection.send(greeting.frame({"challenge": guest.challenge}))
        now = time.monotonic()
        for key in [*self._selector.get_map().values()]:
            if isinstance(key.data, _Guest) and now > key.data.until:
                self._part(key.data)

    def _greet(self, guest: "_Guest") -> None:
        try:
            for _, _, payload in guest.frames.read(guest.connection):
                self._answer(guest, payload)
                return
        except (OSError, ValueError):
            self._part(guest)

    def _answer(self, guest: "_Guest", payload: bytes) -> None:
        said = greeting.greeting(payload)
        name, key = str(said.get("name")), self.address.key
        if not greeting.is_proof(said.get("proof"), key, "agent", name, guest.challenge):
            raise ConnectionAbortedError("a stranger")
        own = greeting.proof(key, "orchestrator", name, str(said.get("challenge")))
        link = self._admit(name)
        if link is None:
            guest.connection.send(greeting.frame({"proof": own, "refused": NOT_WANTED}))
            self._part(guest)
            return
        guest.connection.send(greeting.frame({"proof": own, "received": link.received}))
        self._selector.unregister(guest.connection)
        self._links.setdefault(link, guest.connection)
        if self._links[link] is not guest.connection:
            link.detach()
            self._watch(link)
        link.attach(guest.connection, int(said.get("received", 0)))
        self._links[link] = guest.connection
        self._selector.register(guest.connection, selectors.EVENT_READ, link)
        link.pump()
        self._watch(link)

    def _part(self, guest: "_Guest") -> None:
        with suppress(KeyError, ValueError):
            self._selector.unregister(guest.connection)
        guest.connection.close()

    def _watch(self, link: Link) -> None:
        """Wait for what a link can do now."""
        known = self._links.get(link)
        if known is None:
            return
        if link.connection is not known:  # which it has left
            with suppress(KeyError, ValueError):
                self._selector.unregister(known)
            del self._links[link]
            self._writing.discard(link)
        elif link.wants_to_write != (link in self._writing):
            (self._writing.add if link.wants_to_write else self._writing.discard)(link)
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if link.wants_to_write else 0)
            self._selector.modify(known, events, link)


class _Guest:
    """A connection whose other side has yet to show that it has the key."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.challenge = greeting.challenge()
        self.frames = Frames(LONGEST_GREETING)
        self.until = time.monotonic() + SECONDS_TO_GREET
