"""The picture of a boundary: one curve with its trials, or a map of several."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from orchestrator.comparison.boundary import LEVELS, Boundary, Finding, levels

POSITIONS = np.linspace(0, 1, 201)
TALLEST = 60  # inches
NAME_WIDTH, NAME_LINES = 30, 4  # of a row's name: characters in a line, and lines
COMPLETED, EXPLODED = "tab:blue", "tab:red"


def draw(boundary: Boundary, path: Path) -> None:
    """Draw what a sweep has found, as PNG."""
    findings = boundary.findings
    lines = max(_wrapped(finding).count("\n") for finding in findings)
    height = 4.6 if len(findings) == 1 else min(2.2 + (0.42 + 0.16 * lines) * len(findings), TALLEST)
    figure = Figure(figsize=(8.5, height), layout="constrained")
    axes = figure.subplots()
    if len(findings) == 1:
        _curve(axes, findings[0])
    else:
        _map(axes, findings)
    scale = findings[0].curve.scale
    axes.set(xlabel=findings[0].curve.name, xscale="log" if scale.log else "linear", xlim=(scale.low, scale.high))
    axes.set_title(boundary.title, fontsize=11)
    figure.legend(loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    figure.savefig(path, dpi=110)


def _curve(axes: Axes, finding: Finding) -> None:
    """P(explosion) along the parameter; above it the trials that exploded, below it those that completed."""
    scale, estimate = finding.curve.scale, finding.estimate
    mean = finding.curve.posterior.mean(POSITIONS)
    low, high = finding.curve.posterior.band(POSITIONS)
    values = [scale.value(position) for position in POSITIONS]
    axes.plot(values, mean, color="black", label="P(explosion)")
    axes.fill_between(values, low, high, color="black", alpha=0.12, lw=0, label="its 95% band")
    ends = scale.value(estimate.low), scale.value(estimate.high)
    axes.plot(ends, (0.5, 0.5), color="tab:orange", lw=5, solid_capstyle="butt", label="threshold, 95% interval")
    axes.plot(scale.value(estimate.threshold), 0.5, "o", color="tab:orange", mec="black", zorder=3)
    if estimate.safest is not None:
        label = f"risk below {finding.risk:.3g}: {finding.safest}"
        axes.axvline(scale.value(estimate.safest), color="tab:green", ls="--", label=label)
    for exploded, base, step, color, marker, name in (
        (False, -0.05, -0.04, COMPLETED, "o", "completed"),
        (True, 1.05, 0.04, EXPLODED, "x", "exploded"),
    ):
        seen = [value for value, one in finding.curve.points if one is exploded]
        heights = [base + step * level for level in levels([scale.position(value) for value in seen])]
        axes.plot(seen, heights, marker, color=color, ms=5, ls="", clip_on=False, label=f"{len(seen)} {name}")
    margin = 0.09 + 0.04 * (LEVELS - 1)
    axes.set(ylabel="P(explosion)", ylim=(-margin, 1 + margin), yticks=(0, 0.25, 0.5, 0.75, 1))
    axes.grid(alpha=0.3)


def _map(axes: Axes, findings: Sequence[Finding]) -> None:
    """A row for each choice beside the parameter, coloured by P(explosion)."""
    scale = findings[0].curve.scale
    edges = [scale.value(position) for position in np.linspace(0, 1, len(POSITIONS) + 1)]
    centres = (np.arange(len(POSITIONS)) + 0.5) / len(POSITIONS)
    colours = np.array([finding.curve.posterior.mean(centres) for finding in findings])
    mesh = axes.pcolormesh(edges, np.arange(len(findings) + 1) - 0.5, colours, cmap="RdYlBu_r", vmin=0, vmax=1)
    axes.figure.colorbar(mesh, ax=axes, label="P(explosion)", fraction=0.05)
    for row, finding in enumerate(findings):
        _row(axes, row, finding)
    (second,) = findings[0].curve.choice
    axes.set(ylabel=second, ylim=(-0.5, len(findings) - 0.5))
    axes.set_yticks(range(len(findings)), [_wrapped(finding).replace("$", r"\$") for finding in findings], fontsize=9)


def _wrapped(finding: Finding) -> str:
    return "\n".join(textwrap.wrap(finding.curve.title, NAME_WIDTH, max_lines=NAME_LINES, placeholder=" ..."))


def _row(axes: Axes, row: int, finding: Finding) -> None:
    scale, estimate = finding.curve.scale, finding.estimate
    named = row == 0  # one entry in the legend for all rows
    for exploded, marker, inside, name in ((False, "o", "white", "completed"), (True, "x", "none", "exploded")):
        seen = [value for value, one in finding.curve.points if one is exploded]
        heights = [row + (0.27 if exploded else -0.27)] * len(seen)
        axes.plot(
            seen, heights, marker, ms=4, ls="", clip_on=False, color="black", mfc=inside, label=name if named else None
        )
    if not finding.curve.points:
        return
    ends = scale.value(estimate.low), scale.value(estimate.high)
    axes.plot(ends, (row, row), color="black", lw=3, label="threshold, 95% interval" if named else None)
    axes.plot(scale.value(estimate.threshold), row, "D", color="black", mfc="white", ms=6, zorder=3)
