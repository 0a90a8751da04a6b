"""The command `sweep`."""

import importlib.metadata
import json
import os
import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from orchestrator import store
from orchestrator.durations import duration
from orchestrator.errors import InputError, NotYetError, SweepError
from orchestrator.trial import Outcome

if TYPE_CHECKING:
    from orchestrator.display import Display
    from orchestrator.plan import Plan
    from orchestrator.table import Table

PIPE_WIDTH = 10_000  # columns; a pipe has no edge at which to wrap or cut

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
    typer.Option(envvar="MLFLOW_TRACKING_URI", help="MLflow's store. Default: SQLite under ./mlruns/."),
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Trials at the same time. Default: from the cores and GPUs of the machine.")
]


def main() -> None:
    """Run the command; mistakes of the user come out as lines on stderr and an exit status."""
    try:
        app()
    except SweepError as error:
        sys.exit(_say_error(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # whoever read our output has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


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
    spec = load(file, sets or [])
    _use_data(data_dir)
    console = _console()
    for warning in spec.warnings:
        _error_console().print(warning, soft_wrap=True, markup=False)

    from orchestrator.sweep import Settings, launch as run

    settings = Settings(store.tracking_uri(tracking_uri), executor.value, workers, trial_timeout)
    launched = run(spec, settings, _display(console, quiet))
    _print_results(console, launched.table)
    if launched.interrupted:
        console.print(f"interrupted; go on with: {_command_again()}", soft_wrap=True, markup=False, highlight=False)
        raise typer.Exit(130)
    console.print(f"compare the runs: sweep ui{_uri_option(tracking_uri)}", soft_wrap=True, markup=False, highlight=False)
    raise typer.Exit(1 if launched.table.count(Outcome.FAILED) else 0)


@app.command()
def plan(file: File, workers: Workers = None, sets: Sets = None, tracking_uri: TrackingUri = None) -> None:
    """Show what a launch would run, what is done, what cannot be, and the time it may take. Writes nothing."""
    from orchestrator.plan import plan as make
    from orchestrator.spec import load

    spec = load(file, sets or [])
    for warning in spec.warnings:
        _error_console().print(warning, soft_wrap=True, markup=False)
    made = make(spec, store.tracking_uri(tracking_uri), workers)
    _print_plan(_console(), made)
    if made.expansion.invalid:
        raise InputError(*made.expansion.invalid)


@app.command()
def status(
    sweep: Annotated[str | None, typer.Argument(metavar="[FILE or NAME]", help="Default: every sweep.")] = None,
    tracking_uri: TrackingUri = None,
) -> None:
    """Count a sweep's trials by outcome, and show what runs now."""
    uri = store.tracking_uri(tracking_uri)
    if not store.exists(uri):
        raise InputError(f"there is no store yet at {uri}; `sweep launch FILE` makes it")
    from orchestrator.trackers import Store

    reader = Store(uri)
    names = reader.sweeps()
    if sweep is not None:
        wanted = _name_of(sweep)
        if wanted not in names:
            raise InputError(f"the store has no sweep {wanted}; it has {', '.join(names) or 'none'}")
        names = [wanted]
    table = RichTable(box=box.SIMPLE_HEAD)
    for column in ("sweep", *Outcome, "running", "now"):
        table.add_column(str(column), overflow="fold")
    for name in names:
        records = reader.records(name)
        running = [record.label for record in records if record.status == "RUNNING"]
        counts = [sum(record.outcome is outcome for record in records) for outcome in Outcome]
        table.add_row(name, *(str(count) for count in counts), str(len(running)), Text(", ".join(running)))
    _console().print(table)


@app.command()
def report(sweeps: Annotated[list[str], typer.Argument(metavar="FILE or NAME ...")]) -> None:
    """Not yet: the report of sweeps as Markdown, HTML and CSV."""
    raise NotYetError(f"sweep report {' '.join(sweeps)}: not yet built; `sweep launch FILE` prints the result table")


@app.command()
def dashboard(sweep: Annotated[str, typer.Argument(metavar="FILE or NAME")]) -> None:
    """Not yet: optuna-dashboard on a sweep's study."""
    raise NotYetError(f"sweep dashboard {sweep}: not yet built; `sweep ui` opens the MLflow UI")


@app.command()
def ui(
    tracking_uri: TrackingUri = None,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 5000,
) -> None:
    """Open the MLflow UI on this store, on 127.0.0.1."""
    uri = store.tracking_uri(tracking_uri)
    if not store.exists(uri):
        raise InputError(f"there is no store yet at {uri}; `sweep launch FILE` makes it")
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri, "--host", "127.0.0.1", "--port", str(port)]
    typer.echo(f"MLflow UI: http://127.0.0.1:{port} (Ctrl-C ends it)")
    environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    raise typer.Exit(subprocess.run(command, env=environment, check=False).returncode)


@app.command()
def schema() -> None:
    """Print the JSON Schema of sweep files, for editors."""
    from orchestrator.schema import schema as make

    typer.echo(json.dumps(make(), indent=2))


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PIPE_WIDTH)


def _error_console() -> Console:
    return Console(stderr=True, highlight=False)


def _display(console: Console, quiet: bool) -> "Display":
    from orchestrator.display import LiveDisplay, PlainDisplay, QuietDisplay

    if quiet:
        return QuietDisplay()
    return LiveDisplay(console) if console.is_terminal else PlainDisplay(console)


def _use_data(data_dir: Path | None) -> None:
    if data_dir is not None:
        if not data_dir.is_dir():
            raise InputError(f"--data-dir {data_dir}: there is no such folder")
        os.environ["SWEEP_DATA_DIR"] = str(data_dir.absolute())


def _name_of(sweep: str) -> str:
    """The sweep that a FILE or NAME means."""
    if sweep.endswith((".yaml", ".yml")) or Path(sweep).is_file():
        from orchestrator.spec import load

        return load(Path(sweep)).name
    return sweep


def _print_results(console: Console, table: "Table") -> None:
    from orchestrator.display import STYLES

    drawn = RichTable(box=box.SIMPLE_HEAD, title=f"{table.spec.name}: best {table.spec.metric.name} first")
    header = table.header()
    for column in header[:-1]:
        drawn.add_column(column, overflow="fold")
    for row, cells in zip(table.rows, table.cells(), strict=True):
        texts = [Text(cell) for cell in cells[:-1]]
        if row.outcome is not None:
            texts[header.index("outcome")].stylize(STYLES[row.outcome])
        drawn.add_row(*texts)
    console.print(drawn)
    for row, cells in zip(table.rows, table.cells(), strict=True):
        if cells[-1]:
            console.print(f"{row.trial.label}: {cells[-1]}", soft_wrap=True, markup=False)


def _print_plan(console: Console, plan: "Plan") -> None:
    trials = plan.expansion.trials
    table = RichTable(box=box.SIMPLE_HEAD, title=f"{plan.spec.name}: {len(trials)} trials of {plan.spec.function.name}")
    for column in ("trial", "trial_key", "state"):
        table.add_column(column, overflow="fold")
    for trial in trials:
        outcome = plan.outcomes.get(trial.trial_key)
        state = f"done: {outcome}" if plan.is_done(trial) else f"to run (was {outcome})" if outcome else "to run"
        table.add_row(Text(trial.label), trial.trial_key, state)
    console.print(table)
    time = "unknown: no finished trial in the store to learn from" if plan.seconds is None else f"about {duration(plan.seconds)}"
    console.print(f"to run: {len(plan.pending)} of {len(trials)}, {plan.workers} at a time; time: {time}")


def _command_again() -> str:
    return " ".join(["sweep", *sys.argv[1:]])


def _uri_option(tracking_uri: str | None) -> str:
    return f" --tracking-uri {tracking_uri}" if tracking_uri and "MLFLOW_TRACKING_URI" not in os.environ else ""


def _say_error(error: SweepError) -> int:
    for line in str(error).splitlines():
        print(f"sweep: {line}", file=sys.stderr)
    return error.exit_status
