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
) -> None:
    """Write a sweep file to start from, with comments on all keys: ask what to vary, or copy a sweep."""
    from orchestrator import functions
    from orchestrator.commands.questions import ask
    from orchestrator.commands.template import SCHEMA_FILE, composed, copied
    from orchestrator.schema import text as schema_text
    from orchestrator.spec import load
    from orchestrator.trials.grid import expand

    path = file or Path(f"{Path(source).stem if source else 'sweep'}.yaml")
    if path.exists():
        raise InputError(f"{path}: exists already and is not overwritten; name another file")
    function = functions.default_trial()
    if source is not None:
        text = copied(source, path.stem, function.parameters)
    elif sys.stdin.isatty():
        text = composed(*ask(function), function.parameters)
    else:
        raise InputError(
            "init asks questions, but standard input is not a terminal; copy a sweep instead, for example with "
            "--from quickstart"
        )
    _write(path, text)
    schema = path.with_name(SCHEMA_FILE)
    if not schema.exists():
        _write(schema, schema_text())
    spec = load(path)
    if spec.is_listed and (invalid := expand(spec).invalid):
        raise InputError(*invalid)
    typer.echo(f"wrote {path}; `sweep plan {path}` shows its trials, `sweep launch {path}` runs them")


def _write(path: Path, text: str) -> None:
    try:
        with path.open("x") as file:
            file.write(text)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error
