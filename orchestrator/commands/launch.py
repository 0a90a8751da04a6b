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
from orchestrator.commands.options import (
    DataDir,
    Executor,
    FilesArgument,
    MaxTime,
    MaxTrials,
    Name,
    SetExecutor,
    Sets,
    TrackingUri,
    Workers,
    seconds,
    use_data,
)
from orchestrator.errors import InputError, SweepError
from orchestrator.system import paths, platforms
from orchestrator.system.durations import duration
from orchestrator.terminal.consoles import print_line, stdout, warn

if TYPE_CHECKING:
    from orchestrator.conclusion import Launched
    from orchestrator.settings import Settings
    from orchestrator.spec import SweepSpec

INTERRUPTED = 130


def launch(
    files: FilesArgument,
    workers: Workers = None,
    executor: Executor = None,
    set_executor: SetExecutor = None,
    sets: Sets = None,
    data_dir: DataDir = None,
    tracking_uri: TrackingUri = None,
    trial_timeout: Annotated[
        float | None,
        typer.Option(min=0.001, metavar="SECONDS", help="Kill a trial whose attempts take longer than this together."),
    ] = None,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Go on with a sweep of the same name that was launched from another file.")
    ] = False,
    wait: Annotated[
        float,
        typer.Option(
            parser=seconds,
            metavar="DURATION",
            help="How long to wait for a store that does not answer at the start: 10m, or seconds.",
        ),
    ] = 10.0,
    rerun: Annotated[
        bool,
        typer.Option("--rerun", help="Run trials anew whose code has changed, or whose run is in MLflow's trash."),
    ] = False,
    max_trials: MaxTrials = None,
    max_time: MaxTime = None,
    name: Name = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only the result.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON alone: a line for each event, and the result as the last one.")
    ] = False,
) -> None:
    """Run a sweep to its end, or resume it; then print the result table. Several files run one after another.

    Exit status: 0 every trial that began has a result; 1 a trial failed; 2 bad input; 130 interrupted. With several
    files: the largest.
    """
    if executor is not None:
        executors.find(executor)  # before anything is read
    specs = loaded(files, sets or [], tracking_uri, name)
    use_data(data_dir)
    if remark := platforms.remark():
        warn(remark)

    from orchestrator.progress.allowance import Allowance
    from orchestrator.settings import Settings

    uri, allowance = paths.tracking_uri(tracking_uri), Allowance(max_trials, max_time)
    settings = Settings(uri, executor, workers, trial_timeout, adopt, wait, rerun, set_executor or (), (), allowance)
    if len(specs) > 1:
        _check(specs, settings)
    console = stdout()  # with --json, standard error
    ended: list[tuple[SweepSpec, Launched | SweepError]] = []
    for number, spec in enumerate(specs, start=1):
        if len(specs) > 1 and not quiet:
            print_line(console, f"sweep {number} of {len(specs)}: {spec.source.path}")
        try:
            ended.append((spec, _launch(spec, settings, console, quiet, as_json)))
        except SweepError as error:  # what ends one sweep need not end the next
            if len(specs) == 1:
                raise
            for line in lines_of(error, spec.source.path):
                warn(line)
            ended.append((spec, error))
        if _status(ended[-1][1]) == INTERRUPTED:
            break
    if allowance.remark:
        warn(allowance.remark)
    statuses = [_status(end) for _, end in ended]
    if INTERRUPTED in statuses:
        print_line(console, f"interrupted; resume with: {again.command()} {paths.redacted(shlex.join(sys.argv[1:]))}")
    elif not as_json and any(not isinstance(end, SweepError) for _, end in ended):
        print_line(console, f"compare the runs: {again.command()} ui{again.uri_option(tracking_uri)}")
    if as_json:
        from orchestrator.documents.launch import LaunchDocument
        from orchestrator.terminal.json_output import emit

        emit(LaunchDocument.of(ended, max(statuses)))
    raise typer.Exit(max(statuses))


def _status(end: "Launched | SweepError") -> int:
    """The exit status of one sweep."""
    return INTERRUPTED if isinstance(end, SweepError) and end.interrupted else end.exit_status


def _check(specs: "Iterable[SweepSpec]", settings: "Settings") -> None:
    """Report what any sweep cannot run now, rather than after other sweeps have run for hours.

    Raises:
        InputError: there are invalid combinations, or trials that take more than this machine has.
    """
    from orchestrator import samplers

    mistakes: list[str] = []
    for spec in specs:
        try:
            samplers.of(spec)
            executors.check(spec, settings.place(spec))
        except InputError as error:
            mistakes += error.mistakes
    if mistakes:
        raise InputError.of(mistakes)


def _launch(spec: "SweepSpec", settings: "Settings", console: Console, quiet: bool, as_json: bool) -> "Launched":
    """One sweep, to its table."""
    from orchestrator.launching import launch as run
    from orchestrator.notification import notifying
    from orchestrator.terminal.display import display_for
    from orchestrator.terminal.json_display import JsonDisplay

    display = JsonDisplay.of(spec) if as_json and not quiet else display_for(spec, console, quiet)
    with notifying(spec, settings.uri, display.progress) as end:
        launched = run(spec, settings, display)
        end.exit_status = launched.exit_status
        if not as_json:
            _print(launched, console)
    return launched


def _print(launched: "Launched", console: Console) -> None:
    """What the launch of a sweep came to."""
    from orchestrator.terminal.tables import print_boundary, print_results

    print_results(console, launched.table)
    if launched.boundary:
        print_boundary(console, launched.boundary)
    if launched.reached:
        print_line(console, f"{launched.reached}; no further trial begins")
    if launched.spent is not None and not launched.interrupted:
        message = f"time_cap is used up: {duration(launched.spent)} of training; set a larger time_cap in"
        print_line(console, f"{message} {launched.table.spec.source.path} and launch again to resume")
