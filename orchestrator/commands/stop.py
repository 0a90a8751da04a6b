"""`sweep stop`."""

from typing import Annotated

import typer

from orchestrator.commands.asking import ask
from orchestrator.commands.options import AsJson, SweepArgument, TrackingUri

TrialsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[TRIAL]...",
        help="The id of a trial's run, or its first letters; or its label, or a part of it that no other has.",
    ),
]


def stop(
    sweep: SweepArgument,
    trials: TrialsArgument = None,
    as_json: AsJson = False,
    tracking_uri: TrackingUri = None,
) -> None:
    """End running trials after their epoch, as pruned; without a TRIAL the launch, as the first Ctrl-C does."""
    from orchestrator.requests.calls import StopLaunch, StopTrials

    ask(sweep, StopTrials(tuple(trials)) if trials else StopLaunch(), tracking_uri, as_json)
