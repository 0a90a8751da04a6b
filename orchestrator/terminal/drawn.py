"""A table as the terminal shows it."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.table import Table as RichTable
from rich.text import Text


def drawn(title: str, header: Sequence[str], rows: Iterable[Sequence[str]] = ()) -> RichTable:
    """A table whose texts are printed as they are, and not cut."""
    table = RichTable(box=box.SIMPLE_HEAD, title=Text(title))
    for column in header:
        table.add_column(Text(column), overflow="fold")
    for cells in rows:
        table.add_row(*map(Text, cells))
    return table
