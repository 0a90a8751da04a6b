"""`sweep schema`."""

import typer


def schema() -> None:
    """Print the JSON Schema of sweep files, for editors."""
    from orchestrator.schema import text

    typer.echo(text(), nl=False)
