"""The picture of a Pareto front: every configuration by two metrics, those on the front joined."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from orchestrator.comparison.configuration import Configuration
from orchestrator.comparison.table import Table
from orchestrator.trials.labels import label

MOST_NAMED = 12  # configurations by their parameters, of the front and of those that exploded
LINE = 0.037  # of the height
LONGEST = 50  # characters of a name


def draw(table: Table, path: Path) -> None:
    """Draw the first two objectives of a sweep, as PNG."""
    x, y = table.spec.objectives[:2]
    figure = Figure(figsize=(8.5, 5.2), layout="constrained")
    axes = figure.subplots()
    completed = [one for one in table.configurations if one.values]
    axes.plot(*_points(completed), "o", color="tab:blue", alpha=0.5, ms=5, label=f"{len(completed)} completed")
    front = sorted(table.front, key=lambda one: one.intervals[0].mean)
    # nothing lies beyond this line: at a corner the next value of x is had for the next value of y
    corners = "steps-pre" if x.goal == "maximize" else "steps-post"
    axes.plot(
        *_points(front), "o-", color="tab:orange", mec="black", drawstyle=corners, label=f"{len(front)} on the front"
    )
    for number, point in enumerate(zip(*_points(front), strict=True), start=1):
        axes.annotate(str(number), point, xytext=(0, 7), textcoords="offset points", fontsize=8, ha="center")
    names = [f"{number}  {_name(table, one)}" for number, one in enumerate(front, start=1)]
    exploded = [one for one in table.configurations if one.exploded and not one.values]
    crosses = [rf"$\times$  {_name(table, one)}" for one in exploded]
    top = _list(axes, 1.0, "on the front", names, "black")
    _list(axes, top - LINE, f"{len(exploded)} exploded", crosses, "tab:red")
    axes.set(xlabel=f"{x.name} ({x.goal})", ylabel=f"{y.name} ({y.goal})")
    axes.set_title(f"{table.spec.name}: {x.name} and {y.name}", fontsize=11)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    figure.savefig(path, dpi=110)


def _points(found: Sequence[Configuration]) -> tuple[list[float], list[float]]:
    means = [[interval.mean for interval in one.intervals[:2]] for one in found]
    return [mean[0] for mean in means], [mean[1] for mean in means]


def _list(axes: Axes, top: float, title: str, names: Sequence[str], color: str) -> float:
    """List configurations in the margin, from the top down; returns where that ends."""
    more = [f"and {len(names) - MOST_NAMED} more"] if len(names) > MOST_NAMED else []
    lines = [title, *names[:MOST_NAMED], *more] if names else []
    for i, line in enumerate(lines):
        axes.text(1.02, top - LINE * i, line, transform=axes.transAxes, va="top", fontsize=7.5, color=color)
    return top - LINE * len(lines)


def _name(table: Table, one: Configuration) -> str:
    names = [name for name in table.varying if name != "seed"]
    name = label(table.spec, one.params, names)
    return (name if len(name) <= LONGEST else f"{name[: LONGEST - 3]}...").replace("$", r"\$")
