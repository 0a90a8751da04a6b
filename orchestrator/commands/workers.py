"""`sweep workers`."""

from typing import Annotated

import typer

from orchestrator.commands.asking import ask
from orchestrator.commands.options import AsJson, SweepArgument, TrackingUri

LARGEST = 10_000  # as requests have it, which nothing here has to import


def workers(
    sweep: SweepArgument,
    number: Annotated[int, typer.Argument(metavar="N", min=0, max=LARGEST, help="How many; 0 pauses the sweep.")],
    as_json: AsJson = False,
    tracking_uri: TrackingUri = None,
) -> None:
    """Have so many trials of a running sweep at once from now on; what runs goes on to its end."""
    from orchestrator.requests.calls import Resize

    ask(sweep, Resize(number), tracking_uri, as_json)
