"""`sweep schema`."""

from typing import Annotated

import typer


def schema(
    of_json: Annotated[
        bool, typer.Option("--of-json", help="That of the documents that commands print with --json.")
    ] = False,
) -> None:
    """Print the JSON Schema of sweep files, for editors."""
    if of_json:
        from orchestrator.documents.schema import text
    else:
        from orchestrator.schema import text

    typer.echo(text(), nl=False)
