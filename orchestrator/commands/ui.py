"""`sweep ui`."""

from typing import Annotated

import typer

from orchestrator import paths
from orchestrator.commands.options import TrackingUri
from orchestrator.errors import InputError


def ui(
    tracking_uri: TrackingUri = None,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 5000,
) -> None:
    """Open the MLflow UI on this store, on 127.0.0.1; prints a link to the comparison of each sweep."""
    uri = paths.tracking_uri(tracking_uri)
    if not paths.exists(uri):
        raise InputError(f"there is no store yet at {uri}; `sweep launch FILE` makes it")
    from orchestrator.ui import serve

    raise typer.Exit(serve(uri, port, typer.echo))
