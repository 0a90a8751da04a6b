"""`sweep ui`."""

import os
import signal
import subprocess
import sys

import typer

from orchestrator.commands.options import Port, TrackingUri
from orchestrator.errors import InputError
from orchestrator.system import paths
from orchestrator.system.loopback import HOST, check_port

MOST_LINKS = 10


def ui(
    tracking_uri: TrackingUri = None,
    port: Port = 5000,
) -> None:
    """Open the MLflow UI for this store, on 127.0.0.1. Prints a link to the comparison of each sweep."""
    uri = paths.tracking_uri(tracking_uri)
    if not paths.exists(uri):
        raise InputError(f"there is no store yet at {uri}; `sweep launch FILE` creates it")
    check_port(port)
    raise typer.Exit(_serve(uri, port))


def _serve(uri: str, port: int) -> int:
    """Serve until it is ended; returns the server's exit status."""
    from orchestrator.trackers import Store
    from orchestrator.trackers.view import charts

    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri]
    command += ["--host", HOST, "--port", str(port)]
    here = f"http://{HOST}:{port}"
    typer.echo(f"MLflow UI: {here} (Ctrl-C stops it)")
    # which would else end this process alone, and leave the server behind
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    server = subprocess.Popen(command, env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"})
    try:
        for name, address in Store(uri).addresses(MOST_LINKS):
            typer.echo(f"  {name}: {here}{address}")
            typer.echo(f"    as curves and pictures: {here}{charts(address)}")
        return server.wait()
    finally:
        server.terminate()
