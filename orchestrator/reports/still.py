"""Charts as pictures: as SVG for a text, as PNG with their titles and captions."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import vl_convert

from orchestrator.reports import theme
from orchestrator.reports.charts import Chart

WIDTH = 680  # pixels of a chart in a text
NARROW = 560  # of a chart with its title: a viewer shrinks a picture to its own width
CAPTION = 100  # characters in a line
SCALE = 2  # pixels of a PNG for a chart's pixel
TALLEST = 12_000  # pixels of a PNG, about


def svg(spec: Mapping[str, Any]) -> str:
    """A chart's specification as SVG."""
    return vl_convert.vegalite_to_svg({**spec, "width": WIDTH}, config=theme.fixed())


def png(charts: Sequence[Chart]) -> bytes:
    """Charts with their titles and captions, one below the other, as PNG."""
    datasets = {name: rows for chart in charts for name, rows in chart.spec["datasets"].items()}
    scale = min(SCALE, TALLEST / sum(chart.spec["height"] for chart in charts))
    spec = {"vconcat": [_titled(chart) for chart in charts], "datasets": datasets, "spacing": 40}
    return vl_convert.vegalite_to_png(spec, config=theme.fixed(), scale=scale)


def _titled(chart: Chart) -> dict[str, Any]:
    view = {name: value for name, value in chart.spec.items() if name != "datasets"}
    return {**view, "width": NARROW, "title": {"text": chart.title, "subtitle": textwrap.wrap(chart.text, CAPTION)}}
