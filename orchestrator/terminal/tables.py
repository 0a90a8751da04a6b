"""The tables that commands print."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from orchestrator.durations import duration
from orchestrator.expansion import label
from orchestrator.plan import Plan
from orchestrator.spec.form import Metric
from orchestrator.status import Status
from orchestrator.table import Table
from orchestrator.terminal.consoles import PIPE_WIDTH, has_ascii_alone
from orchestrator.terminal.view import STYLES, view
from orchestrator.trial import Outcome

if TYPE_CHECKING:  # scipy takes longer to import than a plan to make
    from orchestrator.boundary import Boundary
    from orchestrator.ranking import Standing

MOST_NEAR = 5


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


def print_boundary(console: Console, boundary: "Boundary") -> None:
    """Where training breaks, a row for each curve."""
    drawn = RichTable(box=box.SIMPLE_HEAD, title=boundary.title)
    for column in boundary.header():
        drawn.add_column(column, overflow="fold")
    for cells in boundary.cells():
        drawn.add_row(*map(Text, cells))
    console.print(drawn)


def print_plan(console: Console, plan: Plan) -> None:
    """A row for each trial with its state, then how many are to run and how long that may take."""
    trials, count = plan.trials, len(plan.trials) + plan.proposals
    table = RichTable(box=box.SIMPLE_HEAD, title=f"{plan.spec.name}: {count} trials of {plan.spec.function.name}")
    for column in ("trial", "trial_key", "state"):
        table.add_column(column, overflow="fold")
    for trial in trials:
        table.add_row(Text(trial.label), trial.trial_key, plan.state(trial))
    console.print(table)
    if plan.proposals:
        console.print(f"to be proposed by {plan.spec.method}: {plan.proposals}")
    if pruner := plan.spec.early_terminate:
        metric = pruner.metric or plan.spec.metric
        console.print(f"trials may end early, by {pruner.type} of {metric.name}: the time is the most that it may take")
    time = (
        "unknown: no finished trial in the store to learn from"
        if plan.seconds is None
        else f"about {duration(plan.seconds)}"
    )
    console.print(f"to run: {len(plan.pending) + plan.proposals} of {count}, {plan.at_a_time} at a time; time: {time}")


def print_best(
    console: Console, metric: Metric, standings: Sequence["Standing"], names: Sequence[str], command: str
) -> None:
    """The first of the standings by what varies, what cannot be told from it, and how to run it again."""
    first = standings[0]
    lines = [
        f"best of {len(standings)} by {metric.name} ({metric.goal}): {label(first.params, names) or 'the only one'}"
    ]
    seeds = f"{len(first.values)} seed{'s' * (len(first.values) > 1)}"
    if first.half_width is None:
        lines.append(f"{metric.name} {first.mean:.5g} ({seeds}: no interval)")
    else:
        lines.append(f"{metric.name} {first.mean:.5g} ± {first.half_width:.2g} (95%, {seeds})")
    seeds_in_all = first.exploded + first.pruned + len(first.values)
    for count, what in ((first.exploded, "exploded"), (first.pruned, "were pruned")):
        if count:
            lines.append(f"{count} of {seeds_in_all} seeds {what}")
    near = [label(one.params, names) for one in standings[1:] if first.half_width is not None and first.overlaps(one)]
    if near:
        lines.append(
            f"not told apart from it by these seeds: {'; '.join(near[:MOST_NEAR])}{', ...' * (len(near) > MOST_NEAR)}"
        )
    lines.append(f"run it again: {command}")
    for line in lines:
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def print_status(console: Console, sweeps: Sequence[Status]) -> None:
    """A row for each sweep: its trials by outcome, the time left, the best; and below, what runs now."""
    table = RichTable(box=box.SIMPLE_HEAD)
    for column in ("sweep", *Outcome, "running", "left", "best"):
        table.add_column(str(column))
    for sweep in sweeps:
        counts = [str(sweep.outcomes.get(outcome, 0)) for outcome in Outcome]
        left = "" if sweep.seconds_left is None else duration(sweep.seconds_left)
        best = f"{sweep.best.metric.name} {sweep.best.value:.5g}: {sweep.best.label}" if sweep.best else ""
        table.add_row(sweep.name, *counts, str(len(sweep.running)), left, Text(best))
    fits = console.measure(table, options=console.options.update(max_width=PIPE_WIDTH)).maximum <= console.width
    if fits:
        console.print(table)
    for sweep in sweeps:
        if sweep.running or not fits:
            lines = view(sweep, console.width, plain=has_ascii_alone(console))
            console.print(*lines, sep="\n")
