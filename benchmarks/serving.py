"""A real MLflow server on a store of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import requests

SECONDS_TO_START = 180.0


@contextmanager
def served(store: str, artifacts: Path, prefix: str = "", app: str = "", **environment: str) -> Iterator[str]:
    """A server of a store, by its URI, and a folder of artifacts, while the block runs; gives its URL.

    Args:
        store: its URI.
        artifacts: where the server keeps them.
        prefix: of the path in its URL.
        app: of MLflow's that it runs, if not the usual one.
        **environment: for it.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", store, "--artifacts-destination", str(artifacts)]
    command += ["--static-prefix", prefix] if prefix else []
    command += ["--app-name", app] if app else []
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", **environment},
    )
    url = f"http://127.0.0.1:{port}{prefix}"
    try:
        _await(url)
        yield url
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _await(url: str) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline:
        with suppress(requests.RequestException):
            if requests.get(f"{url}/health", timeout=5).ok:
                return
        time.sleep(0.2)
    raise TimeoutError(f"the server at {url} does not start")
