"""`sweep ui`."""

import os
import subprocess
import sys
from typing import Annotated

import typer

from orchestrator import paths
from orchestrator.commands.options import TrackingUri
from orchestrator.errors import InputError


def ui(
    tracking_uri: TrackingUri = None,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 5000,
) -> None:
    """Open the MLflow UI on this store, on 127.0.0.1."""
    uri = paths.tracking_uri(tracking_uri)
    if not paths.exists(uri):
        raise InputError(f"there is no store yet at {uri}; `sweep launch FILE` makes it")
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "ui",
        "--backend-store-uri",
        uri,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    typer.echo(f"MLflow UI: http://127.0.0.1:{port} (Ctrl-C ends it)")
    environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    raise typer.Exit(subprocess.run(command, env=environment, check=False).returncode)
