"""Rate against distortion: what a code costs over what it leaves wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import altair as alt

from orchestrator.reports.charts import Chart, DataRow, chart, data, legend
from orchestrator.reports.configurations import figure
from orchestrator.reports.theme import GROUPS
from orchestrator.trials.labels import short

MOST_NAMES = 9  # beside points; of more, the ends alone are named


@dataclass(frozen=True)
class Tradeoff:
    """A configuration's distortion and rate, seed by seed, and the variance of its decoder."""

    var: float
    group: str  # its other parameters
    mse: Sequence[float]
    kl: Sequence[float]  # nats per image


def rate_distortion(tradeoffs: Sequence[Tradeoff]) -> Chart | None:
    """A line over var for each setting of the other parameters; None where var does not vary."""
    if len({one.var for one in tradeoffs}) < 2:
        return None
    ordered = sorted(tradeoffs, key=lambda one: one.var)
    means: list[DataRow] = [
        {"var": one.var, "label": short(one.var), "group": one.group, "mse": fmean(one.mse), "kl": fmean(one.kl)}
        for one in ordered
    ]
    seeds = [
        {"group": one.group, "mse": mse, "kl": kl}
        for one in ordered
        if len(one.mse) > 1
        for mse, kl in zip(one.mse, one.kl, strict=True)
    ]
    x = alt.X("mse:Q", title="distortion: validation MSE", scale=alt.Scale(zero=False))
    y = alt.Y("kl:Q", title="rate: KL divergence, nats per image", scale=alt.Scale(zero=False))
    base, single = alt.Chart(data(means)).encode(x, y), alt.Chart(data(seeds)).encode(x, y)
    points = base.mark_point(filled=True, size=70, opacity=1)
    tooltip = [alt.Tooltip("label:N", title="var"), alt.Tooltip("group:N", title="with"), "mse:Q", "kl:Q"]
    groups = list(dict.fromkeys(one.group for one in ordered))
    if 1 < len(groups) <= GROUPS:
        told: dict[str, Any] = {"title": None, "scale": alt.Scale(domain=groups), "legend": legend(groups)}
        base, single, points = (one.encode(alt.Color("group:N", **told)) for one in (base, single, points))
        points = points.encode(alt.Shape("group:N", **told))
    named = means if len(means) <= MOST_NAMES else [means[0], means[-1]]
    names = alt.Chart(data(named)).mark_text(align="left", dx=8, dy=-6)
    layers = [
        base.mark_line().encode(order="var:Q", detail="group:N"),
        *([single.mark_point(filled=True, style="seed")] if seeds else []),
        points.encode(tooltip=tooltip),
        names.encode(x, y, text="label:N"),
    ]
    return chart("Rate against distortion", _text(means, bool(seeds)), layers)


def _text(means: Sequence[DataRow], has_seeds: bool) -> str:
    least, most = means[0], means[-1]
    rate, distortion = (f"from {figure(least[name])} to {figure(most[name])}" for name in ("kl", "mse"))
    return (
        "What the code costs (KL divergence) over what it leaves wrong (MSE) for each var (beside the points), "
        f"on validation images at the last epoch. From var={least['label']} to var={most['label']} the rate goes "
        f"{rate} nats per image, and the distortion {distortion}.{' Small points are single seeds.' * has_seeds}"
    )
