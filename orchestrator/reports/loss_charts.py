"""The losses of all runs in one panel; or another metric by epoch, where there are no losses."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import altair as alt

from orchestrator.progress.status import LOSS
from orchestrator.reports.charts import Chart, DataRow, chart, crosses, data, legend, thinned
from orchestrator.reports.configurations import figure
from orchestrator.reports.theme import GROUPS
from orchestrator.system.figures import numbered

MOST_POINTS = 120  # on a line
MOST_TICKS = 10
HEADROOM = 0.5  # of the highest loss of runs that did not explode: so far above it explosions are shown

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


def are_distinguishable(configurations: int) -> bool:
    """Whether each of so many configurations can have its own colour and shape."""
    return configurations <= GROUPS


def losses(curves: Sequence[LossCurve], best: str | None = None, note: str = "", quantity: str = LOSS) -> Chart | None:
    """A line for each run, training and validation, and a cross where one exploded.

    Where there are more configurations than colours, only the best is highlighted.

    Args:
        curves: a curve for each run.
        best: the configuration that is highlighted.
        note: further sentences for the caption.
        quantity: that is drawn.
    """
    panel = _Panel([curve for curve in curves if curve.training or curve.validation or curve.explosion], best, quantity)
    if not panel.heights:
        return None
    layers = _distinguished(panel) if panel.few else _crowd(panel)
    if exploded := _crosses(panel):
        tooltip = [alt.Tooltip("run:N"), alt.Tooltip("epoch:Q"), alt.Tooltip("finite:N", title="last finite loss")]
        layers.append(crosses(exploded).encode(panel.x, panel.y, tooltip=tooltip))
    hint = "Click a name in the legend to highlight it." if panel.few else "Point at a line to see which run it is."
    title = "Loss curves" if quantity == LOSS else f"{quantity} by epoch"
    return chart(title, _text(panel, note), layers, hint=hint)


@dataclass(frozen=True)
class _Panel:
    curves: Sequence[LossCurve]
    best: str | None
    quantity: str

    @cached_property
    def groups(self) -> list[str]:
        return list(dict.fromkeys(curve.configuration for curve in self.curves))

    @property
    def few(self) -> bool:
        return are_distinguishable(len(self.groups))

    @cached_property
    def top(self) -> float | None:
        """The highest loss that is shown: somewhat above the runs that did not explode; None shows all."""
        if self.quantity != LOSS:
            return None
        healthy = [v for curve in self.curves if not curve.explosion for _, v in (*curve.training, *curve.validation)]
        return max(healthy) + HEADROOM * abs(max(healthy)) if healthy else None

    @cached_property
    def heights(self) -> list[float]:
        """Every loss that is drawn."""
        values = [v for curve in self.curves for _, v in (*curve.training, *curve.validation, *self.crossing(curve))]
        return [self.shown(value) for value in values]

    @property
    def is_logarithmic(self) -> bool:
        return self.quantity == LOSS and min(self.heights) > 0

    @property
    def x(self) -> alt.X:
        epochs = [e for curve in self.curves for e, _ in (*curve.training, *curve.validation, *self.crossing(curve))]
        first, last = round(min(epochs)), round(max(epochs))
        step = 1 + (last - first) // MOST_TICKS
        ticks = sorted({first, *range(step * (first // step + 1), last + 1, step)})
        return alt.X("epoch:Q", title="epoch", axis=alt.Axis(values=ticks, format="d"), scale=alt.Scale(nice=False))

    @property
    def y(self) -> alt.Y:
        ends = [min(self.heights), max(self.heights) if self.top is None else self.top]
        if ends[0] == ends[1]:
            ends = [ends[0] - 0.1 * abs(ends[0]), ends[1] + 0.1 * abs(ends[1])]
        scale = alt.Scale(type="log" if self.is_logarithmic else "linear", domain=ends, nice=False)
        return alt.Y("loss:Q", title=self.quantity, scale=scale)

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
        """The cross of a run that exploded: at the upper edge if its loss was higher."""
        if curve.explosion is None:
            return []
        epoch, last = curve.explosion
        loss = last if last is not None else curve.training[-1][1] if curve.training else self.top
        return [] if loss is None else [(epoch, self.shown(loss))]


def _distinguished(panel: _Panel) -> list[alt.Chart]:
    """Each configuration in a colour of its own, and a shape at the last point; the legend highlights it."""
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
    """The training losses of all runs, faint, with the best in front; pointing at a line highlights it."""
    pick = alt.selection_point(fields=["run"], on="pointerover", clear="pointerout", empty=False)
    rest = [curve for curve in panel.curves if curve.configuration != panel.best]
    best = [curve for curve in panel.curves if curve.configuration == panel.best]
    faded = alt.when(pick).then(alt.value(1)).otherwise(alt.value(0.25))
    lines = _drawn(panel, [row for row in _lines(panel, rest) if row["part"] == "training"])
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
    runs = numbered(len(curves), "run")
    axis = ", on a logarithmic axis" * panel.is_logarithmic
    if panel.quantity != LOSS:
        sentences = [f"{panel.quantity} by epoch of {runs}."]
        sentences += [f"The best configuration, {panel.best}, is highlighted."] if panel.best and not panel.few else []
    elif panel.few:
        sentences = [f"Training loss (solid) and validation loss (dashed) by epoch of {runs}{axis}."]
        sentences += [f"Lowest last validation loss: {figure(min(ended)[0])} ({min(ended)[1]})."] if ended else []
    else:
        sentences = [f"Training loss by epoch of {runs}{axis}."]
        sentences += (
            [f"The best configuration, {panel.best}, is highlighted; its validation loss is dashed."]
            if panel.best
            else []
        )
    if exploded:
        sentences.append(f"{exploded} exploded; a cross marks the epoch, at the upper edge if the loss was higher.")
    return " ".join([*sentences, note]).strip()
