"""The command `sweep`."""

import importlib.metadata
import sys
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from typer._click.core import Context  # click's, which typer brings along without naming it
from typer._click.exceptions import UsageError
from typer.core import TyperGroup

from orchestrator.commands.best import best
from orchestrator.commands.compare import compare
from orchestrator.commands.dashboard import dashboard
from orchestrator.commands.delete import delete
from orchestrator.commands.export import export
from orchestrator.commands.init import init
from orchestrator.commands.judge import judge
from orchestrator.commands.launch import launch
from orchestrator.commands.logs import logs
from orchestrator.commands.mcp import mcp
from orchestrator.commands.more import more
from orchestrator.commands.plan import plan
from orchestrator.commands.replay import replay
from orchestrator.commands.report import report
from orchestrator.commands.rerun import rerun
from orchestrator.commands.schema import schema
from orchestrator.commands.status import status
from orchestrator.commands.stop import stop
from orchestrator.commands.ui import ui
from orchestrator.commands.workers import workers
from orchestrator.errors import InputError, SweepError
from orchestrator.system.printable import in_a_line


class Commands(TyperGroup):
    """The commands. Typer makes a mere exit status of an interrupt, which would leave `--json` without its document."""

    def invoke(self, ctx: Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise typer.Abort from error


app = typer.Typer(
    name="sweep",
    cls=Commands,
    help="Run sweeps of training functions: every trial is monitored, logged to MLflow and compared.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command; mistakes of the user come out as lines on stderr and an exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # where letters are missing, they are no reason to fail
            stream.reconfigure(errors="replace")
    if "--json" in sys.argv[1:]:
        from orchestrator.terminal.json_output import documents_alone

        with documents_alone():
            sys.exit(_run())
    sys.exit(_run())


def _run() -> int:
    """Returns the exit status."""
    try:
        return app(standalone_mode=False) or 0
    except UsageError as error:
        message = " ".join(error.format_message().split())
        return _print_error(InputError(message)) if message else 2  # without a message, the help has been printed
    except SweepError as error:
        return _print_error(error)
    except typer.Abort:
        if "--json" in sys.argv[1:]:
            from orchestrator.documents.error import ErrorDocument
            from orchestrator.terminal.json_output import emit

            emit(ErrorDocument.of_interrupt())
        return 130


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Show versions and exit.", is_eager=True)] = False,
) -> None:
    """Options of the command itself."""
    if version:
        for package in ("vae-sweeps", "torch", "mlflow", "optuna"):
            typer.echo(f"{package} {_version(package)}")
        raise typer.Exit


EXAMPLES: dict[Callable[..., None], Sequence[str]] = {
    launch: (
        "sweep launch sweeps/quickstart.yaml",
        "sweep launch sweeps/pruned.yaml --set epochs=3 --workers 2",
        "sweep launch sweeps/report/*.yaml",
        "sweep launch lr.yaml --quiet > result.txt",
    ),
    plan: ("sweep plan sweeps/quickstart.yaml", "sweep plan lr.yaml --set epochs=3"),
    init: (
        "sweep init --trial mine:train",
        "sweep init --program train.py",
        "sweep init",
        "sweep init lr.yaml --from report/learning_rate",
    ),
    status: ("sweep status", "sweep status lr --watch"),
    stop: ("sweep stop lr", "sweep stop lr 3f1c0d", 'sweep stop lr "lr=0.01 seed=1" "lr=0.01 seed=2"'),
    workers: ("sweep workers lr 2", "sweep workers lr 0"),
    best: ("sweep best best_var",),
    compare: ("sweep compare lr", "sweep compare mine baseline --json"),
    judge: (
        "sweep judge lr=0.01 lr=0.001 --sweep sweeps/lr.yaml",
        "sweep judge 3f1c0d 9b2e77 --run --max-seeds 12",
        "sweep judge mine baseline --json",
    ),
    logs: ("sweep logs 3f1c0d", 'sweep logs lr "lr=0.01 seed=1"', "sweep logs lr 3 --follow"),
    rerun: ("sweep rerun lr --failed", "sweep rerun lr 3f1c0d", 'sweep rerun lr "lr=0.01 seed=1"'),
    more: ("sweep more lr --epochs 50", "sweep more lr --epochs 50 --best 5", "sweep more lr --epochs 50 3f1c0d"),
    delete: ("sweep delete lr", "sweep delete lr --purge --yes"),
    report: ("sweep report lr", "sweep report lr --watch", "sweep report sweeps/report/*.yaml"),
    export: ("sweep export lr", "sweep export sweeps/lr.yaml --optuna sqlite:///study.db"),
    dashboard: ("sweep dashboard best_var --port 8081",),
    replay: ("sweep replay 3f1c0d6e5a5b4b0e9d3c6a7f8e9b0a1c", "sweep replay 3f1c0d6e5a5b4b0e9d3c6a7f8e9b0a1c --debug"),
    ui: ("sweep ui --open", "sweep ui --tracking-uri http://127.0.0.1:5000"),
    mcp: ("sweep mcp", "sweep mcp --allow-launch sweeps --max-trials 50 --max-time 2h"),
    schema: ("sweep schema > sweep.schema.json",),
}
for call, examples in EXAMPLES.items():
    app.command(epilog="\n".join(["Examples:", *examples]))(call)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # torch is optional
        return "not installed"


def _print_error(error: SweepError) -> int:
    for line in str(error).splitlines():
        print(f"sweep: {in_a_line(line)}", file=sys.stderr)
    if "--json" in sys.argv[1:]:
        from orchestrator.documents.error import ErrorDocument
        from orchestrator.terminal.json_output import emit

        emit(ErrorDocument.of(error))
    return error.exit_status
