"""`sweep status`."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator import paths
from orchestrator.commands.lookup import store, wanted
from orchestrator.commands.options import TrackingUri
from orchestrator.terminal.consoles import stdout

if TYPE_CHECKING:
    from orchestrator.status import Status


def status(
    sweep: Annotated[str | None, typer.Argument(metavar="[FILE or NAME]", help="Default: every sweep.")] = None,
    tracking_uri: TrackingUri = None,
) -> None:
    """Count a sweep's trials by outcome; show what runs now and the time left."""
    uri = paths.tracking_uri(tracking_uri)
    reader = store(uri)
    names = reader.sweeps()
    if sweep is not None:
        names = [wanted(sweep, names)]
    from orchestrator.terminal.tables import print_status

    print_status(stdout(), [_live(reader.status(name), uri) for name in names])


def _live(status: "Status", uri: str) -> "Status":
    """The status, told whether its launch is still at work; of a server's sweeps only their own machine knows."""
    from orchestrator.workspace import Workspace

    if paths.sqlite_path(uri) is None:
        return status
    return replace(status, is_live=Workspace(uri, status.name).is_held())
