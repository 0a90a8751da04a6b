"""Charts of a boundary sweep: a curve with its trials, or a map of several curves."""

import json
import math
import textwrap
from collections.abc import Sequence

import altair as alt
import numpy as np

from orchestrator.comparison.boundary import Boundary, Finding
from orchestrator.reports.charts import CROSS, Chart, DataRow, chart, crosses, data

POINTS = 121  # of a curve
NEAR = 0.012  # of the range: trials nearer than this would cover each other
LEVELS = 6  # of such trials, one above the other
CELLS = 80  # of a row of a map
ROW, LINE = 34, 15  # pixels: of a row at least, and of a line of its name
NAME_WIDTH, NAME_LINES = 30, 4  # of a row's name: characters in a line, and lines
WIDEST = 420  # pixels of a row's name
TALLEST = 8000  # pixels of a map, and a little more


def boundary_chart(boundary: Boundary, still: bool = False) -> Chart | None:
    """Where training breaks; None where no trial has a result yet.

    Args:
        boundary: the result of the sweep.
        still: whether it is for a picture: the estimates of a map's rows are then written beside them.
    """
    findings = [finding for finding in boundary.findings if finding.curve.points]
    if not findings:
        return None
    sentences = " ".join(_sentence(finding, boundary.risk) for finding in findings)
    if len(boundary.findings) == 1:
        words = "P(explosion) with its 95% band; crosses are trials that exploded, rings are trials that completed"
        marks = "the bar is the threshold's 95% interval, the dashed line the safest value"
        return chart(boundary.title, f"{words}; {marks}. {sentences}", _curve(findings[0]))
    words = "P(explosion) as colour, a row for each curve; rings are trials that completed, crosses exploded"
    marks = "the bar is the threshold's 95% interval"
    beside = "the text beside a row shows where half of its trials explode, and how many exploded."
    text = f"{words}, {marks}; {beside}" if still else f"{words}, {marks}. {sentences}"
    names = [
        textwrap.wrap(finding.curve.title, NAME_WIDTH, max_lines=NAME_LINES, placeholder=" ...")
        for finding in boundary.findings
    ]
    line_count = max(map(len, names))
    spacing = math.ceil(LINE * line_count * len(names) / TALLEST)  # rows from one name to the next, as there is room
    names = [lines if row % spacing == 0 else [] for row, lines in enumerate(names)]
    height = min(max(ROW, LINE * line_count + 4) * len(names), TALLEST)
    return chart(boundary.title, text, _map(boundary.findings, names, still), height + 40)


def _sentence(finding: Finding, risk: float) -> str:
    at = "".join(f"{name} {finding.curve.title}: " for name in finding.curve.choice)
    half = "half" if at else "Half"
    if finding.exploded in (0, len(finding.curve.points)):
        return f"{at}{_count(finding)}."
    nowhere = finding.estimate.safest is None
    safest = f"nowhere below {risk:.3g}" if nowhere else f"below {risk:.3g} {finding.safest}"
    return (
        f"{at}{half} of the trials explode {finding.breaks} (95% interval {finding.interval}); the rate "
        f"goes from 10% to 90% over {finding.spread}; the risk is {safest}; {_count(finding)}."
    )


def _count(finding: Finding) -> str:
    return f"{finding.exploded} of {len(finding.curve.points)} trials exploded"


def _x(finding: Finding, field: str = "value") -> alt.X:
    scale = finding.curve.scale
    return alt.X(
        f"{field}:Q",
        title=finding.curve.name,
        scale=alt.Scale(type="log" if scale.log else "linear", domain=[scale.low, scale.high], nice=False),
    )


def _curve(finding: Finding) -> list[alt.Chart]:
    """P(explosion) along the parameter; above it the trials that exploded, below it those that completed."""
    scale, estimate, x = finding.curve.scale, finding.estimate, _x(finding)
    positions = np.linspace(0, 1, POINTS)
    low, high = finding.curve.posterior.band(positions)
    rows = [
        {"value": scale.value(position), "p": float(p), "low": float(below), "high": float(above)}
        for position, p, below, above in zip(positions, finding.curve.posterior.mean(positions), low, high, strict=True)
    ]
    y = alt.Y("p:Q", title="P(explosion)", axis=alt.Axis(values=[0, 0.25, 0.5, 0.75, 1], format="%"))
    base = alt.Chart(data(rows)).encode(x)
    threshold = data([{**_threshold(0, finding), "p": 0.5, "interval": finding.interval}])
    layers = [
        base.mark_area(style="band").encode(alt.Y("low:Q", title="P(explosion)"), alt.Y2("high:Q")),
        base.mark_line(style="curve").encode(y),
        alt.Chart(threshold).mark_rule(style="interval").encode(_x(finding, "low"), y, x2="high:Q"),
        alt.Chart(threshold).mark_point(style="centre").encode(x, y, tooltip=["at:N", "interval:N"]),
    ]
    if estimate.safest is not None:
        safest = data([{"value": scale.value(estimate.safest), "safe": finding.safest}])
        layers.append(alt.Chart(safest).mark_rule(style="safe").encode(x, tooltip=["safe:N"]))
    for exploded, base_at, step in ((False, -0.06, -0.045), (True, 1.06, 0.045)):
        values = [value for value, has_exploded in finding.curve.points if has_exploded is exploded]
        heights = _levels([finding.curve.position(value) for value in values])
        trials = [{"value": value, "p": base_at + step * level} for value, level in zip(values, heights, strict=True)]
        if trials:
            marked = crosses(trials) if exploded else alt.Chart(data(trials)).mark_point(style="completed")
            layers.append(marked.encode(x, y, tooltip=["value:Q"]))
    return layers


def _levels(positions: Sequence[float]) -> list[int]:
    """The level of each trial, so that near ones do not cover each other."""
    return [sum(abs(other - at) < NEAR for other in positions[:i]) % LEVELS for i, at in enumerate(positions)]


def _map(findings: Sequence[Finding], names: Sequence[Sequence[str]], still: bool) -> list[alt.Chart]:
    """A row for each choice beside the parameter, coloured by P(explosion).

    Args:
        findings: a finding for each row.
        names: the lines of each row's name; empty where there is no room.
        still: whether the estimate of a row is written beside it.
    """
    x, y = _x(findings[0]), _named(findings, names)
    name = alt.Tooltip("name:N", title="curve")
    colour = alt.Color(
        "p:Q",
        title="P(explosion)",
        scale=alt.Scale(domain=[0, 1], scheme="redyellowblue", reverse=True),
        legend=alt.Legend(orient="bottom", direction="horizontal", format="%"),
    )
    thresholds = [_threshold(row, finding) for row, finding in enumerate(findings) if finding.curve.points]
    cells, estimates = alt.Chart(data(_cells(findings))), alt.Chart(data(thresholds))
    layers = [
        cells.transform_flatten(["value", "to", "p"])
        .mark_rect()
        .encode(x, y, colour, x2="to:Q", tooltip=[name, "value:Q", "p:Q"]),
        estimates.mark_rule(style="threshold on map").encode(_x(findings[0], "low"), y, x2="high:Q"),
        estimates.mark_point(style="centre on map", shape="diamond").encode(x, y, tooltip=[name, "at:N"]),
    ]
    if still:
        texts = alt.Chart(data(row for row in thresholds if names[row["row"]]))
        layers.append(texts.mark_text(x="width", dx=10, align="left").encode(y, text="estimate:N"))
    for exploded, offset in ((False, 9), (True, -9)):
        trials = [
            {"row": row, "value": value}
            for row, finding in enumerate(findings)
            for value, has_exploded in finding.curve.points
            if has_exploded is exploded
        ]
        if trials:
            drawn = alt.Chart(data(trials))
            marked = (
                drawn.mark_point(shape=CROSS, style="exploded on map", yOffset=offset)
                if exploded
                else drawn.mark_point(style="completed on map", yOffset=offset)
            )
            layers.append(marked.encode(x, y))
    return layers


def _named(findings: Sequence[Finding], names: Sequence[Sequence[str]]) -> alt.Y:
    """The rows, by their numbers: their names may be equal."""
    (second,) = findings[0].curve.choice
    lines = f"{json.dumps(names)}[datum.value]"
    axis = alt.Axis(
        labelExpr=lines,
        labelOffset=alt.ExprRef(f"{-LINE / 2} * (length({lines}) - 1)"),  # Vega centres only the first line
        labelLineHeight=LINE,
        labelLimit=WIDEST,
        maxExtent=WIDEST,
        ticks=False,
    )
    return alt.Y("row:O", title=second, axis=axis)


def _cells(findings: Sequence[Finding]) -> list[DataRow]:
    """P(explosion) along each row, in lists."""
    scale = findings[0].curve.scale
    edges = [scale.value(position) for position in np.linspace(0, 1, CELLS + 1)]
    centres = (np.arange(CELLS) + 0.5) / CELLS
    return [
        {
            "row": row,
            "name": finding.curve.title,
            "value": edges[:-1],
            "to": edges[1:],
            "p": finding.curve.posterior.mean(centres).tolist(),
        }
        for row, finding in enumerate(findings)
    ]


def _threshold(row: int, finding: Finding) -> DataRow:
    scale, estimate = finding.curve.scale, finding.estimate
    return {
        "row": row,
        "name": finding.curve.title,
        "low": scale.value(estimate.low),
        "value": scale.value(estimate.threshold),
        "high": scale.value(estimate.high),
        "at": finding.breaks,
        "estimate": f"{finding.breaks}; {_count(finding)}",
    }
