"""The base of all charts: Vega-Lite, by Altair, with a caption, and without colours."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import altair as alt

from orchestrator.trials.shortening import shortened

CROSS = "M-1,-1L1,1M1,-1L-1,1"
HEIGHT = 320  # pixels
LONG, LONGEST = 20, 38  # characters of a name in a legend: beyond which it has a column to itself, and at most

DataRow = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Chart:
    """A Vega-Lite specification without colours, and its title and caption."""

    title: str
    text: str
    spec: Mapping[str, Any]
    hint: str = ""  # how to use it on a page


def chart(title: str, text: str, layers: Iterable[alt.Chart], height: int = HEIGHT, hint: str = "") -> Chart:
    """The layers as one chart, as wide as its container; the page has its style."""
    spec = alt.layer(*layers).properties(width="container", height=height, description=text).to_dict()
    return Chart(title, text, {key: value for key, value in spec.items() if key not in ("$schema", "config")}, hint)


def data(rows: Iterable[DataRow]) -> alt.InlineData:
    """Rows as the data of a chart, rounded to what can be seen."""
    return alt.InlineData(values=[{name: rounded(value) for name, value in row.items()} for row in rows])


def legend(names: Sequence[str]) -> alt.Legend:
    """A legend with as many columns as fit on a phone; its names are as short as there is room for."""
    brief = shortened(names, LONGEST)
    drawn = alt.Legend(columns=1 if any(len(name) > LONG for name in names) else 2)
    if brief != [*names]:
        drawn.labelExpr = f"{json.dumps(dict(zip(names, brief, strict=True)))}[datum.label]"
    return drawn


def crosses(rows: Iterable[DataRow]) -> alt.Chart:
    """A cross for each trial that exploded."""
    drawn: alt.Chart = alt.Chart(data(rows)).mark_point(shape=CROSS, style="exploded")
    return drawn


def rounded(value: Any) -> Any:
    """Numbers, also those of a list, to five significant figures."""
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def thinned(points: Sequence[T], most: int) -> Sequence[T]:
    """At most `most` of the points, evenly spaced, the first and the last among them."""
    if len(points) <= most:
        return points
    step = (len(points) - 1) / (most - 1)
    return [points[round(i * step)] for i in range(most)]
