"""The losses of all runs in one panel; or another metric by epoch, where there are none."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import altair as alt

from orchestrator.progress.status import LOSS
from orchestrator.reports.charts import Chart, DataRow, chart, crosses, data, legend, thinned
from orchestrator.reports.configurations import figure
from orchestrator.reports.theme import GROUPS

MOST_POINTS = 120  # on a line
MOST_TICKS = 10
HEADROOM = 0.5  # above the highest loss of what did not explode: so much of an explosion is shown

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class LossCurve:
    """The losses of a run by epoch; where it exploded, the epoch and the last loss that was finite."""

    run: str
    configuration: str
    state: str
    training: Points
    validation: Points
    explosion: tuple[float, float | None] | None = None


def can_tell_apart(configurations: int) -> bool:
    """Whether so many configurations can each have a colour and a shape of their own."""
    return configurations <= GROUPS


def losses(curves: Sequence[LossCurve], best: str | None = None, note: str = "", what: str = LOSS) -> Chart | None:
    """A line for each run, training and validation, and a cross where one exploded.

    Where there are more configurations than can be told apart, the best one stands out from the others.

    Args:
        curves: a curve for each run.
        best: the configuration that stands out.
        note: what else is to be said of them.
        what: is drawn.
    """
    panel = _Panel([curve for curve in curves if curve.training or curve.validation or curve.explosion], best, what)
    if not panel.heights:
        return None
    layers = _told_apart(panel) if panel.few else _crowd(panel)
    if exploded := _crosses(panel):
        tooltip = [alt.Tooltip("run:N"), alt.Tooltip("epoch:Q"), alt.Tooltip("finite:N", title="last finite loss")]
        layers.append(crosses(exploded).encode(panel.x, panel.y, tooltip=tooltip))
    hint = "Click a name in the legend to highlight it." if panel.few else "Point at a line to see which run it is."
    title = "Loss curves" if what == LOSS else f"{what} by epoch"
    return chart(title, _text(panel, note), layers, hint=hint)


@dataclass(frozen=True)
class _Panel:
    curves: Sequence[LossCurve]
    best: str | None
    what: str

    @cached_property
    def groups(self) -> list[str]:
        return list(dict.fromkeys(curve.configuration for curve in self.curves))

    @property
    def few(self) -> bool:
        return can_tell_apart(len(self.groups))

    @cached_property
    def top(self) -> float | None:
        """The highest loss that is shown: some more than any of a run that did not explode; None shows all."""
        if self.what != LOSS:
            return None
        healthy = [v for curve in self.curves if not curve.explosion for _, v in (*curve.training, *curve.validation)]
        return max(healthy) + HEADROOM * abs(max(healthy)) if healthy else None

    @cached_property
    def heights(self) -> list[float]:
        """Every loss that is drawn."""
        told = [v for curve in self.curves for _, v in (*curve.training, *curve.validation, *self.crossing(curve))]
        return [self.shown(value) for value in told]

    @property
    def is_logarithmic(self) -> bool:
        return self.what == LOSS and min(self.heights) > 0

    @property
    def x(self) -> alt.X:
        told = [e for curve in self.curves for e, _ in (*curve.training, *curve.validation, *self.crossing(curve))]
        first, last = round(min(told)), round(max(told))
        step = 1 + (last - first) // MOST_TICKS
        ticks = sorted({first, *range(step * (first // step + 1), last + 1, step)})
        return alt.X("epoch:Q", title="epoch", axis=alt.Axis(values=ticks, format="d"), scale=alt.Scale(nice=False))

    @property
    def y(self) -> alt.Y:
        ends = [min(self.heights), max(self.heights) if self.top is None else self.top]
        if ends[0] == ends[1]:
            ends = [ends[0] - 0.1 * abs(ends[0]), ends[1] + 0.1 * abs(ends[1])]
        scale = alt.Scale(type="log" if self.is_logarithmic else "linear", domain=ends, nice=False)
        return alt.Y("loss:Q", title=self.what, scale=scale)

    @property
    def dash(self) -> alt.StrokeDash:
        dashes = {"training": [1, 0], "validation": [5, 3]}
        parts = [part for part in dashes if any(getattr(curve, part) for curve in self.curves)]
        scale = alt.Scale(domain=parts, range=[dashes[part] for part in parts])
        legend = alt.Legend(orient="top") if len(parts) > 1 else None
        return alt.StrokeDash("part:N", title=None, scale=scale, legend=legend)

    def shown(self, loss: float) -> float:
        return loss if self.top is None else min(loss, self.top)

    def crossing(self, curve: LossCurve) -> Points:
        """Where the cross of a run that exploded stands: at the upper edge if its loss lay beyond."""
        if curve.explosion is None:
            return []
        epoch, last = curve.explosion
        loss = last if last is not None else curve.training[-1][1] if curve.training else self.top
        return [] if loss is None else [(epoch, self.shown(loss))]


def _told_apart(panel: _Panel) -> list[alt.Chart]:
    """Each configuration in a colour of its own, and a shape at the last point; the legend picks one."""
    pick = alt.selection_point(fields=["group"], bind="legend")
    named = alt.Scale(domain=panel.groups)
    colour = alt.Color("group:N", title=None, scale=named, legend=legend(panel.groups))
    shape = alt.Shape("group:N", title=None, scale=named, legend=legend(panel.groups))
    faded = alt.when(pick).then(alt.value(1)).otherwise(alt.value(0.12))
    lines = _drawn(panel, _lines(panel, panel.curves)).mark_line(clip=True).encode(colour, opacity=faded)
    layers = [lines.add_params(pick)]
    if ends := _ends(panel):
        last = alt.Chart(data(ends)).mark_point(filled=True)
        layers.append(last.encode(panel.x, panel.y, colour, shape, opacity=faded))
    return layers


def _crowd(panel: _Panel) -> list[alt.Chart]:
    """The training losses of all, faintly, and the best one's before them; pointing at a line brings it out."""
    pick = alt.selection_point(fields=["run"], on="pointerover", clear="pointerout", empty=False)
    others = [curve for curve in panel.curves if curve.configuration != panel.best]
    best = [curve for curve in panel.curves if curve.configuration == panel.best]
    faded = alt.when(pick).then(alt.value(1)).otherwise(alt.value(0.25))
    lines = _drawn(panel, [row for row in _lines(panel, others) if row["part"] == "training"])
    layers = [lines.mark_line(clip=True, style="one of many").encode(opacity=faded).add_params(pick)]
    if rows := _lines(panel, best):
        layers.append(_drawn(panel, rows).mark_line(clip=True, style="best of many"))
    return layers


def _drawn(panel: _Panel, rows: Iterable[DataRow]) -> alt.Chart:
    return (
        alt.Chart(data(rows))
        .transform_flatten(["epoch", "loss"])
        .encode(
            panel.x,
            panel.y,
            panel.dash,
            alt.Detail("run:N"),
            tooltip=["run:N", "part:N", "ended:N", alt.Tooltip("last:Q", title="last loss")],
        )
    )


def _lines(panel: _Panel, curves: Iterable[LossCurve]) -> list[DataRow]:
    rows = []
    for curve in curves:
        for part, points in (("training", curve.training), ("validation", curve.validation)):
            drawn = [*points, *(panel.crossing(curve) if part == "training" else ())]
            seen = thinned([(epoch, panel.shown(value)) for epoch, value in drawn], MOST_POINTS)
            if points:
                epochs, values = zip(*seen, strict=True)
                row = {"run": curve.run, "group": curve.configuration, "part": part, "ended": curve.state}
                rows.append({**row, "last": points[-1][1], "epoch": list(epochs), "loss": list(values)})
    return rows


def _ends(panel: _Panel) -> list[DataRow]:
    """The last point of each run that did not explode."""
    rows = []
    for curve in panel.curves:
        points = curve.validation or curve.training
        if points and curve.explosion is None:
            rows.append({"group": curve.configuration, "epoch": points[-1][0], "loss": points[-1][1]})
    return rows


def _crosses(panel: _Panel) -> list[DataRow]:
    rows = []
    for curve in panel.curves:
        for epoch, loss in panel.crossing(curve):
            last = curve.explosion[1] if curve.explosion else None
            rows.append({"run": curve.run, "epoch": epoch, "loss": loss, "finite": figure(last) if last else "none"})
    return rows


def _text(panel: _Panel, note: str) -> str:
    curves = panel.curves
    exploded = sum(curve.explosion is not None for curve in curves)
    ended = [(curve.validation[-1][1], curve.run) for curve in curves if curve.validation and not curve.explosion]
    runs = f"{len(curves)} run{'s' * (len(curves) != 1)}"
    axis = ", on a logarithmic axis" * panel.is_logarithmic
    if panel.what != LOSS:
        said = [f"{panel.what} by epoch of {runs}."]
        said += [f"The best configuration, {panel.best}, is highlighted."] if panel.best and not panel.few else []
    elif panel.few:
        said = [f"Training loss (solid) and validation loss (dashed) by epoch of {runs}{axis}."]
        said += [f"Lowest last validation loss: {figure(min(ended)[0])} ({min(ended)[1]})."] if ended else []
    else:
        said = [f"Training loss by epoch of {runs}{axis}."]
        said += (
            [f"The best configuration, {panel.best}, is highlighted; its validation loss is dashed."] if panel.best else []
        )
    if exploded:
        said.append(f"{exploded} exploded; a cross marks the epoch, at the upper edge if the loss was higher.")
    return " ".join([*said, note]).strip()
