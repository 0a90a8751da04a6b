"""`sweep dashboard`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from orchestrator.commands.lookup import asked, store
from orchestrator.commands.options import Port, SweepArgument, TrackingUri
from orchestrator.system import paths

if TYPE_CHECKING:
    from orchestrator.trials.record import Record


def dashboard(
    sweep: SweepArgument,
    tracking_uri: TrackingUri = None,
    port: Port = 8080,
) -> None:
    """Open optuna-dashboard for a sweep, on 127.0.0.1. It updates while the sweep runs.

    For a FILE it shows the trials that the file asks for; for a NAME, all trials in the store.
    """
    from orchestrator.samplers.dashboard import serve
    from orchestrator.trials.asked import of_file

    reader = store(paths.tracking_uri(tracking_uri))
    name, _, spec = asked(sweep, reader)

    def records() -> "Sequence[Record]":
        found = reader.records(name, spec.objectives)
        return of_file(spec, found) if paths.is_file(sweep) else found

    serve(spec, records, port, typer.echo)
