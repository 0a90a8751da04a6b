"""Charts of what a boundary sweep finds: a curve with its trials, or a map of several curves."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np

from orchestrator.comparison.boundary import Boundary, Finding, levels
from orchestrator.reports.charts import CROSS, Chart, chart, crosses, data

POINTS = 121  # of a curve
CELLS = 80  # of a row of a map
ROW = 34  # pixels
WIDEST = 420  # pixels of a row's name


def boundary(found: Boundary) -> Chart | None:
    """Where training breaks; None where no trial has told anything yet."""
    seen = [finding for finding in found.findings if finding.curve.points]
    if not seen:
        return None
    text = " ".join(_said(finding, found.risk) for finding in seen)
    if len(found.findings) == 1:
        words = (
            "P(explosion) with its 95% band; crosses above are trials that exploded, rings below those that completed"
        )
        marks = "the bar is the threshold's 95% interval, the dashed line the safest value"
        return chart(found.title, f"{words}; {marks}. {text}", _curve(seen[0]))
    words = (
        "P(explosion) as colour, a row for each curve; rings completed, crosses exploded, the bar is the threshold's"
    )
    return chart(found.title, f"{words} 95% interval. {text}", _map(found.findings), ROW * len(found.findings) + 40)


def _said(finding: Finding, risk: float) -> str:
    at = "".join(f"{name} {finding.curve.title}: " for name in finding.curve.choice)
    half = "half" if at else "Half"
    count = f"{finding.exploded} of {len(finding.curve.points)} trials exploded"
    if finding.exploded in (0, len(finding.curve.points)):
        return f"{at}{count}."
    return (
        f"{at}{half} of the trials explode {finding.breaks} (95% interval {finding.interval}), from 10% to 90% at "
        f"{finding.spread}; risk below {risk:.3g} {finding.safest}; {count}."
    )


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
    threshold = data(
        [
            {
                "value": scale.value(estimate.threshold),
                "low": scale.value(estimate.low),
                "high": scale.value(estimate.high),
                "p": 0.5,
                "at": finding.breaks,
                "interval": finding.interval,
            }
        ]
    )
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
        seen = [value for value, one in finding.curve.points if one is exploded]
        heights = levels([scale.position(value) for value in seen])
        trials = [{"value": value, "p": base_at + step * level} for value, level in zip(seen, heights, strict=True)]
        if trials:
            marked = crosses(trials) if exploded else alt.Chart(data(trials)).mark_point(style="completed")
            layers.append(marked.encode(x, y, tooltip=["value:Q"]))
    return layers


def _map(findings: Sequence[Finding]) -> list[alt.Chart]:
    """A row for each choice beside the parameter, coloured by P(explosion)."""
    scale = findings[0].curve.scale
    edges = [scale.value(position) for position in np.linspace(0, 1, CELLS + 1)]
    centres = (np.arange(CELLS) + 0.5) / CELLS
    names = [finding.curve.title for finding in findings]
    (second,) = findings[0].curve.choice
    cells: list[dict[str, Any]] = []
    thresholds: list[dict[str, Any]] = []
    trials: list[dict[str, Any]] = []
    for name, finding in zip(names, findings, strict=True):
        means = finding.curve.posterior.mean(centres)
        cells += [
            {"row": name, "value": edges[i], "to": edges[i + 1], "p": float(mean)} for i, mean in enumerate(means)
        ]
        trials += [{"row": name, "value": value, "exploded": exploded} for value, exploded in finding.curve.points]
        if finding.curve.points:
            at = finding.estimate
            low, middle, high = (scale.value(position) for position in (at.low, at.threshold, at.high))
            thresholds.append({"row": name, "low": low, "value": middle, "high": high, "at": finding.breaks})
    x, y = _x(findings[0]), alt.Y("row:N", title=second, sort=names, axis=alt.Axis(labelLimit=WIDEST, maxExtent=WIDEST))
    colour = alt.Color(
        "p:Q",
        title="P(explosion)",
        scale=alt.Scale(domain=[0, 1], scheme="redyellowblue", reverse=True),
        legend=alt.Legend(orient="bottom", direction="horizontal", format="%"),
    )
    layers = [
        alt.Chart(data(cells)).mark_rect().encode(x, y, colour, x2="to:Q", tooltip=["row:N", "value:Q", "p:Q"]),
        alt.Chart(data(thresholds)).mark_rule(style="threshold on map").encode(_x(findings[0], "low"), y, x2="high:Q"),
        alt.Chart(data(thresholds)).mark_point(style="centre on map", shape="diamond").encode(x, y, tooltip=["at:N"]),
    ]
    for exploded, offset in ((False, 9), (True, -9)):
        seen = [trial for trial in trials if trial["exploded"] is exploded]
        if seen:
            drawn = alt.Chart(data(seen))
            marked = (
                drawn.mark_point(shape=CROSS, style="exploded on map", yOffset=offset)
                if exploded
                else drawn.mark_point(style="completed on map", yOffset=offset)
            )
            layers.append(marked.encode(x, y))
    return layers
