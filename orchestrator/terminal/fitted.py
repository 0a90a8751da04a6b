"""Tables on terminals of any width: of the columns that there is room for, or as lines."""

from collections.abc import Collection, Mapping, Sequence
from itertools import chain

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from orchestrator.terminal.drawn import BETWEEN, EDGE, Cells, Drawn
from orchestrator.trials.shortening import middle_cut, shortened

SHORTEST_HEADING = 8
LONG_TEXT, SHORTEST_TEXT = 16, 12  # columns of a text that may be cut in its middle, and what stays at least
SHORTEST_LABEL = 24


def print_table(
    console: Console,
    title: str,
    header: Sequence[str],
    rows: Sequence[Cells],
    *,
    needed: Collection[str] = (),
    label: str = "",
) -> None:
    """A table; where it is too wide, without its last columns, which it says, or else as lines.

    Args:
        console: that it is printed on.
        title: above it.
        header: names of the columns, the important ones first.
        rows: their texts.
        needed: columns without which a row says too little; lines have these alone, or all where there are none.
        label: the column with labels of trials, which may be shortened.
    """
    table = _Columns(header, rows, label)
    if table.fits(console.width):
        console.print(Drawn(title, header, rows))
        return
    shown = table.chosen(console.width, needed)
    if shown is None:
        shown = [i for i, name in enumerate(header) if name in needed or not needed]
        _print_lines(console, title, [header[i] for i in shown], [[cells[i] for i in shown] for cells in rows])
    else:
        console.print(Drawn(title, *table.of(shown, console.width)))
    if left_out := [name for i, name in enumerate(header) if i not in shown]:
        console.print(f"no room for: {', '.join(left_out)}; a wider terminal, or a pipe, has them", markup=False)


class _Columns:
    """The columns of a table: how wide they are, and have to be at least."""

    def __init__(self, header: Sequence[str], rows: Sequence[Cells], label: str) -> None:
        self._header, self._rows, self._label = header, rows, label
        self._columns = [[cells[i] for cells in rows] for i in range(len(header))]
        self._natural = [max(map(cell_len, map(str, column)), default=0) for column in self._columns]
        self._least = [*map(self._least_of, header, self._columns, self._natural)]

    def fits(self, width: int) -> bool:
        """Whether there is room for all of it."""
        whole = [max(cell_len(name), size) for name, size in zip(self._header, self._natural, strict=True)]
        return _taken(whole) <= width

    def chosen(self, width: int, needed: Collection[str]) -> list[int] | None:
        """The columns that there is room for; None where some are needed that there is none for."""
        shown: list[int] = []
        for i in sorted(range(len(self._header)), key=lambda i: self._header[i] not in needed):
            if _taken([self._least[at] for at in (*shown, i)]) <= width:
                shown.append(i)
            elif self._header[i] in needed or not shown:
                return None
        return sorted(shown)

    def of(self, shown: Sequence[int], width: int) -> tuple[list[str], list[list[str | Text]]]:
        """The headings and rows of some columns; what was cut has the room that is left."""
        widths = {i: self._least[i] for i in shown}
        room = width - _taken([*widths.values()])
        for i in shown:
            more = min(room, max(0, max(self._natural[i], cell_len(self._header[i])) - widths[i]))
            widths[i], room = widths[i] + more, room - more
        columns = [self._cut(self._header[i], self._columns[i], widths[i]) for i in shown]
        return self._headings(widths), [list(cells) for cells in zip(*columns, strict=True)]

    def _headings(self, widths: Mapping[int, int]) -> list[str]:
        found = [middle_cut(self._header[i], size) for i, size in widths.items()]
        return found if len({*found}) == len(found) else [self._header[i] for i in widths]

    def _least_of(self, name: str, column: Sequence[str | Text], natural: int) -> int:
        least = natural
        if name == self._label:
            least = min(natural, SHORTEST_LABEL)
        elif natural > LONG_TEXT and _kinds(self._cut(name, column, SHORTEST_TEXT)) == _kinds(column):
            least = SHORTEST_TEXT
        return max(least, min(cell_len(name), SHORTEST_HEADING))

    def _cut(self, name: str, column: Sequence[str | Text], width: int) -> list[str | Text]:
        """The texts of a column, within a width; styled ones are left alone."""
        if name == self._label:
            return [*shortened([*map(str, column)], width)]
        return [cell if isinstance(cell, Text) else middle_cut(cell, width) for cell in column]


def _kinds(column: Sequence[str | Text]) -> int:
    """How many different texts there are."""
    return len({*map(str, column)})


def _taken(widths: Sequence[int]) -> int:
    """The columns of a terminal that a table takes."""
    return sum(widths) + 2 * len(EDGE) + len(BETWEEN) * (len(widths) - 1)


def _print_lines(console: Console, title: str, header: Sequence[str], rows: Sequence[Cells]) -> None:
    """Each row as a line, which is broken between words."""
    console.print(Text(title, style="italic"))
    for cells in rows:
        named = [(name, cell) for name, cell in zip(header, cells, strict=True) if str(cell)]
        parts = chain.from_iterable((", ", f"{name} ", cell) for name, cell in named)
        console.print(Text.assemble(*[*parts][1:]))
