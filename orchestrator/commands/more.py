"""`sweep more`."""

from contextlib import suppress
from typing import Annotated

import typer

from orchestrator.commands import again
from orchestrator.commands.asking import ask, tell
from orchestrator.commands.lookup import asked, existing, store
from orchestrator.commands.options import AsJson, SweepArgument, TrackingUri
from orchestrator.errors import InputError
from orchestrator.system import paths


def more(
    sweep: SweepArgument,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="How many each is to have in all.")],
    trials: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TRIAL]...",
            help="The id of a trial's run, or its first letters; its label, or a part that no other has; its number. "
            "Without one: all that have completed.",
        ),
    ] = None,
    best: Annotated[int | None, typer.Option("--best", min=1, help="So many of the best trials.")] = None,
    tracking_uri: TrackingUri = None,
    as_json: AsJson = False,
) -> None:
    """Have trials that have completed go on for more epochs, from their checkpoints if kept.

    A launch that runs does so once all else of it has ended; else the next one does.
    """
    from orchestrator.more import extended
    from orchestrator.requests.asking import NobodyError
    from orchestrator.requests.calls import More
    from orchestrator.trackers import more as requested
    from orchestrator.workspace import Workspace

    if trials and best is not None:
        raise InputError("more takes TRIALs or --best, not both")
    uri, call = paths.tracking_uri(tracking_uri), More(epochs, tuple(trials or ()), best)
    reader = store(uri)
    existing(sweep, reader)
    with suppress(NobodyError):
        ask(sweep, call, tracking_uri, as_json)
        return
    name, file, spec = asked(sweep, reader)
    with Workspace(uri, name) as workspace:
        workspace.check_unheld()
        found = extended(reader, spec, name, call)
        requested.ask(reader, name, epochs, found.keys)
    command = f"{again.command()} launch {file}{again.uri_option(tracking_uri)}"
    tell([*found.lines, f"train them with: {command}"], as_json)
