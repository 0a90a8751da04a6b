"""The report as one HTML page: styles, scripts, data and pictures inside, and nothing fetched from anywhere."""

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from itertools import count
from typing import Any

import jinja2
import vl_convert
from markupsafe import Markup

from orchestrator.reports import theme
from orchestrator.reports.charts import Chart
from orchestrator.reports.document import Section
from orchestrator.reports.verdict import Verdict, rule

SIGNS = {
    Verdict.REPRODUCED: "✓",
    Verdict.COMPATIBLE: "≈",
    Verdict.DIFFERS: "✗",
    Verdict.NOT_COMPARABLE: "○",
}
MOST_ROWS = 30  # of a table, before the rest is folded away
PACKAGE = files("orchestrator.reports")
TABLE_SCRIPT, TABLE_STYLE = "tabulator/tabulator.min.js", "tabulator/tabulator_simple.min.css"
SCRIPTS = (  # in the order in which they need each other
    *("elements", "keeping", "scales", "trials", "query", "selection", "saving", "pointing", "highlight"),
    *("words", "enlarging", "drawing", "pictures", "table", "parallel", "scatter", "curves", "effects", "heat"),
    *("trial", "compare", "links", "watching", "explorer", "tables", "page"),
)


def environment(is_html: bool) -> jinja2.Environment:
    """The templates. All text from a sweep file is escaped in HTML."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("orchestrator.reports"),
        autoescape=is_html,  # noqa: S701
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )


def html(title: str, made: str, sections: Sequence[Section], stamp: int | None = None) -> str:
    """The page.

    Args:
        title: of the page.
        made: a sentence on when and how it was made.
        sections: one for each sweep.
        stamp: which page of several it is, where it is to load itself again once there is another.
    """
    templates = environment(is_html=True)
    templates.filters["json"] = compact
    numbers = count(1)
    charts: dict[int, Chart] = {}

    def number(chart: Chart) -> int:
        charts[index := next(numbers)] = chart
        return index

    scripts = [script(code) for code in (vega(), table(), own())]
    return templates.get_template("page.html").render(
        **content(title, made, sections),
        has_trials=any(section.runs for section in sections),
        verdicts=list(Verdict),
        stamp=stamp,
        has_files=bool(stamp) or any(section.pictures for section in sections),
        most_rows=MOST_ROWS,
        light=theme.LIGHT,
        dark=theme.DARK,
        config=theme.variable(),
        number=number,
        table_style=Markup(_text(TABLE_STYLE)),  # noqa: S704
        scripts=scripts,
        hashes=[fingerprint(code) for code in scripts],
    )


def content(title: str, made: str, sections: Sequence[Section]) -> dict[str, Any]:
    """The variables of all templates: the title, the sections, and the rule for their verdicts."""
    return {
        "title": title,
        "made": made,
        "sections": sections,
        "has_verdicts": any(section.verdicts for section in sections),
        "signs": SIGNS,
        "rule": rule(section.declaration for section in sections),
    }


@cache
def vega() -> str:
    """Vega-Embed and all that it needs, as one script."""
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")


@cache
def table() -> str:
    """Tabulator, as one script."""
    return _text(TABLE_SCRIPT)


@cache
def own() -> str:
    """What the page does of its own, as one script."""
    return "\n".join(['"use strict";', *(_text(f"scripts/{name}.js") for name in SCRIPTS)])


def _text(name: str) -> str:
    """A file of this package; without the line that says where else the source of a library would be."""
    lines = PACKAGE.joinpath(name).read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if "sourceMappingURL" not in line)


def script(code: str) -> Markup:
    """Code as a page may contain it: without end tags, which would end the script."""
    return Markup(code.replace("</script", "<\\/script").replace("<!--", "<\\!--"))  # noqa: S704


def compact(value: Any) -> Markup:
    """JSON without blanks, as an element of the page may have it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&'\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704


def fingerprint(code: str) -> str:
    """The hash of a script in the page's Content-Security-Policy."""
    return base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
