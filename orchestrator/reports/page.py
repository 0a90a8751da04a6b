"""The report as one HTML page: styles, scripts, data and pictures inside, and nothing fetched from anywhere."""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
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
MOST_ROWS = 20  # of a table, before the rest is folded away


def environment(is_html: bool) -> jinja2.Environment:
    """The templates. All text from a sweep file is escaped in HTML."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("orchestrator.reports"),
        autoescape=is_html,  # noqa: S701
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )


def html(title: str, made: str, sections: Sequence[Section]) -> str:
    """The page.

    Args:
        title: of the page.
        made: a sentence on when and how it was made.
        sections: one for each sweep.
    """
    templates = environment(is_html=True)
    numbers = count(1)
    charts: dict[int, Chart] = {}

    def number(chart: Chart) -> int:
        charts[index := next(numbers)] = chart
        return index

    library = script(vega())
    drawing = script(templates.get_template("page.js").render())
    return templates.get_template("page.html").render(
        **content(title, made, sections),
        has_charts=any(part.charts for section in sections for part in section.parts),
        verdicts=list(Verdict),
        most_rows=MOST_ROWS,
        light=theme.LIGHT,
        dark=theme.DARK,
        config=theme.variable(),
        number=number,
        library=library,
        drawing=drawing,
        hashes=[fingerprint(code) for code in (library, drawing)],
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


def script(code: str) -> Markup:
    """Code as a page may contain it: without end tags, which would end the script."""
    return Markup(code.replace("</script", "<\\/script").replace("<!--", "<\\!--"))  # noqa: S704


def fingerprint(code: str) -> str:
    """The hash of a script in the page's Content-Security-Policy."""
    return base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
