"""`sweep report`."""

from typing import Annotated

import typer

from orchestrator.errors import NotYetError


def report(sweeps: Annotated[list[str], typer.Argument(metavar="FILE or NAME ...")]) -> None:
    """Not yet: the report of sweeps as Markdown, HTML and CSV."""
    raise NotYetError(f"sweep report {' '.join(sweeps)}: not yet built; `sweep launch FILE` prints the result table")
