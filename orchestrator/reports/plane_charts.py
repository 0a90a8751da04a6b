"""Two metrics against each other, where the trial function declares a plane of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from orchestrator.functions.declaration import Plane
from orchestrator.reports.charts import Chart, DataRow, chart, data, legend
from orchestrator.reports.configurations import figure
from orchestrator.reports.theme import GROUPS
from orchestrator.system.averages import average
from orchestrator.trials.labels import short

MOST_NAMES = 9  # beside points; if there are more, only the ends are named


@dataclass(frozen=True)
class PlanePoint:
    """A configuration: its value of the plane's parameter, its other parameters, and both metrics, seed by seed."""

    at: float
    group: str
    x: Sequence[float]
    y: Sequence[float]


def plane_chart(plane: Plane, points: Sequence[PlanePoint]) -> Chart | None:
    """A line along the parameter for each setting of the others; None where the parameter does not vary."""
    if len({point.at for point in points}) < 2:
        return None
    ordered = sorted(points, key=lambda point: point.at)
    means: list[DataRow] = [
        {"at": point.at, "label": short(point.at), "group": point.group, "x": average(point.x), "y": average(point.y)}
        for point in ordered
    ]
    seeds = [
        {"group": point.group, "x": x, "y": y}
        for point in ordered
        if len(point.x) > 1
        for x, y in zip(point.x, point.y, strict=True)
    ]
    x = alt.X("x:Q", title=plane.x.heading, scale=alt.Scale(zero=False))
    y = alt.Y("y:Q", title=plane.y.heading, scale=alt.Scale(zero=False))
    base, single = alt.Chart(data(means)).encode(x, y), alt.Chart(data(seeds)).encode(x, y)
    marks = base.mark_point(filled=True, size=70, opacity=1)
    tooltip = [
        alt.Tooltip("label:N", title=plane.along),
        alt.Tooltip("group:N", title="with"),
        alt.Tooltip("x:Q", title=plane.x.name),
        alt.Tooltip("y:Q", title=plane.y.name),
    ]
    groups = list(dict.fromkeys(point.group for point in ordered))
    if 1 < len(groups) <= GROUPS:
        shared: dict[str, Any] = {"title": None, "scale": alt.Scale(domain=groups), "legend": legend(groups)}
        base, single, marks = (layer.encode(alt.Color("group:N", **shared)) for layer in (base, single, marks))
        marks = marks.encode(alt.Shape("group:N", **shared))
    named = means if len(means) <= MOST_NAMES else [means[0], means[-1]]
    names = alt.Chart(data(named)).mark_text(align="left", dx=8, dy=-6)
    layers = [
        base.mark_line().encode(order="at:Q", detail="group:N"),
        *([single.mark_point(filled=True, style="seed")] if seeds else []),
        marks.encode(tooltip=tooltip),
        names.encode(x, y, text="label:N"),
    ]
    return chart(plane.title, _text(plane, means, bool(seeds)), layers)


def _text(plane: Plane, means: Sequence[DataRow], has_seeds: bool) -> str:
    least, most = means[0], means[-1]
    ranges = [
        f"{metric.name} goes from {figure(least[axis])} to {figure(most[axis])}"
        for metric, axis in ((plane.y, "y"), (plane.x, "x"))
    ]
    return (
        f"{plane.text} The numbers at the points are values of {plane.along}. From {plane.along}={least['label']} to "
        f"{plane.along}={most['label']} {' and '.join(ranges)}.{' Small points are single seeds.' * has_seeds}"
    )
