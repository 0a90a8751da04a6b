"""`sweep report`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.commands.lookup import completions, existing, name_of, store
from orchestrator.commands.options import AsJson, TrackingUri
from orchestrator.system import paths

if TYPE_CHECKING:
    from orchestrator.spec import SweepSpec
    from orchestrator.trackers import Store


def report(
    sweeps: Annotated[list[str], typer.Argument(metavar="FILE or NAME", autocompletion=completions)],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder to write to. Default: reports/NAME.")] = None,
    as_json: AsJson = False,
    tracking_uri: TrackingUri = None,
) -> None:
    """Write the report of one or more sweeps: an HTML page that needs no network, Markdown, and CSV.

    For a FILE it shows the trials that the file asks for; for a NAME, all trials in the store.
    """
    uri = paths.tracking_uri(tracking_uri)
    reader = store(uri)
    names = reader.sweeps()
    asked = dict.fromkeys(sweeps)
    if all(paths.is_file(sweep) and name_of(sweep) not in names for sweep in asked):
        existing(sweeps[0], reader)

    from orchestrator.reports.files import folder_for, write
    from orchestrator.reports.sections import section
    from orchestrator.workspace import is_live

    sections = [
        section(reader, spec, name, all_records=not paths.is_file(sweep), is_live=is_live(uri, name))
        for sweep in asked
        for name, spec in [_reported(reader, sweep)]
    ]
    files = write(sections, out or folder_for([section.name for section in sections]))
    if as_json:
        from orchestrator.documents.places import ReportDocument
        from orchestrator.terminal.json_output import emit

        emit(ReportDocument(**{name: str(path.absolute()) for name, path in vars(files).items()}))
        return
    for path in (files.page, files.markdown, files.table):
        typer.echo(path)


def _reported(reader: "Store", sweep: str) -> tuple[str, "SweepSpec"]:
    """The name of a sweep that is to be reported, and its file: as it is, or as the last launch had it."""
    from orchestrator.spec import load

    if paths.is_file(sweep):
        spec = load(Path(sweep), is_to_run=False)
        return spec.name, spec
    name = existing(sweep, reader)
    return name, load(Path(reader.last_launch(name).file), text=reader.sweep_file(name))
