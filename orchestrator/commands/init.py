"""`sweep init`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.errors import InputError


def _shipped(incomplete: str) -> list[str]:
    from orchestrator.commands.template import shipped

    return [name for name in shipped() if name.startswith(incomplete)]


def init(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="The file to write.")] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="NAME", help="Copy a sweep that comes with the program.", autocompletion=_shipped
        ),
    ] = None,
    trial: Annotated[
        str | None, typer.Option(metavar="MODULE:FUNCTION", help="Write a sweep of a function of your own.")
    ] = None,
    program: Annotated[
        str | None, typer.Option(metavar="SCRIPT", help="Write a sweep of a script, from its options.")
    ] = None,
) -> None:
    """Write a sweep file to start from, with comments on all keys: of a function, of a script, or of the VAE."""
    from orchestrator import functions
    from orchestrator.commands.first_sweep import of_function, of_program, stem_of
    from orchestrator.commands.questions import ask
    from orchestrator.commands.template import SCHEMA_FILE, composed, copied
    from orchestrator.schema import text as schema_text
    from orchestrator.spec import load
    from orchestrator.trials.grid import expand

    if len(given := [one for one in (source, trial, program) if one is not None]) > 1:
        raise InputError("init takes one of --from, --trial and --program, not several")
    stem = Path(source).stem if source else stem_of(given[0]) if given else "sweep"
    path = file or Path(f"{stem}.yaml")
    if path.exists():
        raise InputError(f"{path}: exists already and is not overwritten; name another file")
    if source is not None:
        text = copied(source, path.stem, functions.default_trial().parameters)
    elif trial is not None:
        text = of_function(trial, path)
    elif program is not None:
        text = of_program(program, path)
    elif sys.stdin.isatty():
        function = functions.default_trial()
        text = composed(*ask(function), function.parameters)
    else:
        raise InputError(
            "init asks questions, but standard input is not a terminal; copy a sweep instead, for example with "
            "--from quickstart, or name what to sweep: --trial mine:train, --program train.py"
        )
    _write(path, text)
    schema = path.with_name(SCHEMA_FILE)
    if not schema.exists():
        _write(schema, schema_text())
    try:
        spec = load(path)
    except InputError as error:
        raise InputError(*str(error).splitlines(), f"{path} is written; put in what it lacks") from error
    if spec.is_listed and (invalid := expand(spec).invalid):
        raise InputError(*invalid)
    typer.echo(f"wrote {path}; `sweep plan {path}` shows its trials, `sweep launch {path}` runs them")


def _write(path: Path, text: str) -> None:
    try:
        with path.open("x") as file:
            file.write(text)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error
