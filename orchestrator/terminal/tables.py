"""The tables that commands print."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from orchestrator.durations import duration
from orchestrator.plan import Plan
from orchestrator.status import Status
from orchestrator.table import Table
from orchestrator.terminal.display import STYLES
from orchestrator.trial import Outcome


def print_results(console: Console, table: Table) -> None:
    """The result table, and below it a line for each trial of which there is something to say."""
    drawn = RichTable(box=box.SIMPLE_HEAD, title=f"{table.spec.name}: best {table.spec.metric.name} first")
    header = table.header()
    for column in header[:-1]:
        drawn.add_column(column, overflow="fold")
    for row, cells in zip(table.rows, table.cells(), strict=True):
        texts = [Text(cell) for cell in cells[:-1]]
        if row.outcome is not None:
            texts[header.index("outcome")].stylize(STYLES[row.outcome])
        drawn.add_row(*texts)
    console.print(drawn)
    for row, cells in zip(table.rows, table.cells(), strict=True):
        if cells[-1]:
            console.print(f"{row.trial.label}: {cells[-1]}", soft_wrap=True, markup=False)


def print_plan(console: Console, plan: Plan) -> None:
    """A row for each trial with its state, then how many are to run and how long that may take."""
    trials = plan.expansion.trials
    table = RichTable(box=box.SIMPLE_HEAD, title=f"{plan.spec.name}: {len(trials)} trials of {plan.spec.function.name}")
    for column in ("trial", "trial_key", "state"):
        table.add_column(column, overflow="fold")
    for trial in trials:
        table.add_row(Text(trial.label), trial.trial_key, plan.state(trial))
    console.print(table)
    time = (
        "unknown: no finished trial in the store to learn from"
        if plan.seconds is None
        else f"about {duration(plan.seconds)}"
    )
    console.print(f"to run: {len(plan.pending)} of {len(trials)}, {plan.workers} at a time; time: {time}")


def print_status(console: Console, sweeps: Sequence[Status]) -> None:
    """A row for each sweep: its trials by outcome, what runs now, and the time left."""
    table = RichTable(box=box.SIMPLE_HEAD)
    for column in ("sweep", *Outcome, "running", "left", "now"):
        table.add_column(str(column), overflow="fold")
    for sweep in sweeps:
        counts = [str(sweep.count(outcome)) for outcome in Outcome]
        left = "" if sweep.seconds_left is None else duration(sweep.seconds_left)
        table.add_row(sweep.name, *counts, str(len(sweep.running)), left, Text(", ".join(sweep.running)))
    console.print(table)
