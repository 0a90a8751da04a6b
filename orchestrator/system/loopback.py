"""Servers for the browsers of this machine alone."""

import errno
import os
import re
import socket
from collections.abc import Callable, Iterable
from contextlib import closing
from fnmatch import fnmatch
from itertools import chain
from typing import Any

from orchestrator.errors import InputError

HOST = "127.0.0.1"
LARGEST_PORT = 65535
INTERNET = (socket.AF_INET, socket.AF_INET6)
OURS = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?", re.IGNORECASE)
ALLOWED_HOSTS = "MLFLOW_SERVER_ALLOWED_HOSTS"  # the environment variable by which MLflow's server is told of others

OF_THE_PORT = (errno.EADDRINUSE, errno.EACCES)  # what else keeps a server from an address is of that

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def check_port(port: int, host: str = HOST) -> None:
    """See that a server can listen to a port, at an address of this machine.

    Raises:
        InputError: it is in use, or not for this user; or the address is not this machine's.
    """
    try:
        (family, _, _, _, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "is no address"
        raise InputError(f"--host {host}: {why}; 127.0.0.1 is this machine alone") from error
    with closing(socket.socket(family)) as one:
        one.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # as servers do, so that the last one may just have ended
        try:
            one.bind(address)
        except OSError as error:
            if error.errno not in OF_THE_PORT:
                raise InputError(f"--host {host}: is no address of this machine; 127.0.0.1 is") from error
            raise InputError(f"--port {port}: {error.strerror}; use another") from error


def is_of_this_machine(host: str) -> bool:
    """Whether only this machine reaches an address."""
    return bool(OURS.fullmatch(host)) or host == "::1"


def own_names() -> list[str]:
    """This machine's name, and the addresses that it has in its networks."""
    import psutil  # which the commands that serve nothing do without

    addresses = chain.from_iterable(psutil.net_if_addrs().values())
    reached = [one.address for one in addresses if one.family in INTERNET and "%" not in one.address]
    return [socket.gethostname(), *reached]


def is_ours(host: str) -> bool:
    """Whether a browser that asks for this host means this machine: a name of it, or one that the user allows."""
    allowed = [name.strip() for name in os.environ.get(ALLOWED_HOSTS, "").split(",") if name.strip()]
    bare = re.sub(":[0-9]+$", "", host)
    return bool(OURS.fullmatch(host)) or any(fnmatch(name, pattern) for pattern in allowed for name in (host, bare))


def guarded(app: Wsgi) -> Wsgi:
    """The app, for requests that mean this machine: a page of another site, whose name leads here, gets nothing."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        host, origin = environ.get("HTTP_HOST", ""), environ.get("HTTP_ORIGIN")
        if is_ours(host) and (origin is None or is_ours(origin.partition("://")[2])):
            return app(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "text/plain")])
        return [f"This server is for http://{HOST} alone; {ALLOWED_HOSTS} allows other names.\n".encode()]

    return answer
