"""`sweep report`."""

import select
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.commands.lookup import completions, existing, name_of, store
from orchestrator.commands.options import AsJson, TrackingUri
from orchestrator.errors import InputError, StoreError
from orchestrator.system import paths
from orchestrator.terminal.consoles import warn

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.reports.document import Section
    from orchestrator.spec import SweepSpec
    from orchestrator.trackers import Store


def report(
    sweeps: Annotated[list[str], typer.Argument(metavar="FILE or NAME", autocompletion=completions)],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder to write to. Default: reports/NAME.")] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Keep the page current until the sweep has ended; it loads itself again.")
    ] = False,
    tied: Annotated[
        bool, typer.Option("--tied", hidden=True, help="Read the URI, and end, too, once there is more.")
    ] = False,
    as_json: AsJson = False,
    tracking_uri: TrackingUri = None,
) -> None:
    """Write the report of one or more sweeps: an HTML page that needs no network, Markdown, and CSV.

    For a FILE it shows the trials that the file asks for; for a NAME, all trials in the store. That of one NAME is kept
    in the store, too, beside the sweep's run.
    """
    if watch and as_json:
        raise InputError("--watch is for people; a program calls `sweep report --json` again")
    uri = paths.tracking_uri(_told_by_the_launch() if tied else tracking_uri)
    reader = store(uri)
    names = reader.sweeps()
    asked = dict.fromkeys(sweeps)
    if all(paths.is_file(sweep) and name_of(sweep) not in names for sweep in asked):
        existing(sweeps[0], reader)

    from orchestrator.reports.files import folder_for, write
    from orchestrator.reports.sections import section
    from orchestrator.workspace import is_live

    found = [(sweep, *_reported(reader, sweep)) for sweep in asked]
    folder = out or folder_for([name for _, name, _ in found])

    def runs(name: str) -> bool:
        return not (tied and _launch_has_ended()) and is_live(uri, name) and reader.is_running(name)

    def sections() -> "list[Section]":
        return [
            section(reader, spec, name, all_records=not paths.is_file(sweep), is_live=runs(name))
            for sweep, name, spec in found
        ]

    if watch:
        _watch(lambda: any(runs(name) for _, name, _ in found), sections, folder)
    files = write(sections(), folder)
    if len(found) == 1 and not paths.is_file(sweeps[0]) and not tied:  # which leaves it to the launch
        _keep(reader, found[0][1], folder)
    if as_json:
        from orchestrator.documents.places import ReportDocument
        from orchestrator.terminal.json_output import emit

        emit(ReportDocument(**{name: str(path.absolute()) for name, path in vars(files).items()}))
        return
    for path in (files.page, files.markdown, files.table):
        typer.echo(path)


def _keep(reader: "Store", name: str, folder: Path) -> None:
    """Put the report beside the sweep's run, too, where the store lets this user."""
    from orchestrator.trackers import kept_report

    try:
        kept_report.keep(reader, name, folder)
    except StoreError as error:
        warn(f"the report is in {folder} alone, and not in the store: {error}")


def _watch(runs: "Callable[[], bool]", sections: "Callable[[], list[Section]]", folder: Path) -> None:
    """Keep the page current until the sweeps have ended; Ctrl-C ends it in a line."""
    from orchestrator.reports.current import keep_current
    from orchestrator.reports.files import kept_current, page_in, write_current

    if not runs():
        return
    typer.echo(f"keeping {page_in(folder)} current until the sweep has ended (Ctrl-C ends it)", err=True)
    try:
        with kept_current(folder):
            keep_current(runs, lambda: write_current(sections(), folder))
    except KeyboardInterrupt:
        typer.echo(f"{page_in(folder)} stays as it is; `sweep report` writes all of the report", err=True)
        raise


def _told_by_the_launch() -> str:
    """The URI of its store; no more than that line is read, since what follows ends this process."""
    with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as pipe:
        return pipe.readline().decode().strip()


def _launch_has_ended() -> bool:
    """Whether the launch that has started this process says so, or is gone."""
    return bool(select.select([sys.stdin], [], [], 0)[0])


def _reported(reader: "Store", sweep: str) -> tuple[str, "SweepSpec"]:
    """The name of a sweep that is to be reported, and its file: as it is, or as the last launch had it."""
    from orchestrator.spec import load

    if paths.is_file(sweep):
        spec = load(Path(sweep), is_to_run=False)
        return spec.name, spec
    name = existing(sweep, reader)
    return name, load(Path(reader.last_launch(name).file), text=reader.sweep_file(name))
