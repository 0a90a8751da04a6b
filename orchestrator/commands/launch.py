"""`sweep launch`."""

import shlex
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator import paths
from orchestrator.commands import again
from orchestrator.commands.options import DataDir, File, Sets, TrackingUri, Workers, use_data
from orchestrator.errors import InputError, NotYetError
from orchestrator.terminal.consoles import stderr, stdout
from orchestrator.trial import Outcome

if TYPE_CHECKING:
    from rich.console import Console

    from orchestrator.terminal.display import Display


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

    Example: sweep launch sweeps/report/var.yaml --set epochs=3
    """
    from orchestrator.spec import load

    if executor is ExecutorName.ray:
        raise NotYetError("--executor ray: not yet; there are process and inline")
    if executor is ExecutorName.inline and trial_timeout is not None:
        raise InputError("--trial-timeout: nothing can end a trial that runs inline; leave one of the two away")
    spec = load(file, sets or [])
    use_data(data_dir)
    console = stdout()
    for warning in spec.warnings:
        stderr().print(warning, soft_wrap=True, markup=False)

    from orchestrator.sweep import Settings
    from orchestrator.sweep import launch as run
    from orchestrator.terminal.tables import print_boundary, print_results

    settings = Settings(paths.tracking_uri(tracking_uri), executor.value, workers, trial_timeout)
    launched = run(spec, settings, _display(console, quiet))
    print_results(console, launched.table)
    if launched.boundary:
        print_boundary(console, launched.boundary)
    if launched.interrupted:
        console.print(
            f"interrupted; go on with: {again.command()} {paths.redacted(shlex.join(sys.argv[1:]))}",
            soft_wrap=True,
            markup=False,
            highlight=False,
        )
        raise typer.Exit(130)
    console.print(
        f"compare the runs: {again.command()} ui{again.uri_option(tracking_uri)}",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )
    raise typer.Exit(1 if launched.table.count(Outcome.FAILED) else 0)


def _display(console: "Console", quiet: bool) -> "Display":
    from orchestrator.terminal.display import LiveDisplay, PlainDisplay, QuietDisplay

    if quiet:
        return QuietDisplay()
    return LiveDisplay(console) if console.is_terminal else PlainDisplay(console)
