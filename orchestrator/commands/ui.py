"""`sweep ui`."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

import typer

from orchestrator.commands.options import AsJson, Port, TrackingUri
from orchestrator.errors import InputError
from orchestrator.system import paths
from orchestrator.system.loopback import HOST, check_port

MOST_LINKS = 10
SECONDS_BETWEEN_TRIES = 0.2
STDERR = 2
LEAN = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # or it starts processes for jobs, which sweeps do not have


def ui(
    tracking_uri: TrackingUri = None,
    port: Port = 5000,
    as_json: AsJson = False,
) -> None:
    """Open the MLflow UI for this store, on 127.0.0.1. Prints a link to the comparison of each sweep."""
    uri = paths.tracking_uri(tracking_uri)
    if not paths.exists(uri):
        raise InputError(f"there is no store yet at {uri}; `sweep launch FILE` creates it")
    check_port(port)
    raise typer.Exit(_serve(uri, port, as_json))


def _serve(uri: str, port: int, as_json: bool) -> int:
    """Serve until it is ended; returns the server's exit status."""
    from orchestrator.trackers import Store
    from orchestrator.trackers.view import charts

    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri]
    command += ["--host", HOST, "--port", str(port), "--workers", "1"]
    here = f"http://{HOST}:{port}"
    typer.echo("starting MLflow's UI", err=True)
    # which would else end this process alone, and leave the server behind
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    environment = {**LEAN, **os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    server = subprocess.Popen(command, env=environment, stdout=STDERR)  # only links are ours to print
    try:
        links = Store(uri).addresses(MOST_LINKS)
        if _answers(server, port):
            _show(here, [(name, f"{here}{address}", f"{here}{charts(address)}") for name, address in links], as_json)
        return server.wait()
    finally:
        server.terminate()


def _show(here: str, links: Sequence[tuple[str, str, str]], as_json: bool) -> None:
    """Print where the UI is, and for each sweep its table and its charts."""
    if as_json:
        from orchestrator.documents.places import LinkPart, UiDocument
        from orchestrator.terminal.json_output import emit

        parts = [LinkPart(sweep=name, table=table, charts=charts) for name, table, charts in links]
        emit(UiDocument(address=here, sweeps=parts))
        return
    typer.echo(f"MLflow UI: {here} (Ctrl-C stops it)")
    for name, table, charts in links:
        typer.echo(f"  {name}: {table}")
        typer.echo(f"    as curves and pictures: {charts}")


def _answers(server: "subprocess.Popen[bytes]", port: int) -> bool:
    """Wait until a server takes connections; returns whether it does: it may end before that."""
    while server.poll() is None:
        with suppress(OSError), socket.create_connection((HOST, port), timeout=SECONDS_BETWEEN_TRIES):
            return True
        time.sleep(SECONDS_BETWEEN_TRIES)
    return False
