"""`sweep replay`."""

from typing import Annotated

import typer

from orchestrator.commands.lookup import store
from orchestrator.commands.options import AsJson, DataDir, TrackingUri, use_data
from orchestrator.errors import InputError
from orchestrator.system import paths
from orchestrator.terminal.consoles import stdout
from orchestrator.trial import Outcome


def replay(
    run_id: Annotated[str, typer.Argument(metavar="RUN_ID", help="The id of a trial's run; `sweep ui` shows it.")],
    debug: Annotated[
        bool,
        typer.Option("--debug", help="Stop in pdb at the step that explodes, or where the trial fails."),
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
    tracking_uri: TrackingUri = None,
) -> None:
    """Train a trial again in this process, to its explosion or its end. Writes nothing to the store."""
    from orchestrator.replay import replay as run

    if debug and as_json:
        raise InputError("--debug is for people: pdb asks questions, and --json prints a document alone")
    reader = store(paths.tracking_uri(tracking_uri))
    use_data(data_dir)
    console = stdout()  # with --json, standard error
    replayed = run(reader, run_id, lambda line: console.print(line, soft_wrap=True, markup=False), debug)
    if as_json:
        from orchestrator.documents.replay import ReplayDocument
        from orchestrator.terminal.json_output import emit

        emit(ReplayDocument.of(replayed))
    raise typer.Exit(1 if replayed.end.outcome is Outcome.FAILED else 0)
