"""MLflow's UI on a store, with a link to the comparison of each sweep."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable

from orchestrator.trackers import Store
from orchestrator.trackers.view import charts

MOST_LINKS = 10


def serve(uri: str, port: int, say: Callable[[str], None]) -> int:
    """Serve until it is ended; returns the server's exit status."""
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    here = f"http://127.0.0.1:{port}"
    say(f"MLflow UI: {here} (Ctrl-C ends it)")
    # which would else end this process alone, and leave the server behind
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    server = subprocess.Popen(command, env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"})
    try:
        for name, address in Store(uri).addresses(MOST_LINKS):
            say(f"  {name}: {here}{address}")
            say(f"    as curves and pictures: {here}{charts(address)}")
        return server.wait()
    finally:
        server.terminate()
