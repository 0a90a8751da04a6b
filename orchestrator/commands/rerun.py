"""`sweep rerun`."""

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator import chosen
from orchestrator.commands import again
from orchestrator.commands.asking import ask, tell
from orchestrator.commands.lookup import existing, store
from orchestrator.commands.options import AsJson, SweepArgument, TrackingUri
from orchestrator.errors import InputError
from orchestrator.system import paths
from orchestrator.trial import Outcome

if TYPE_CHECKING:
    from orchestrator.trackers import Store
    from orchestrator.trials.record import Record


def rerun(
    sweep: SweepArgument,
    trials: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TRIAL]...",
            help="The id of a trial's run, or its first letters; its label, or a part that no other has; "
            "its number (only where no launch runs).",
        ),
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="All that have failed.")] = False,
    infeasible: Annotated[bool, typer.Option("--infeasible", help="All that are infeasible.")] = False,
    as_json: AsJson = False,
    tracking_uri: TrackingUri = None,
) -> None:
    """Have trials run anew; what they were stays in MLflow, and counts no longer.

    A launch that runs does so at once; else the next one does.
    """
    from orchestrator.requests.asking import NobodyError
    from orchestrator.requests.calls import Rerun
    from orchestrator.trackers.anew import Renewing
    from orchestrator.workspace import Workspace

    if not (trials or failed or infeasible):
        raise InputError(
            "rerun needs a TRIAL, --failed or --infeasible; `sweep launch FILE --rerun` is for changed code"
        )
    uri = paths.tracking_uri(tracking_uri)
    name = existing(sweep, store(uri))
    with suppress(NobodyError):
        ask(sweep, Rerun(tuple(trials or ()), failed, infeasible), tracking_uri, as_json)
        return
    with Workspace(uri, name) as workspace:
        renewing = Renewing(uri)
        outcomes = [Outcome.FAILED] * failed + [Outcome.INFEASIBLE] * infeasible
        workspace.check_unheld()
        found = _found(renewing, name, trials or (), outcomes)
        renewing.again(name, found, workspace)
    lines = []
    for record in found:
        was = f"{record.outcome}: {record.remark}" if record.remark else str(record.outcome)
        lines.append(f"{record.label or name} runs anew; what it was is kept, and counts no longer: {was}")
    if not found:
        tell([f"no trial of {name} is {' or '.join(outcomes)}"], as_json)
        return
    file = renewing.last_launch(name).file
    tell([*lines, f"run them with: {again.command()} launch {file}{again.uri_option(tracking_uri)}"], as_json)


def _found(reader: "Store", sweep: str, names: Sequence[str], outcomes: Sequence[Outcome]) -> list["Record"]:
    """The trials that are meant, each once.

    Raises:
        InputError: a name means none or several, or one that has not come to an end.
    """
    named = [chosen.by_trial(reader, sweep, name) for name in names]
    for record in named:
        if record.outcome in (None, Outcome.INTERRUPTED):
            raise InputError(f"{record.label} has not come to an end; the next launch goes on with it")
    ended = [record for record in reader.records(sweep) if record.outcome in outcomes] if outcomes else []
    return [*{record.run_id: record for record in (*named, *ended)}.values()]
