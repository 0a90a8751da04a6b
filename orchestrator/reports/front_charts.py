"""The Pareto front of several objectives, two at a time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import altair as alt

from orchestrator.comparison.configuration import Configuration
from orchestrator.comparison.dominance import may_be_dominated
from orchestrator.comparison.ranking import Ranking
from orchestrator.reports.charts import Chart, DataRow, chart, data, thinned
from orchestrator.reports.configurations import figure
from orchestrator.spec import Objective
from orchestrator.spec.objective import by_names
from orchestrator.system.figures import numbered

MOST_POINTS = 2000
ROOM, WIDEST = 18, 200  # pixels: around the points, for names, and of a name in the chart
MOST_LISTED, LONGEST = 12, 50  # beside a picture: configurations in a list, and characters of a name
LINE = 15  # pixels of a line there


def fronts(
    configurations: Iterable[Configuration],
    objectives: Sequence[Objective],
    names: Mapping[str, str],
    still: bool = False,
    survivors: bool = False,
) -> tuple[Chart, ...]:
    """The first objective over each other objective: the front of all objectives as a line, the rest as rings.

    Args:
        configurations: with a result.
        objectives: by which they are compared.
        names: of the configurations, by config_key.
        still: whether it is for a picture: the front is then numbered, and lists of names are beside the first chart.
        survivors: whether seeds that were lost do not count.
    """
    configurations = [*configurations]
    ranked = Ranking(configurations, objectives, survivors) if len(objectives) > 1 else ()
    if not ranked:
        return ()
    front = ranked.front
    on_front = {configuration.config_key for configuration in front}
    doubtful = len(may_be_dominated(front, ranked))
    rows: list[DataRow] = [
        {
            "name": names[configuration.config_key],
            "best": configuration.config_key in on_front,
            **{f"at{i}": value for i, value in enumerate(ranked.expected(configuration))},
        }
        for configuration in ranked
    ]
    exploded = [names[item.config_key] for item in configurations if item.exploded and not item.values]
    lists = _numbered(rows, exploded) if still else []
    doubt = f" {doubtful} of them may be dominated: their seeds do not tell them from others." if doubtful else ""
    drawn = (_front(rows, objectives, i, len(exploded), lists if i == 1 else []) for i in range(1, len(objectives)))
    return tuple(replace(chart, text=chart.text + doubt) for chart in drawn)


def _front(
    rows: Sequence[DataRow], objectives: Sequence[Objective], other: int, exploded: int, lists: Sequence[alt.Chart]
) -> Chart:
    best = _along(rows, other)
    rest = thinned([row for row in rows if not row["best"]], MOST_POINTS)
    first, second = objectives[0], objectives[other]
    x, y = alt.X(f"at{other}:Q", **_look(rows, second, other)), alt.Y("at0:Q", **_look(rows, first, 0))
    tooltip = [
        alt.Tooltip("name:N", title="configuration"),
        *(alt.Tooltip(f"at{i}:Q", title=objective.name) for i, objective in enumerate(objectives)),
    ]
    joined = alt.Chart(data(best)).encode(x, y)
    # no point lies beyond this line: its corners are at the next value of x and of y
    corners: Literal["step-before", "step-after"] = "step-before" if second.sign > 0 else "step-after"
    layers = [
        *([alt.Chart(data(rest)).mark_point(style="completed").encode(x, y, tooltip=tooltip)] if rest else []),
        # with more than two objectives the front is not a line in two of them
        *([joined.mark_line(interpolate=corners)] if len(objectives) == 2 else []),
        joined.mark_point(filled=True, size=70, opacity=1).encode(tooltip=tooltip),
        *_names(best, first.sign, second.sign, x, y),
        *lists,
    ]
    return chart(f"{first.name} against {second.name}", _text(best, len(rows), exploded, objectives, other), layers)


def _along(rows: Sequence[DataRow], other: int) -> list[DataRow]:
    """The front, from left to right."""
    return sorted((row for row in rows if row["best"]), key=lambda row: float(row[f"at{other}"]))


def _look(rows: Sequence[DataRow], objective: Objective, i: int) -> dict[str, Any]:
    """Title and scale of an objective's axis."""
    title = f"{objective.name} ({'higher' if objective.sign > 0 else 'lower'} is better)"
    # a single value is a range without a width, for which Vega would round its label
    single = {"axis": alt.Axis(format=".4~g")} if len({row[f"at{i}"] for row in rows}) == 1 else {}
    return {"title": title, "scale": alt.Scale(zero=False, nice=False, padding=ROOM), **single}


def _names(best: Sequence[DataRow], up: int, right: int, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """The front's numbers, on its empty side; without numbers, the names of its ends beside the line."""
    placed: list[tuple[Sequence[DataRow], str, dict[str, Any]]]
    numbered = [row for row in best if "number" in row]
    if numbered:
        placed = [(numbered, "number:N", {"align": "left" if right > 0 else "right", "dx": 6 * right, "dy": -10 * up})]
    else:
        below = 12 if up != right else -12
        placed = [
            (best[:1], "name:N", {"align": "left", "dx": 8, "dy": below, "limit": WIDEST}),
            (best[1:][-1:], "name:N", {"align": "right", "dx": -2, "dy": -below, "limit": WIDEST}),
        ]
    return [alt.Chart(data(rows)).mark_text(**place).encode(x, y, text=field) for rows, field, place in placed if rows]


def _numbered(rows: Sequence[DataRow], exploded: Sequence[str]) -> list[alt.Chart]:
    """Number rows of the front; returns lists of these and of exploded configurations, for the right margin."""
    best = _along(rows, 1)
    listed = thinned(best, MOST_LISTED)
    for number, row in enumerate(listed, start=1):
        row["number"] = number
    above = _lines(len(best), "on the front", [f"{row['number']}: {row['name']}" for row in listed])
    lists = [_list(above)]
    if exploded:
        crosses = [f"\N{MULTIPLICATION SIGN} {name}" for name in exploded[:MOST_LISTED]]
        lists.append(_list(_lines(len(exploded), "exploded", crosses), y=LINE * (len(above) + 1), style="exploded"))
    return lists


def _lines(count: int, what: str, names: Sequence[str]) -> list[str]:
    short = [name if len(name) <= LONGEST else f"{name[: LONGEST - 3]}..." for name in names]
    return [f"{count} {what}", *short, *[f"and {count - len(names)} more"] * (count > len(names))]


def _list(lines: Sequence[str], y: int = 0, **look: Any) -> alt.Chart:
    drawn: alt.Chart = alt.Chart(data([{}])).mark_text(
        text=[*lines], x="width", dx=24, y=y, align="left", baseline="top", lineHeight=LINE, fontSize=11, **look
    )
    return drawn


def _text(best: Sequence[DataRow], count: int, exploded: int, objectives: Sequence[Objective], other: int) -> str:
    first, second = objectives[0], objectives[other]
    ends = [
        f"{row['name']} ({first.name} {figure(row['at0'])}, {second.name} {figure(row[f'at{other}'])})"
        for row in (best[0], best[-1])[: len(best)]
    ]
    return (
        f"{first.name} over {second.name}: means of {numbered(count, 'configuration')}"
        f"{f'; {exploded} more exploded' * (exploded > 0)}. {len(best)} on the Pareto front of {by_names(objectives)} "
        f"(filled points): no other is as good in all of them and better in one. From {' to '.join(ends)}."
    )
