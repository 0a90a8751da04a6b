"""The tables that commands print."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from orchestrator.comparison.best import Named, as_good, as_winner, facts, undistinguished
from orchestrator.comparison.configuration import Configuration
from orchestrator.comparison.dominance import may_be_dominated
from orchestrator.comparison.ranking import Ranking
from orchestrator.comparison.table import Table
from orchestrator.progress.status import Status
from orchestrator.spec import Objective
from orchestrator.system.durations import UNTIL_STOPPED, duration
from orchestrator.terminal.consoles import PIPE_WIDTH, is_ascii_only, print_line, print_words
from orchestrator.terminal.fitted import print_table
from orchestrator.terminal.view import STYLES, best_in_words, view
from orchestrator.trial import Outcome

if TYPE_CHECKING:  # scipy takes longer to import than a plan to make
    from orchestrator.comparison.boundary import Boundary

NUMBER = re.compile(r"\d+(\.\d+)?(e[+-]?\d+)?")


def print_results(console: Console, table: Table) -> None:
    """The result table, below it that over seeds, and a line for each trial that has a remark.

    Trials that have not begun are counted, once any has.
    """
    begun = any(row.record for row in table.rows)
    header, cells = table.header(), table.cells()
    shown = []
    for row, texts in zip(table.rows, cells, strict=True):
        if begun and row.record is None:
            continue
        styled: list[str | Text] = [*texts[:-1]]
        if row.outcome is not None:
            outcome = header.index("outcome")
            styled[outcome] = Text.assemble((texts[outcome], STYLES[row.outcome]))
        shown.append(styled)
    first = header.index("outcome") + 1 + (len(table.spec.objectives) > 1) + len(table.spec.objectives)
    print_table(console, table.title, header[:-1], shown, needed=header[:first])
    waiting = sum(row.record is None for row in table.rows)
    if begun and waiting:
        console.print(f"not run: {waiting} of {len(table.rows)}")
    if table.has_replicates:
        title = f"{table.spec.name}: means over seeds, with 95% intervals"
        names, rows = table.over_seeds()
        print_table(console, title, names, rows, needed=names[: names.index("seeds")])
    _print_remarks(console, [(row.trial.label, remark) for row, (*_, remark) in zip(table.rows, cells, strict=True)])


def _print_remarks(console: Console, remarks: Sequence[tuple[str, str]]) -> None:
    """A line for each trial that has a remark; a person reads once what several have, numbers aside."""
    said = [(label, remark) for label, remark in remarks if remark]
    kinds = [NUMBER.sub("", remark) if console.is_terminal else f"{at}" for at, (_, remark) in enumerate(said)]
    first = dict(zip(reversed(kinds), reversed(said), strict=True))
    for kind, count in Counter(kinds).items():
        more = f" ({count - 1} more for this reason)" if count > 1 else ""
        print_words(console, f"{': '.join(first[kind])}{more}")


def print_boundary(console: Console, boundary: "Boundary") -> None:
    """Where training breaks, a row for each curve."""
    print_table(console, boundary.title, boundary.header(), boundary.cells())


def print_best(console: Console, ranked: Ranking, named: Named, command: str) -> None:
    """The best configuration by what varies, those that are not separated from it, and how to run it again."""
    first = ranked[0]
    lines = [f"best of {len(ranked)} by {_aim(ranked.objectives[0])}: {named(first)}", *facts(first, ranked)]
    lines += [*as_winner(ranked), *as_good(ranked, named), *undistinguished(ranked, named)]
    for line in lines:
        print_words(console, line)
    for line in _again(command):
        print_line(console, line)


def print_front(
    console: Console,
    ranked: Ranking,
    front: Sequence[Configuration],
    named: Named,
    commands: Sequence[str],
) -> None:
    """Each configuration on the front by what varies, its values, and how to run it again."""
    aims = " and ".join(map(_aim, ranked.objectives))
    count = f"{len(front)} of {len(ranked)} configurations are on the Pareto front of {aims}"
    lines = [f"{count}: no other is as good in all of them and better in one"]
    doubtful = may_be_dominated(front, ranked)
    for one, command in zip(front, commands, strict=True):
        doubt = ["perhaps on the front: with these seeds it may be dominated"] * (one.config_key in doubtful)
        lines += ["", named(one), *facts(one, ranked), *doubt, *_again(command)]
    for line in lines:
        print_line(console, line)


def _again(command: str) -> list[str]:
    """The command that runs a configuration again; nothing where there is none."""
    return [f"run it again: {command}"] if command else []


def _aim(objective: Objective) -> str:
    return f"{objective.name} ({objective.goal})"


def print_status(console: Console, sweeps: Sequence[Status]) -> None:
    """A row for each sweep: its trials by outcome, the time left, the best; and below, what runs now."""
    table = _of_sweeps(sweeps, [*Outcome])
    fits = _width(console, table) <= console.width
    if not fits:  # then without outcomes that no trial has
        table = _of_sweeps(sweeps, [one for one in Outcome if any(sweep.outcomes.get(one) for sweep in sweeps)])
        fits = _width(console, table) <= console.width
    if fits:
        console.print(table)
    for sweep in sweeps:
        if sweep.running or not fits:
            lines = view(sweep, console.width, plain=is_ascii_only(console))
            console.print(*lines, sep="\n")


def _of_sweeps(sweeps: Sequence[Status], outcomes: Sequence[Outcome]) -> RichTable:
    table = RichTable(box=box.SIMPLE_HEAD)
    for column in ("sweep", *outcomes, "running", "left", "best"):
        table.add_column(str(column))
    for sweep in sweeps:
        counts = [str(sweep.outcomes.get(outcome, 0)) for outcome in outcomes]
        left = "" if sweep.seconds_left is None else duration(sweep.seconds_left)
        left = UNTIL_STOPPED if sweep.asked is None and sweep.running else left
        best = best_in_words(sweep.best) if sweep.best else ""
        table.add_row(Text(sweep.name), *counts, str(len(sweep.running)), left, Text(best))
    return table


def _width(console: Console, table: RichTable) -> int:
    return console.measure(table, options=console.options.update(max_width=PIPE_WIDTH)).maximum
