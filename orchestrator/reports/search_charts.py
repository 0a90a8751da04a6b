"""Charts of a search: its history, the importance of parameters, and the metric along each of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from orchestrator.reports import charts
from orchestrator.reports.charts import Chart, chart, crosses, data
from orchestrator.reports.configurations import figure
from orchestrator.spec import Objective
from orchestrator.system.figures import numbered
from orchestrator.trials.labels import short

MARGIN = 0.06  # of the range: distance of exploded trials from the worst value
ROW = 34  # pixels


@dataclass(frozen=True)
class SearchTrial:
    """A trial of a search: its number, its value of the metric, and its parameters."""

    number: int
    run: str
    value: float | None  # None where it exploded
    params: Mapping[str, Any]
    pruned: bool = False  # its value is then the one that it had come to


def history(trials: Sequence[SearchTrial], objective: Objective, title: str = "Search history") -> Chart | None:
    """The metric by trial, the best so far, crosses for explosions, and pruned trials in grey."""
    completed = [trial for trial in trials if trial.value is not None and not trial.pruned]
    if not completed:
        return None
    better = max if objective.sign > 0 else min
    rows, best = [], None
    for trial in trials:
        if trial.value is not None and not trial.pruned:
            best = trial.value if best is None else better(best, trial.value)
        if best is not None:
            rows.append({"number": trial.number, "best": best})
    x = alt.X("number:Q", title="trial, in order of start", axis=alt.Axis(tickMinStep=1))
    line = alt.Chart(data(rows)).mark_line(interpolate="step-after", style="best")
    best_so_far = line.encode(x, alt.Y("best:Q", title=objective.name, scale=alt.Scale(zero=False)))
    first = better(completed, key=lambda trial: trial.value or 0.0)
    exploded = sum(trial.value is None for trial in trials)
    pruned = len(trials) - len(completed) - exploded
    on_pruned = (
        f" {pruned} pruned {'trials are' if pruned > 1 else 'trial is'} grey, at the last value." if pruned else ""
    )
    text = (
        f"{objective.name} of {numbered(len(completed))} in order of start. The line is the best value so far; "
        f"the best of all is {figure(first.value or 0.0)}, by trial {first.number} ({first.run})."
        f"{_on_crosses(exploded)}{on_pruned}"
    )
    return chart(title, text, [best_so_far, *_points(trials, objective, x)])


def importances(shares: Mapping[str, float], objective: Objective) -> Chart | None:
    """The importance of each parameter."""
    if not shares:
        return None
    rows = [{"name": name, "share": share, "label": f"{share:.0%}"} for name, share in shares.items()]
    base = alt.Chart(data(rows)).encode(
        alt.X("share:Q", title="share of the variance", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])),
        alt.Y("name:N", title=None, sort=list(shares)),
    )
    layers = [base.mark_bar(), base.mark_text(align="left", dx=4).encode(text="label:N")]
    listed = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
    text = (
        f"The share of the variance of {objective.name} that each parameter explains over its range, on its own "
        f"scale: {listed}. By functional ANOVA (fANOVA, a random forest) over the trials that completed, at most 500 "
        "of them; listed numbers of several decades count by their logarithm. What sets the best tenth of the trials "
        "apart is another question: sweep dashboard shows those shares, by PED-ANOVA."
    )
    return chart("Parameter importance", text, layers, height=ROW * len(rows) + 20)


def along(name: str, logarithmic: bool, trials: Sequence[SearchTrial], objective: Objective) -> Chart | None:
    """The metric along a parameter."""
    trials = [trial for trial in trials if not trial.pruned]
    completed = [trial for trial in trials if trial.value is not None]
    if not completed:
        return None
    values = [trial.params[name] for trial in trials]
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        x = alt.X("at:N", title=name, axis=alt.Axis(labelAngle=0))
    elif logarithmic:
        x = alt.X("at:Q", title=name, scale=alt.Scale(type="log", nice=False))
    else:
        x = alt.X("at:Q", title=name, scale=alt.Scale(zero=False, nice=False))
    layers = _points(trials, objective, x, name)
    better = max if objective.sign > 0 else min
    first = better(completed, key=lambda trial: trial.value or 0.0)
    text = (
        f"{objective.name} over {name}. The best, {figure(first.value or 0.0)}, is at {short(first.params[name])}."
        f"{_on_crosses(len(trials) - len(completed))}"
    )
    return chart(f"{objective.name} over {name}", text, layers, height=240)


def thinned(trials: Sequence[SearchTrial], objective: Objective, most: int) -> list[SearchTrial]:
    """At most `most` of the trials, evenly spaced, the best among them."""
    if len(trials) <= most:
        return list(trials)
    better = max if objective.sign > 0 else min
    completed = [trial for trial in trials if trial.value is not None and not trial.pruned]
    best = [better(completed, key=lambda trial: trial.value or 0.0)] if completed else []
    kept = {trial.number: trial for trial in (*charts.thinned(trials, most - 1), *best)}
    return [kept[number] for number in sorted(kept)]


def _points(trials: Sequence[SearchTrial], objective: Objective, x: alt.X, name: str | None = None) -> list[alt.Chart]:
    """A ring for each trial that completed, a cross beyond the worst of them for each that exploded."""
    values = [trial.value for trial in trials if trial.value is not None]
    spread = (max(values) - min(values)) or abs(values[0]) or 1.0
    edge = min(values) - MARGIN * spread if objective.sign > 0 else max(values) + MARGIN * spread
    y = alt.Y("value:Q", title=objective.name, scale=alt.Scale(zero=False))

    def rows(exploded: bool, pruned: bool = False) -> list[dict[str, Any]]:
        return [
            {
                "number": trial.number,
                "run": trial.run,
                "value": edge if trial.value is None else trial.value,
                **({} if name is None else {"at": _axis_value(trial.params[name])}),
            }
            for trial in trials
            if (trial.value is None) == exploded and trial.pruned == pruned
        ]

    tooltip = [alt.Tooltip("number:Q", title="trial"), alt.Tooltip("run:N")]
    rings = alt.Chart(data(rows(exploded=False))).mark_point(style="completed")
    layers = [rings.encode(x, y, tooltip=[*tooltip, alt.Tooltip("value:Q", title="value")])]
    if pruned := rows(exploded=False, pruned=True):
        grey = alt.Chart(data(pruned)).mark_point(style="pruned")
        layers.append(grey.encode(x, y, tooltip=[*tooltip, alt.Tooltip("value:Q", title="value when pruned")]))
    if exploded := rows(exploded=True):
        layers.append(crosses(exploded).encode(x, y, tooltip=tooltip))
    return layers


def _axis_value(value: Any) -> Any:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _on_crosses(exploded: int) -> str:
    drawn = "trials are drawn as crosses" if exploded > 1 else "trial is drawn as a cross"
    return f" {exploded} exploded {drawn} beyond the worst value." if exploded else ""
