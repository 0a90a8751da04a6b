"""`sweep launch`."""

import shlex
import sys
from enum import StrEnum
from typing import Annotated

import typer

from orchestrator import paths
from orchestrator.commands import again
from orchestrator.commands.options import DataDir, File, Sets, TrackingUri, Workers, use_data
from orchestrator.durations import duration
from orchestrator.errors import NotYetError
from orchestrator.terminal.consoles import stdout, warn


class ExecutorName(StrEnum):
    """Where trials run."""

    process = "process"
    inline = "inline"
    ray = "ray"


def launch(
    file: File,
    workers: Workers = None,
    executor: Annotated[ExecutorName, typer.Option(help="inline: in this process, for pdb.")] = ExecutorName.process,
    sets: Sets = None,
    data_dir: DataDir = None,
    tracking_uri: TrackingUri = None,
    trial_timeout: Annotated[
        float | None, typer.Option(min=0.001, metavar="SECONDS", help="Kill a trial that runs longer.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but the result.")] = False,
) -> None:
    """Run a sweep to its end, or go on with it; then print the result table.

    Exit status: 0 every trial has its result; 1 a trial failed; 2 bad input; 130 interrupted.
    """
    from orchestrator.spec import load

    if executor is ExecutorName.ray:
        raise NotYetError("--executor ray: not yet; there are process and inline")
    spec = load(file, sets or [])
    use_data(data_dir)
    console = stdout()
    for warning in spec.warnings:
        warn(warning)

    from orchestrator.notification import notifying
    from orchestrator.sweep import Settings
    from orchestrator.sweep import launch as run
    from orchestrator.terminal.display import display_for
    from orchestrator.terminal.tables import print_boundary, print_results

    settings = Settings(paths.tracking_uri(tracking_uri), executor.value, workers, trial_timeout)
    display = display_for(spec, console, quiet)
    with notifying(spec, settings.uri, display.course) as end:
        launched = run(spec, settings, display)
        end.exit_status = launched.exit_status
        print_results(console, launched.table)
        if launched.boundary:
            print_boundary(console, launched.boundary)
        if launched.interrupted:
            hint = f"interrupted; go on with: {again.command()} {paths.redacted(shlex.join(sys.argv[1:]))}"
        else:
            hint = f"compare the runs: {again.command()} ui{again.uri_option(tracking_uri)}"
        if launched.spent is not None and not launched.interrupted:
            told = f"time_cap is spent: {duration(launched.spent)} of training; set a larger one in {file}"
            console.print(f"{told} and launch again to go on", soft_wrap=True, markup=False, highlight=False)
        console.print(hint, soft_wrap=True, markup=False, highlight=False)
    raise typer.Exit(launched.exit_status)
