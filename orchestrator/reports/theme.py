"""Colours by their meaning: CSS variables on the page, which has a light and a dark theme; fixed in pictures."""

from collections.abc import Callable, Mapping
from typing import Any

GROUPS = 8  # configurations that colours and shapes can distinguish
LIGHT = {
    "paper": "#ffffff",
    "box": "#f6f7f8",
    "ink": "#1b1f24",
    "soft": "#57606a",
    "line": "#c9d1d9",
    "grid": "#e7eaee",
    "accent": "#0b5cad",
    "good": "#1a6e3a",
    "bad": "#b3261e",
    "c1": "#0072b2",
    "c2": "#d55e00",
    "c3": "#007f5f",
    "c4": "#b0508a",
    "c5": "#3f9bd1",
    "c6": "#9a6f00",
    "c7": "#6c4aa0",
    "c8": "#5f6368",
}
DARK = {
    "paper": "#14171a",
    "box": "#1d2125",
    "ink": "#e4e7eb",
    "soft": "#a3abb5",
    "line": "#454c54",
    "grid": "#2a2f35",
    "accent": "#7ab8ff",
    "good": "#7fd6a1",
    "bad": "#ff8a80",
    "c1": "#5aa9e6",
    "c2": "#ff9450",
    "c3": "#3ccf9b",
    "c4": "#e79ac4",
    "c5": "#8fd3ff",
    "c6": "#e0b84c",
    "c7": "#b39ddb",
    "c8": "#bfc5cc",
}
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"
SHAPES = (
    *("circle", "square", "diamond", "triangle-up", "triangle-down", "triangle-right", "triangle-left"),
    "M0,-1.2L0.35,-0.35L1.2,0L0.35,0.35L0,1.2L-0.35,0.35L-1.2,0L-0.35,-0.35Z",  # a star of four points
)


def config(colour: Callable[[str], str]) -> dict[str, Any]:
    """Vega-Lite's config: the styles that charts name by their meaning."""
    ink, soft, accent = colour("ink"), colour("soft"), colour("accent")
    white = {"filled": True, "color": "white", "stroke": "black", "opacity": 1}
    words = {"labelColor": soft, "titleColor": soft, "titleFontWeight": "normal", "labelFontSize": 12}
    return {
        "background": "transparent",
        "font": FONT,
        "view": {"stroke": None},
        "axis": {
            **words,
            "titleFontSize": 12,
            "labelSeparation": 8,
            "gridColor": colour("grid"),
            "domainColor": colour("line"),
            "tickColor": colour("line"),
        },
        "title": {
            "anchor": "start",
            "frame": "bounds",
            "color": ink,
            "fontSize": 15,
            "subtitleColor": soft,
            "subtitleFontSize": 12,
            "subtitleLineHeight": 17,
            "subtitlePadding": 6,
            "offset": 14,
        },
        "legend": {**words, "titleFontSize": 12, "orient": "bottom", "labelLimit": 290, "symbolSize": 80},
        "range": {
            "category": [colour(f"c{i + 1}") for i in range(GROUPS)],
            "symbol": list(SHAPES),
        },
        "mark": {"color": accent},
        "line": {"strokeWidth": 1.8},
        "point": {"size": 50},
        "text": {"color": ink, "fontSize": 12},
        "style": {
            "exploded": {"color": colour("bad"), "strokeWidth": 2, "size": 55, "opacity": 1},
            "completed": {"color": accent, "strokeWidth": 1.5, "size": 40},
            "pruned": {"color": soft, "strokeWidth": 1.5, "size": 40, "shape": "square"},
            "seed": {"opacity": 0.45, "size": 22},
            "one of many": {"color": soft, "strokeWidth": 1},
            "best of many": {"color": accent, "strokeWidth": 2.5},
            "best": {"color": colour("good"), "strokeWidth": 2},
            "curve": {"color": ink, "strokeWidth": 2},
            "band": {"color": ink, "opacity": 0.12},
            "interval": {"color": colour("c2"), "strokeWidth": 6},
            "centre": {
                "filled": True,
                "color": colour("c2"),
                "stroke": ink,
                "strokeWidth": 1,
                "size": 90,
                "opacity": 1,
            },
            "safe": {"color": colour("good"), "strokeWidth": 2, "strokeDash": [6, 4]},
            # on a map, whose colours are the same in both themes
            "exploded on map": {"color": "black", "strokeWidth": 1.3, "size": 24},
            "completed on map": {**white, "strokeWidth": 1, "size": 24},
            "threshold on map": {"color": "black", "strokeWidth": 3},
            "centre on map": {**white, "strokeWidth": 1.2, "size": 60},
        },
    }


def fixed(colours: Mapping[str, str] = LIGHT) -> dict[str, Any]:
    """The config of a picture."""
    return config(colours.__getitem__) | {"background": colours["paper"], "font": "sans-serif"}


def variable() -> dict[str, Any]:
    """The config of a chart on a page that has these colours as CSS variables."""
    return config(lambda name: f"var(--{name})")
