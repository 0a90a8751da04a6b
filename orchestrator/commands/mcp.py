"""`sweep mcp`."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.commands.options import TrackingUri, seconds
from orchestrator.errors import InputError
from orchestrator.system import paths

MOST_TRIALS, MOST_SECONDS = 100, 3600.0


def mcp(
    allow_launch: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Launch sweep files beneath this folder. Default: only read."),
    ] = None,
    max_trials: Annotated[
        int, typer.Option(min=1, metavar="N", help="How many trials each launch may begin.")
    ] = MOST_TRIALS,
    max_time: Annotated[
        float, typer.Option(parser=seconds, metavar="DURATION", help="How long each launch may take: 30m, 2h.")
    ] = MOST_SECONDS,
    tracking_uri: TrackingUri = None,
) -> None:
    """Serve sweeps over the Model Context Protocol, on standard input and output, for programs with language models."""
    try:
        from orchestrator.mcp.server import serve
    except ModuleNotFoundError as error:
        raise InputError(f"sweep mcp needs the SDK of the protocol: pip install 'vae-sweeps[mcp]' ({error})") from error
    from orchestrator.mcp.permission import Permission

    if allow_launch is not None and not allow_launch.is_dir():
        raise InputError(f"--allow-launch {allow_launch}: there is no such folder")
    folder = None if allow_launch is None else allow_launch.resolve()
    serve(Permission(folder, max_trials, max_time), paths.tracking_uri(tracking_uri))
