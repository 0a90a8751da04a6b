"""The command `sweep`."""

import importlib.metadata
import json
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer._click.exceptions import UsageError  # click's, which typer brings along without naming it

from orchestrator import paths
from orchestrator.errors import InputError, NotYetError, SweepError
from orchestrator.printable import in_a_line
from orchestrator.terminal.consoles import stderr, stdout
from orchestrator.trial import Outcome

if TYPE_CHECKING:
    from rich.console import Console

    from orchestrator.status import Status
    from orchestrator.terminal.display import Display
    from orchestrator.trackers import Store

app = typer.Typer(
    name="sweep",
    help="Train sweeps of small generative models: every trial watched, logged to MLflow and compared.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


class ExecutorName(StrEnum):
    """Where trials run."""

    process = "process"
    inline = "inline"
    ray = "ray"


File = Annotated[Path, typer.Argument(metavar="FILE", help="The sweep's YAML file.")]
Sets = Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Set a parameter to a constant.")]
DataDir = Annotated[
    Path | None, typer.Option(envvar="SWEEP_DATA_DIR", help="Where data lie, or are downloaded to. Default: ./data.")
]
TrackingUri = Annotated[
    str | None,
    typer.Option(envvar="MLFLOW_TRACKING_URI", help="MLflow's paths. Default: SQLite under ./mlruns/."),
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Trials at the same time. Default: from the cores and GPUs of the machine.")
]


def main() -> None:
    """Run the command; mistakes of the user come out as lines on stderr and an exit status."""
    try:
        sys.exit(app(standalone_mode=False))
    except UsageError as error:
        message = " ".join(error.format_message().split())
        sys.exit(_say_error(InputError(message)) if message else 2)  # without one, the help has been printed
    except SweepError as error:
        sys.exit(_say_error(error))
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Show versions and exit.", is_eager=True)] = False,
) -> None:
    """Options of the command itself."""
    if version:
        for package in ("vae-sweeps", "torch", "mlflow", "optuna"):
            typer.echo(f"{package} {importlib.metadata.version(package)}")
        raise typer.Exit


@app.command()
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
    _use_data(data_dir)
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
            f"interrupted; go on with: {_command()} {paths.redacted(shlex.join(sys.argv[1:]))}",
            soft_wrap=True,
            markup=False,
            highlight=False,
        )
        raise typer.Exit(130)
    console.print(
        f"compare the runs: {_command()} ui{_uri_option(tracking_uri)}", soft_wrap=True, markup=False, highlight=False
    )
    raise typer.Exit(1 if launched.table.count(Outcome.FAILED) else 0)


@app.command()
def plan(file: File, workers: Workers = None, sets: Sets = None, tracking_uri: TrackingUri = None) -> None:
    """Show what a launch would run, what is done, what cannot be, and the time it may take. Writes nothing."""
    from orchestrator.plan import make
    from orchestrator.spec import load
    from orchestrator.terminal.tables import print_plan

    spec = load(file, sets or [])
    for warning in spec.warnings:
        stderr().print(warning, soft_wrap=True, markup=False)
    made = make(spec, paths.tracking_uri(tracking_uri), workers)
    print_plan(stdout(), made)
    if made.invalid:
        raise InputError(*made.invalid)


@app.command()
def status(
    sweep: Annotated[str | None, typer.Argument(metavar="[FILE or NAME]", help="Default: every sweep.")] = None,
    tracking_uri: TrackingUri = None,
) -> None:
    """Count a sweep's trials by outcome; show what runs now and the time left."""
    uri = paths.tracking_uri(tracking_uri)
    reader = _store(uri)
    names = reader.sweeps()
    if sweep is not None:
        names = [_wanted(sweep, names)]
    from orchestrator.terminal.tables import print_status

    print_status(stdout(), [_live(reader.status(name), uri) for name in names])


@app.command()
def best(
    sweep: Annotated[str, typer.Argument(metavar="FILE or NAME")],
    tracking_uri: TrackingUri = None,
) -> None:
    """Show a sweep's best configuration, with its interval over seeds, and the command that runs it again."""
    from orchestrator.expansion import varying
    from orchestrator.ranking import ranking
    from orchestrator.search_space import overrides
    from orchestrator.spec import load
    from orchestrator.terminal.tables import print_best

    uri = paths.tracking_uri(tracking_uri)
    reader = _store(uri)
    name = _wanted(sweep, reader.sweeps())
    asked = reader.asked(name)
    records = reader.records(name)
    standings = ranking(records, asked.metric)
    if not standings:
        raise InputError(f"no trial of {name} has completed with a value of {asked.metric.name}")
    names = [name for name in varying([record.params for record in records]) if name != "seed"]
    file = os.path.relpath(asked.file)
    sets = [f"--set={setting}" for setting in overrides(load(Path(file)), standings[0].params)]
    command = f"{_command()} launch {shlex.join([file, *sets])}{_uri_option(tracking_uri)}"
    print_best(stdout(), asked.metric, standings, names, command)


@app.command()
def report(sweeps: Annotated[list[str], typer.Argument(metavar="FILE or NAME ...")]) -> None:
    """Not yet: the report of sweeps as Markdown, HTML and CSV."""
    raise NotYetError(f"sweep report {' '.join(sweeps)}: not yet built; `sweep launch FILE` prints the result table")


@app.command()
def dashboard(
    sweep: Annotated[str, typer.Argument(metavar="FILE or NAME")],
    tracking_uri: TrackingUri = None,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 8080,
) -> None:
    """Open optuna-dashboard on a sweep, on 127.0.0.1; it follows while the sweep runs."""
    from orchestrator.samplers.dashboard import serve
    from orchestrator.spec import load

    reader = _store(paths.tracking_uri(tracking_uri))
    name = _wanted(sweep, reader.sweeps())
    spec = load(Path(sweep) if _is_file(sweep) else Path(reader.asked(name).file))
    typer.echo(f"optuna-dashboard: http://127.0.0.1:{port} (Ctrl-C ends it)")
    try:
        serve(spec, lambda: reader.records(name), port)
    except OSError as error:
        raise InputError(f"--port {port}: {error.strerror}; take another") from error


@app.command()
def replay(
    run_id: Annotated[str, typer.Argument(metavar="RUN_ID", help="The id of a trial's run, as `sweep ui` shows it.")],
    debug: Annotated[bool, typer.Option("--debug", help="Break in pdb where the trial explodes or fails.")] = False,
    data_dir: DataDir = None,
    tracking_uri: TrackingUri = None,
) -> None:
    """Train a trial again in this process, up to its explosion or its end. Writes nothing to the store."""
    from orchestrator.replay import replay as run

    reader = _store(paths.tracking_uri(tracking_uri))
    _use_data(data_dir)
    console = stdout()
    outcome = run(reader, run_id, lambda line: console.print(line, soft_wrap=True, markup=False), debug)
    raise typer.Exit(1 if outcome is Outcome.FAILED else 0)


@app.command()
def ui(
    tracking_uri: TrackingUri = None,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 5000,
) -> None:
    """Open the MLflow UI on this store, on 127.0.0.1."""
    uri = paths.tracking_uri(tracking_uri)
    if not paths.exists(uri):
        raise InputError(f"there is no store yet at {uri}; `sweep launch FILE` makes it")
    from orchestrator.ui import serve

    raise typer.Exit(serve(uri, port, typer.echo))


@app.command()
def schema() -> None:
    """Print the JSON Schema of sweep files, for editors."""
    from orchestrator.schema import schema as make

    typer.echo(json.dumps(make(), indent=2))


def _display(console: "Console", quiet: bool) -> "Display":
    from orchestrator.terminal.display import LiveDisplay, PlainDisplay, QuietDisplay

    if quiet:
        return QuietDisplay()
    return LiveDisplay(console) if console.is_terminal else PlainDisplay(console)


def _use_data(data_dir: Path | None) -> None:
    if data_dir is not None:
        if not data_dir.is_dir():
            raise InputError(f"--data-dir {data_dir}: there is no such folder")
        os.environ["SWEEP_DATA_DIR"] = str(data_dir.absolute())


def _live(status: "Status", uri: str) -> "Status":
    """The status, told whether its launch is still at work; of a server's sweeps only their own machine knows."""
    from orchestrator.workspace import Workspace

    if paths.sqlite_path(uri) is None:
        return status
    return replace(status, is_live=Workspace(uri, status.name).is_held())


def _store(uri: str) -> "Store":
    if not paths.exists(uri):
        raise InputError(f"there is no store yet at {uri}; `sweep launch FILE` makes it")
    from orchestrator.trackers import Store

    return Store(uri)


def _wanted(sweep: str, names: Sequence[str]) -> str:
    wanted = _name_of(sweep)
    if wanted not in names:
        raise InputError(f"the store has no sweep {wanted}; it has {', '.join(names) or 'none'}")
    return wanted


def _name_of(sweep: str) -> str:
    """The sweep that a FILE or NAME means."""
    if _is_file(sweep):
        from orchestrator.spec import load

        return load(Path(sweep)).name
    return sweep


def _is_file(sweep: str) -> bool:
    return sweep.endswith((".yaml", ".yml")) or Path(sweep).is_file()


def _command() -> str:
    """How the command was called, as it can be called again from here."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return "python -m orchestrator"
    found = shutil.which("sweep")
    return "sweep" if found and Path(found).samefile(called) else os.path.relpath(called)


def _uri_option(tracking_uri: str | None) -> str:
    if tracking_uri is None or "MLFLOW_TRACKING_URI" in os.environ:
        return ""
    return f" --tracking-uri {paths.redacted(tracking_uri)}"


def _say_error(error: SweepError) -> int:
    for line in str(error).splitlines():
        print(f"sweep: {in_a_line(line)}", file=sys.stderr)
    return error.exit_status
