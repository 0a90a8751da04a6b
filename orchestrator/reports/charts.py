"""What charts have in common: Vega-Lite, by Altair, with a text that says what is shown, and without colours."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import altair as alt

CROSS = "M-1,-1L1,1M1,-1L-1,1"
HEIGHT = 320  # pixels
LONG = 20  # characters of a name in a legend

DataRow = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Chart:
    """A Vega-Lite specification that names no colours, and what it shows."""

    title: str
    text: str
    spec: Mapping[str, Any]
    hint: str = ""  # what a reader can do with it on a page


def chart(title: str, text: str, layers: Iterable[alt.Chart], height: int = HEIGHT, hint: str = "") -> Chart:
    """The layers as one chart, as wide as there is room; how it looks is the page's."""
    spec = alt.layer(*layers).properties(width="container", height=height, description=text).to_dict()
    return Chart(title, text, {key: value for key, value in spec.items() if key not in ("$schema", "config")}, hint)


def data(rows: Iterable[DataRow]) -> alt.InlineData:
    """Rows as a chart takes them, with no more figures than can be seen."""
    return alt.InlineData(values=[{name: rounded(value) for name, value in row.items()} for row in rows])


def legend(names: Sequence[str]) -> alt.Legend:
    """In as many columns as fit on a phone."""
    return alt.Legend(columns=1 if any(len(name) > LONG for name in names) else 2)


def crosses(rows: Iterable[DataRow]) -> alt.Chart:
    """A cross for each trial that exploded."""
    drawn: alt.Chart = alt.Chart(data(rows)).mark_point(shape=CROSS, style="exploded")
    return drawn


def rounded(value: Any) -> Any:
    """Numbers, also those of a list, to five significant figures."""
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def thinned(points: Sequence[T], most: int) -> Sequence[T]:
    """At most so many of the points, evenly, the first and the last among them."""
    if len(points) <= most:
        return points
    step = (len(points) - 1) / (most - 1)
    return [points[round(i * step)] for i in range(most)]
