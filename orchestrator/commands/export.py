"""`sweep export`."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.commands.lookup import asked, existing, store
from orchestrator.commands.options import AsJson, SweepArgument, TrackingUri
from orchestrator.errors import InputError
from orchestrator.system import paths

FOLDER = Path("exports")


def export(
    sweep: SweepArgument,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder to write to. Default: exports/NAME.")] = None,
    optuna: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Write the study into this storage of Optuna's, too: sqlite:///study.db."),
    ] = None,
    as_json: AsJson = False,
    tracking_uri: TrackingUri = None,
) -> None:
    """Write the trials of a sweep and their curves as CSV: trials.csv, curves.csv.

    For a FILE it writes the trials that the file asks for; for a NAME, all trials in the store.
    """
    from orchestrator import frames
    from orchestrator.trials.asked import of_file
    from orchestrator.trials.labels import marked
    from orchestrator.trials.record import of_function

    reader = store(paths.tracking_uri(tracking_uri))
    name = existing(sweep, reader)
    records = of_function(reader.function(name), reader.results(name))
    spec = asked(sweep, reader)[2] if optuna or paths.is_file(sweep) else None
    if spec is not None and paths.is_file(sweep):
        records = of_file(spec, records)
    records = marked(records)
    folder = out or FOLDER / paths.folder_name(name)
    files = folder / "trials.csv", folder / "curves.csv"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        frames.write_csv(frames.trials(records), files[0])
        frames.write_csv(frames.curves(reader, records), files[1])
    except OSError as error:
        raise InputError(f"--out {folder}: cannot be written ({error.strerror})") from error
    if spec is not None and optuna:
        from orchestrator.samplers import stored

        found = reader.records(name, spec.objectives)
        stored.write(spec, of_file(spec, found) if paths.is_file(sweep) else found, optuna)
    if as_json:
        from orchestrator.documents.export import ExportDocument
        from orchestrator.terminal.json_output import emit

        trials, curves = (str(path.absolute()) for path in files)
        emit(ExportDocument(trials=trials, curves=curves, optuna=None if optuna is None else paths.redacted(optuna)))
        return
    for written in (*files, *([paths.redacted(optuna)] if optuna else [])):
        typer.echo(written)
