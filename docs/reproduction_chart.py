"""Draws the report's rows beside ours: docs/reproduction/rows.svg, for docs/reproduction.py."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from orchestrator.comparison.intervals import half_width
from orchestrator.reports.configurations import Configuration
from orchestrator.spec.sweep_spec import ReferenceRow

METRICS = {"ssim": "SSIM", "mse": "MSE"}
OURS, PUBLISHED = "#0072b2", "#d55e00"
Row = tuple[str, ReferenceRow, Configuration]


def draw(rows: Sequence[Row], path: Path) -> None:
    """A line for each row: published figures as diamonds, ours as dots with 95% intervals, explosions as crosses."""
    mpl.rcParams["svg.hashsalt"] = "rows"
    figure = Figure(figsize=(8, 0.27 * len(rows) + 1.2), layout="constrained")
    axes = figure.subplots(1, len(METRICS), sharey=True)
    for axis, (metric, title) in zip(axes, METRICS.items(), strict=True):
        for place, (_, published, configuration) in enumerate(rows):
            _mark(axis, place, metric, published, configuration)
        axis.set_xlabel(title)
        axis.grid(axis="x", color="#dddddd")
        axis.set_axisbelow(True)
    axes[0].set_yticks(range(len(rows)), [label for label, *_ in rows])
    axes[0].invert_yaxis()
    axes[1].set_xscale("log")
    axes[1].set_xticks([0.01, 0.02, 0.05, 0.1, 0.2], ["0.01", "0.02", "0.05", "0.1", "0.2"])
    axes[1].minorticks_off()
    handles = [
        axes[0].plot([], [], "D", color=PUBLISHED, fillstyle="none", label="published")[0],
        axes[0].plot([], [], "o", color=OURS, label="ours, with a 95% interval over seeds")[0],
        axes[0].plot([], [], "X", color="black", label="loss explosion, in the colour of whose")[0],
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False)
    figure.savefig(path, metadata={"Date": None})


def _mark(axis: Axes, place: int, metric: str, published: ReferenceRow, configuration: Configuration) -> None:
    edge = axis.get_yaxis_transform()  # what has no figure stands at the left
    if metric in published.metrics:
        axis.plot(published.metrics[metric], place, "D", color=PUBLISHED, fillstyle="none", zorder=3)
    elif published.outcome:
        axis.plot(0.02, place - 0.15, "X", color=PUBLISHED, transform=edge)
    values = configuration.values(metric)
    if values:
        axis.errorbar(sum(values) / len(values), place, xerr=half_width(values), fmt="o", color=OURS, capsize=3)
    elif configuration.exploded:
        axis.plot(0.02, place + 0.15, "X", color=OURS, transform=edge)
