"""A proxy of an HTTP server through which requests fail, come late or are cut: which ones follows from a seed.

python benchmarks/faulty.py http://127.0.0.1:5000 [--port 5001] [--share 0.25] [--seed 0]

It prints its own URL, and on Ctrl-C how many requests had which fault.
"""

import argparse
import base64
import http.client
import itertools
import random
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
OF_A_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "content-length"}
SECONDS_OF_AN_ANSWER = 120.0


@dataclass(frozen=True)
class Fault:
    """What happens to a request.

    Args:
        name: to count it by.
        arrives: whether the server gets it.
        seconds: until it does, or is answered by the proxy.
        status: what it is answered with; None: what the server says.
        headers: of such an answer.
        kept: the share of the answer's body that is sent before the connection ends; None: no answer at all.
    """

    name: str
    arrives: bool = True
    seconds: float = 0.0
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    kept: float | None = 1.0


FAULTS = (
    Fault("429", arrives=False, status=429, headers={"Retry-After": "1"}),
    Fault("502", arrives=False, status=502),
    Fault("502, done all the same", status=502),
    Fault("503", arrives=False, status=503),
    Fault("lost", arrives=False, kept=None),
    Fault("lost, done all the same", kept=None),
    Fault("cut", kept=0.5),
    Fault("late", seconds=1.0),
)
Choose = Callable[[int, str, str], Fault | None]  # by the number of a request, its method and its path


def seeded(seed: int, share: float = 0.25) -> Choose:
    """Faults for a share of all requests, the same by their numbers for the same seed."""

    def choose(number: int, method: str, path: str) -> Fault | None:
        rng = random.Random(f"{seed} {number}")
        return rng.choice(FAULTS) if rng.random() < share else None

    return choose


class FaultyProxy:
    """The proxy, in threads of this process, while it is not closed.

    Args:
        server: the URL that requests are passed on to.
        choose: what happens to which of them.
        port: to listen at; 0: any that is free.
        user: `name:password` that it asks for, as HTTP's basic authentication has it; empty: none.
    """

    def __init__(self, server: str, choose: Choose, port: int = 0, user: str = "") -> None:
        self.choose = choose
        self.authorization = f"Basic {base64.b64encode(user.encode()).decode()}" if user else None
        self.faults: Counter[str] = Counter()  # that have happened, by name
        self.numbers = itertools.count(1)
        self._http = _Listener(("127.0.0.1", port), _handler(self, urlsplit(server).netloc))
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@contextmanager
def proxied(server: str, choose: Choose, user: str = "") -> Iterator[FaultyProxy]:
    """A proxy of a server, while the block runs."""
    proxy = FaultyProxy(server, choose, user=user)
    try:
        yield proxy
    finally:
        proxy.close()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, address: object) -> None:
        if not isinstance(sys.exception(), OSError):  # that is a client that has gone
            super().handle_error(request, address)  # type: ignore[arg-type]


def _handler(proxy: FaultyProxy, server: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self._body()
            if proxy.authorization not in (None, self.headers.get("Authorization")):
                self._send(Fault("none"), 401, [("WWW-Authenticate", "Basic")], b"who are you?")
                return
            fault = proxy.choose(next(proxy.numbers), self.command, self.path) or Fault("none")
            proxy.faults[fault.name] += 1
            time.sleep(fault.seconds)
            status, headers, content = 200, [], b""
            if fault.arrives:
                status, headers, content = _answer(server, self.command, self.path, dict(self.headers), body)
            if fault.status is not None:
                status, headers, content = fault.status, [*fault.headers.items()], b"a faulty proxy"
            with suppress(OSError):  # nobody waits for it any more
                self._send(fault, status, headers, content)

        def log_message(self, *of_a_request: object) -> None:
            pass

        def _body(self) -> bytes:
            if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            chunks = []
            while size := int(self.rfile.readline(), 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)

        def _send(self, fault: Fault, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
            if fault.kept is not None:
                self.send_response(status)
                for name, value in headers:
                    if name.lower() not in OF_A_CONNECTION:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: int(len(content) * fault.kept)])
            if fault.kept != 1.0:
                self.wfile.flush()
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

    for method in METHODS:
        setattr(Handler, f"do_{method}", Handler.handle_any)
    return Handler


def _answer(
    server: str, method: str, path: str, headers: dict[str, str], body: bytes
) -> tuple[int, list[tuple[str, str]], bytes]:
    """What the server says; 502 where it is not there."""
    passed_on = {name: value for name, value in headers.items() if name.lower() not in OF_A_CONNECTION}
    connection = http.client.HTTPConnection(server, timeout=SECONDS_OF_AN_ANSWER)
    try:
        connection.request(method, path, body, passed_on)
        response = connection.getresponse()
        return response.status, response.getheaders(), response.read()
    except (OSError, http.client.HTTPException) as error:
        return 502, [], str(error).encode()
    finally:
        connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="A proxy through which requests fail, come late or are cut.")
    parser.add_argument("server", help="its URL")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--share", type=float, default=0.25, help="of the requests that fail")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    proxy = FaultyProxy(asked.server, seeded(asked.seed, asked.share), asked.port)
    print(proxy.url, flush=True)
    with suppress(KeyboardInterrupt):
        threading.Event().wait()
    proxy.close()
    print(dict(proxy.faults))


if __name__ == "__main__":
    main()
