"""`sweep ui`."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import webbrowser
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, Annotated

import typer

from orchestrator.commands.options import AsJson, Port, TrackingUri
from orchestrator.errors import InputError
from orchestrator.system import paths
from orchestrator.system.loopback import ALLOWED_HOSTS, HOST, check_port, is_of_this_machine, own_names
from orchestrator.terminal.consoles import warn

MOST_LINKS = 10
LAST_LINES, LAST_BYTES = 10, 10_000  # of what a server said that has failed
SECONDS_BETWEEN_TRIES = 0.2
ANYWHERE = {"0.0.0.0": HOST, "::": "::1"}  # noqa: S104 - where no browser goes, and where it finds what serves there
QUIET = "--log-level warning"  # a line for each request would carry the links out of sight
# both keep the current folder off the server's path: a module of a user's there may be called as one that it needs
NOT_HERE, SAFE = f"--app-dir {os.devnull}", {"PYTHONSAFEPATH": "1"}
ALLOWED_ORIGINS = "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"  # whose pages may ask for more than to read
LEAN = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # or it starts processes for jobs, which sweeps do not have


def ui(
    tracking_uri: TrackingUri = None,
    port: Port = 5000,
    host: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="Address to serve at. Any other than 127.0.0.1 is without a password."),
    ] = HOST,
    opens: Annotated[bool, typer.Option("--open", help="Open the sweep launched last in a browser.")] = False,
    as_json: AsJson = False,
) -> None:
    """Open the MLflow UI for this store. Prints a link to the trials of each sweep, the best first.

    Ctrl-C ends it, with exit status 130.
    """
    uri = paths.tracking_uri(tracking_uri)
    if not paths.exists(uri):
        raise InputError(f"there is no store yet at {uri}; `sweep launch FILE` creates it")
    check_port(port, host)
    if not is_of_this_machine(host):
        warn(
            f"--host {host}: whoever reaches this address may read, change and delete all runs, as MLflow's UI has no "
            f"password"
        )
    raise typer.Exit(_serve(uri, host, port, opens, as_json))


def _serve(uri: str, host: str, port: int, opens: bool, as_json: bool) -> int:
    """Serve until it is ended; returns the server's exit status."""
    from orchestrator.trackers import Store
    from orchestrator.trackers.view import charts

    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri]
    command += ["--host", host, "--port", str(port), "--workers", "1", "--uvicorn-opts", f"{QUIET} {NOT_HERE}"]
    shown = ANYWHERE.get(host, host)
    here = f"http://{f'[{shown}]' if ':' in shown else shown}:{port}"
    typer.echo("starting MLflow's UI", err=True)
    # which would else end this process alone, and leave the server behind
    for ending in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(ending) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(ending, lambda number, _: sys.exit(128 + number))
    environment = {**LEAN, **_open_to_others(host, port), **os.environ, **SAFE, "MLFLOW_DISABLE_TELEMETRY": "true"}
    with tempfile.TemporaryFile() as said:
        # only links are ours to print; in a group of its own, since uvicorn ends with a traceback by Ctrl-C
        server = subprocess.Popen(command, env=environment, stdout=said, stderr=said, process_group=0)
        try:
            links = Store(uri).addresses(MOST_LINKS)
            if _answers(server, shown, port):
                made = [(name, f"{here}{address}", f"{here}{charts(address)}") for name, address in links]
                _show(here, made, as_json)
                if host in ANYWHERE:
                    typer.echo(f"from other machines: {socket.gethostname()} in place of {shown}", err=as_json)
                if opens:
                    webbrowser.open(made[0][1] if made else here)
            if status := server.wait():
                typer.echo(_last_lines(said), err=True)
            return status
        finally:
            server.terminate()
            server.wait()


def _open_to_others(host: str, port: int) -> dict[str, str]:
    """For the server's environment: by which names others may ask for it; MLflow's own choice lets nobody see runs."""
    if is_of_this_machine(host):
        return {}
    names = dict.fromkeys(("localhost", HOST, "::1", host, *own_names()))
    places = [f"[{name}]:{port}" if ":" in name else f"{name}:{port}" for name in names]
    return {ALLOWED_HOSTS: ",".join(places), ALLOWED_ORIGINS: ",".join(f"http://{place}" for place in places)}


def _last_lines(said: IO[bytes]) -> str:
    said.seek(max(0, said.seek(0, os.SEEK_END) - LAST_BYTES))
    return "\n".join(said.read().decode(errors="replace").splitlines()[-LAST_LINES:])


def _show(here: str, links: Sequence[tuple[str, str, str]], as_json: bool) -> None:
    """Print where the UI is, and for each sweep its table and its charts."""
    if as_json:
        from orchestrator.documents.places import LinkPart, UiDocument
        from orchestrator.terminal.json_output import emit

        parts = [LinkPart(sweep=name, table=table, charts=charts) for name, table, charts in links]
        emit(UiDocument(address=here, sweeps=parts))
        return
    typer.echo(f"MLflow UI: {links[0][1] if links else here} (Ctrl-C stops it)")  # the bare one is about traces
    for name, table, charts in links:
        typer.echo(f"  {name}: {table}")
        typer.echo(f"    as curves and pictures: {charts}")


def _answers(server: "subprocess.Popen[bytes]", host: str, port: int) -> bool:
    """Wait until a server takes connections; returns whether it does: it may end before that."""
    while server.poll() is None:
        with suppress(OSError), socket.create_connection((host, port), timeout=SECONDS_BETWEEN_TRIES):
            return True
        time.sleep(SECONDS_BETWEEN_TRIES)
    return False
