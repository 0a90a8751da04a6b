"""`sweep compare`."""

from typing import Annotated

import typer

from orchestrator.commands.lookup import completions, found, store
from orchestrator.commands.options import AsJson, TrackingUri
from orchestrator.system import paths
from orchestrator.terminal.consoles import stdout


def compare(
    sweeps: Annotated[list[str], typer.Argument(metavar="FILE or NAME", autocompletion=completions)],
    as_json: AsJson = False,
    tracking_uri: TrackingUri = None,
) -> None:
    """Show the trials of one or more sweeps in one table, the best first where all are compared by the same metric.

    For a FILE it shows the trials that the file asks for; for a NAME, all trials in the store.
    """
    from orchestrator.comparison.several import SeveralSweeps
    from orchestrator.trials.asked import of_file
    from orchestrator.trials.labels import marked
    from orchestrator.trials.record import of_function

    reader = store(paths.tracking_uri(tracking_uri))
    objectives, records = {}, {}
    for sweep in sweeps:
        name, spec = found(sweep, reader)
        objectives[name] = (spec or reader.last_launch(name)).objectives
        known = of_function(reader.function(name), reader.results(name, objectives[name]))
        records[name] = marked(of_file(spec, known) if spec else known)
    several = SeveralSweeps(objectives, records)
    if as_json:
        from orchestrator.documents.compare import CompareDocument
        from orchestrator.terminal.json_output import emit

        emit(CompareDocument.of(several))
        return
    from orchestrator.terminal.fitted import print_table

    header = several.header()
    print_table(stdout(), several.title, header, several.cells(), needed=header[:-1])
