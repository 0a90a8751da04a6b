"""Charts of a boundary sweep: a curve with its trials, or a map of several curves."""

import json
import math
import textwrap
from collections.abc import Sequence

import altair as alt
import numpy as np

from orchestrator.comparison.boundary import Boundary, Finding
from orchestrator.reports.charts import CROSS, Chart, DataRow, chart, crosses, data
from orchestrator.spec.event import BoundaryEvent

POINTS = 121  # of a curve
NEAR = 0.012  # of the range: trials nearer than this would cover each other
LEVELS = 6  # of such trials, one above the other
MOST_TOLD = 3  # curves, in the answer
CELLS = 80  # of a row of a map
ROW, LINE = 34, 15  # pixels: of a row at least, and of a line of its name
NAME_WIDTH, NAME_LINES = 30, 4  # of a row's name: characters in a line, and lines
WIDEST = 420  # pixels of a row's name
TALLEST = 8000  # pixels of a map, and a little more


def boundary_chart(boundary: Boundary, still: bool = False) -> Chart | None:
    """Where the event begins; None where no trial has a result yet.

    Args:
        boundary: the result of the sweep.
        still: whether it is for a picture: the estimates of a map's rows are then written beside them.
    """
    findings = [finding for finding in boundary.findings if finding.curve.points]
    if not findings:
        return None
    event = boundary.event
    sentences = " ".join(_sentence(finding, boundary) for finding in findings)
    crossed = f"crosses are trials with it ({event.name}), rings are trials without"
    if len(boundary.findings) == 1:
        words = f"{_probability(event)} with its 95% band; {crossed}"
        bar = ["a bar is a threshold's 95% interval"] * bool(findings[0].estimate.edges)
        dashed = ["a dashed line is the end of what is safe"] * bool(_ends(findings[0]))
        marks = "; ".join([words, *bar, *dashed])
        return chart(boundary.title, f"{marks}. {sentences}", _curve(findings[0], event))
    words = f"{_probability(event)} as colour, a row for each curve; {crossed}"
    marks = "a bar is a threshold's 95% interval"
    beside = f"the text beside a row shows where the rate of {event.several} rises, and in how many trials."
    text = f"{words}, {marks}; {beside}" if still else f"{words}, {marks}. {sentences}"
    names = [
        textwrap.wrap(finding.curve.title, NAME_WIDTH, max_lines=NAME_LINES, placeholder=" ...")
        for finding in boundary.findings
    ]
    line_count = max(map(len, names))
    spacing = math.ceil(LINE * line_count * len(names) / TALLEST)  # rows from one name to the next, as there is room
    names = [lines if row % spacing == 0 else [] for row, lines in enumerate(names)]
    height = min(max(ROW, LINE * line_count + 4) * len(names), TALLEST)
    return chart(boundary.title, text, _map(boundary, names, still), height + 40)


def answer(boundary: Boundary) -> str:
    """Where the event begins, in sentences on a bounded number of curves; empty where no trial has a result yet."""
    findings = [finding for finding in boundary.findings if finding.curve.points]
    more = f" So for {len(findings) - MOST_TOLD} more curves, below." if len(findings) > MOST_TOLD else ""
    return " ".join(_sentence(finding, boundary) for finding in findings[:MOST_TOLD]) + more


def _probability(event: BoundaryEvent) -> str:
    return f"P({event.name})"


def _sentence(finding: Finding, boundary: Boundary) -> str:
    at = "".join(f"{name} {finding.curve.title}: " for name in finding.curve.choice)
    several, count = boundary.event.several, f"in {finding.counted} trials"
    the = "the" if at else "The"
    safest = f"{boundary.risk:.3g} is {finding.safest}" if not finding.estimate.safe else ""
    safe = f"a risk below {safest}" if safest else f"the risk is below {boundary.risk:.3g} {finding.safest}"
    if finding.count in (0, len(finding.curve.points)):
        return f"{at}{several} {count}; {safe}."
    return (
        f"{at}{the} rate of {several} goes from {finding.rates}, and is high {finding.where} (95% interval "
        f"{finding.interval}; 10% to 90% of the rise: {finding.spread}); {safe}; {several} {count}."
    )


def _x(finding: Finding, field: str = "value") -> alt.X:
    scale = finding.curve.scale
    return alt.X(
        f"{field}:Q",
        title=finding.curve.name,
        scale=alt.Scale(type="log" if scale.log else "linear", domain=[scale.low, scale.high], nice=False),
    )


def _curve(finding: Finding, event: BoundaryEvent) -> list[alt.Chart]:
    """P(event) along the parameter; above it the trials in which it happened, below it the others."""
    scale, x, title = finding.curve.scale, _x(finding), _probability(event)
    positions = np.linspace(0, 1, POINTS)
    low, high = finding.curve.posterior.band(positions)
    rows = [
        {"value": scale.value(position), "p": float(p), "low": float(below), "high": float(above)}
        for position, p, below, above in zip(positions, finding.curve.posterior.mean(positions), low, high, strict=True)
    ]
    y = alt.Y("p:Q", title=title, axis=alt.Axis(values=[0, 0.25, 0.5, 0.75, 1], format="%"))
    base = alt.Chart(data(rows)).encode(x)
    halfway = (finding.estimate.least + finding.estimate.greatest) / 2
    threshold = data({**row, "p": halfway, "interval": finding.interval} for row in _thresholds(0, finding))
    layers = [
        base.mark_area(style="band").encode(alt.Y("low:Q", title=title), alt.Y2("high:Q")),
        base.mark_line(style="curve").encode(y),
        alt.Chart(threshold).mark_rule(style="interval").encode(_x(finding, "low"), y, x2="high:Q"),
        alt.Chart(threshold).mark_point(style="centre").encode(x, y, tooltip=["at:N", "interval:N"]),
    ]
    if ends := _ends(finding):
        safest = data({"value": scale.value(end), "safe": finding.safest} for end in ends)
        layers.append(alt.Chart(safest).mark_rule(style="safe").encode(x, tooltip=["safe:N"]))
    for has_it, base_at, step in ((False, -0.06, -0.045), (True, 1.06, 0.045)):
        values = [value for value, happened in finding.curve.points if happened is has_it]
        heights = _levels([finding.curve.position(value) for value in values])
        trials = [{"value": value, "p": base_at + step * level} for value, level in zip(values, heights, strict=True)]
        if trials:
            marked = crosses(trials) if has_it else alt.Chart(data(trials)).mark_point(style="completed")
            layers.append(marked.encode(x, y, tooltip=["value:Q"]))
    return layers


def _ends(finding: Finding) -> list[float]:
    """Where what is safe ends, within the range."""
    return [end for region in finding.estimate.safe for end in region if 0 < end < 1]


def _levels(positions: Sequence[float]) -> list[int]:
    """The level of each trial, so that near ones do not cover each other."""
    return [sum(abs(other - at) < NEAR for other in positions[:i]) % LEVELS for i, at in enumerate(positions)]


def _map(boundary: Boundary, names: Sequence[Sequence[str]], still: bool) -> list[alt.Chart]:
    """A row for each choice beside the parameter, coloured by P(event).

    Args:
        boundary: with a finding for each row.
        names: the lines of each row's name; empty where there is no room.
        still: whether the estimate of a row is written beside it.
    """
    findings = boundary.findings
    x, y = _x(findings[0]), _named(findings, names)
    name = alt.Tooltip("name:N", title="curve")
    colour = alt.Color(
        "p:Q",
        title=_probability(boundary.event),
        scale=alt.Scale(domain=[0, 1], scheme="redyellowblue", reverse=True),
        legend=alt.Legend(orient="bottom", direction="horizontal", format="%"),
    )
    thresholds = [one for row, finding in enumerate(findings) for one in _thresholds(row, finding)]
    cells, estimates = alt.Chart(data(_cells(findings))), alt.Chart(data(thresholds))
    layers = [
        cells.transform_flatten(["value", "to", "p"])
        .mark_rect()
        .encode(x, y, colour, x2="to:Q", tooltip=[name, "value:Q", "p:Q"]),
        estimates.mark_rule(style="threshold on map").encode(_x(findings[0], "low"), y, x2="high:Q"),
        estimates.mark_point(style="centre on map", shape="diamond").encode(x, y, tooltip=[name, "at:N"]),
    ]
    if still:
        beside = {row["row"]: row for row in thresholds if names[row["row"]]}
        texts = alt.Chart(data(beside.values()))
        layers.append(texts.mark_text(x="width", dx=10, align="left").encode(y, text="estimate:N"))
    for has_it, offset in ((False, 9), (True, -9)):
        trials = [
            {"row": row, "value": value}
            for row, finding in enumerate(findings)
            for value, happened in finding.curve.points
            if happened is has_it
        ]
        if trials:
            drawn = alt.Chart(data(trials))
            marked = (
                drawn.mark_point(shape=CROSS, style="exploded on map", yOffset=offset)
                if has_it
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
    """P(event) along each row, in lists."""
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


def _thresholds(row: int, finding: Finding) -> list[DataRow]:
    """A row for each edge of a curve that has trials."""
    scale = finding.curve.scale
    return [
        {
            "row": row,
            "name": finding.curve.title,
            "low": scale.value(edge.low),
            "value": scale.value(edge.threshold),
            "high": scale.value(edge.high),
            "at": finding.where,
            "estimate": f"{finding.where}; in {finding.counted} trials",
        }
        for edge in (finding.estimate.edges if finding.curve.points else ())
    ]
