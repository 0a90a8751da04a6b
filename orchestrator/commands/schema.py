"""`sweep schema`."""

import json

import typer


def schema() -> None:
    """Print the JSON Schema of sweep files, for editors."""
    from orchestrator.schema import schema as make

    typer.echo(json.dumps(make(), indent=2))
