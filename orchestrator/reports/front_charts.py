"""The Pareto front of several objectives, two at a time."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from orchestrator.comparison.configuration import Configuration
from orchestrator.comparison.ranking import front
from orchestrator.reports.charts import Chart, DataRow, chart, data, thinned
from orchestrator.reports.configurations import figure
from orchestrator.spec import Objective
from orchestrator.spec.objective import by_names

MOST_POINTS = 2000


def fronts(
    ranked: Sequence[Configuration], objectives: Sequence[Objective], names: Mapping[str, str]
) -> tuple[Chart, ...]:
    """The first objective over each of the others: what is on the front of all of them, joined, and the rest as rings.

    Args:
        ranked: configurations of which a seed has completed.
        objectives: what they are compared by.
        names: of these, by config_key.
    """
    if len(objectives) < 2 or not ranked:
        return ()
    kept = {one.config_key for one in front(ranked, objectives)}
    rows: list[DataRow] = [
        {
            "name": names[one.config_key],
            "best": one.config_key in kept,
            **{f"at{i}": interval.mean for i, interval in enumerate(one.intervals)},
        }
        for one in ranked
    ]
    return tuple(_front(rows, objectives, other) for other in range(1, len(objectives)))


def _front(rows: Sequence[DataRow], objectives: Sequence[Objective], other: int) -> Chart:
    best = sorted((row for row in rows if row["best"]), key=lambda row: float(row[f"at{other}"]))
    rest = thinned([row for row in rows if not row["best"]], MOST_POINTS)
    first, second = objectives[0], objectives[other]
    x = alt.X(f"at{other}:Q", title=f"{second.name} ({_better(second)})", scale=alt.Scale(zero=False))
    y = alt.Y("at0:Q", title=f"{first.name} ({_better(first)})", scale=alt.Scale(zero=False))
    tooltip = [
        alt.Tooltip("name:N", title="configuration"),
        *(alt.Tooltip(f"at{i}:Q", title=one.name) for i, one in enumerate(objectives)),
    ]
    joined = alt.Chart(data(best)).encode(x, y)
    layers = [
        alt.Chart(data(rest)).mark_point(style="completed").encode(x, y, tooltip=tooltip),
        # of more than two objectives the front is no line in two of them
        *([joined.mark_line()] if len(objectives) == 2 else []),
        joined.mark_point(filled=True, size=70, opacity=1).encode(tooltip=tooltip),
        _named(best[:1], x, y, align="left", dx=8, dy=12),
        _named(best[1:][-1:], x, y, align="right", dx=-2, dy=-12),
    ]
    return chart(f"{first.name} against {second.name}", _text(best, len(rows), objectives, other), layers)


def _named(rows: Sequence[DataRow], x: alt.X, y: alt.Y, **place: Any) -> alt.Chart:
    drawn: alt.Chart = alt.Chart(data(rows)).mark_text(**place).encode(x, y, text="name:N")
    return drawn


def _better(objective: Objective) -> str:
    return f"{'more' if objective.sign > 0 else 'less'} is better"


def _text(best: Sequence[DataRow], count: int, objectives: Sequence[Objective], other: int) -> str:
    first, second = objectives[0], objectives[other]
    ends = [
        f"{row['name']} ({first.name} {figure(row['at0'])}, {second.name} {figure(row[f'at{other}'])})"
        for row in (best[0], best[-1])[: len(best)]
    ]
    return (
        f"{first.name} over {second.name}, the means of {count} configurations. {len(best)} on the Pareto front of "
        f"{by_names(objectives)} (filled): no other is as good in all and better in one. From {' to '.join(ends)}."
    )
