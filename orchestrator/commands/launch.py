"""`sweep launch`."""

import shlex
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from orchestrator import executors
from orchestrator.commands import again
from orchestrator.commands.lookup import lines_of, loaded
from orchestrator.commands.options import DataDir, FilesArgument, Sets, TrackingUri, Workers, use_data
from orchestrator.errors import InputError, SweepError
from orchestrator.system import paths
from orchestrator.system.durations import duration
from orchestrator.terminal.consoles import stdout, tell, warn

if TYPE_CHECKING:
    from orchestrator.spec import SweepSpec
    from orchestrator.sweep import Settings

INTERRUPTED = 130


def launch(
    files: FilesArgument,
    workers: Workers = None,
    executor: Annotated[
        str,
        typer.Option(
            metavar="|".join(executors.EXECUTORS),
            help="Where trials run; inline: in this process, for pdb.",
            autocompletion=lambda: [*executors.EXECUTORS],
        ),
    ] = executors.DEFAULT,
    sets: Sets = None,
    data_dir: DataDir = None,
    tracking_uri: TrackingUri = None,
    trial_timeout: Annotated[
        float | None, typer.Option(min=0.001, metavar="SECONDS", help="Kill a trial that runs longer.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but the result.")] = False,
) -> None:
    """Run a sweep to its end, or go on with it; then print the result table. Several files are taken in turn.

    Exit status: 0 every trial has its result; 1 a trial failed; 2 bad input; 130 interrupted. Of several files: the
    largest.
    """
    executors.find(executor)  # before anything is read
    specs = loaded(files, sets or [], tracking_uri)
    use_data(data_dir)

    from orchestrator.sweep import Settings

    settings = Settings(paths.tracking_uri(tracking_uri), executor, workers, trial_timeout)
    if len(specs) > 1:
        _check(specs)
    console, statuses, has_table = stdout(), [], False
    for number, spec in enumerate(specs, start=1):
        if len(specs) > 1 and not quiet:
            tell(console, f"sweep {number} of {len(specs)}: {spec.source.path}")
        try:
            statuses.append(_launch(spec, settings, console, quiet))
            has_table = True
        except SweepError as error:  # what ends one sweep need not end the next
            if len(specs) == 1:
                raise
            for line in lines_of(error, spec.source.path):
                warn(line)
            statuses.append(INTERRUPTED if error.interrupted else error.exit_status)
        if statuses[-1] == INTERRUPTED:
            break
    if INTERRUPTED in statuses:
        tell(console, f"interrupted; go on with: {again.command()} {paths.redacted(shlex.join(sys.argv[1:]))}")
    elif has_table:
        tell(console, f"compare the runs: {again.command()} ui{again.uri_option(tracking_uri)}")
    raise typer.Exit(max(statuses))


def _check(specs: "Iterable[SweepSpec]") -> None:
    """Have invalid combinations of any sweep said now, rather than when others have run for hours.

    Raises:
        InputError: there are some.
    """
    from orchestrator import samplers

    mistakes: list[str] = []
    for spec in specs:
        try:
            samplers.of(spec)
        except InputError as error:
            mistakes += error.mistakes
    if mistakes:
        raise InputError.of(mistakes)


def _launch(spec: "SweepSpec", settings: "Settings", console: Console, quiet: bool) -> int:
    """One sweep, to its table; returns its exit status."""
    from orchestrator.notification import notifying
    from orchestrator.sweep import launch as run
    from orchestrator.terminal.display import display_for
    from orchestrator.terminal.tables import print_boundary, print_results

    display = display_for(spec, console, quiet)
    with notifying(spec, settings.uri, display.course) as end:
        launched = run(spec, settings, display)
        end.exit_status = launched.exit_status
        print_results(console, launched.table)
        if launched.boundary:
            print_boundary(console, launched.boundary)
        if launched.spent is not None and not launched.interrupted:
            told = f"time_cap is spent: {duration(launched.spent)} of training; set a larger one in {spec.source.path}"
            tell(console, f"{told} and launch again to go on")
    return launched.exit_status
