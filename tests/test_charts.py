"""What the charts of a report draw, and what they say."""

import json
from typing import Any

import pytest

from models.declaration import DECLARATION
from orchestrator.comparison.configuration import Configuration
from orchestrator.comparison.ranking import ranking
from orchestrator.reports.charts import Chart, thinned
from orchestrator.reports.front_charts import fronts
from orchestrator.reports.loss_charts import LossCurve, losses
from orchestrator.reports.plane_charts import PlanePoint, plane_chart
from orchestrator.reports.search_charts import Tried, history
from orchestrator.spec.objective import Objective
from orchestrator.trial import Outcome
from orchestrator.trials.observation import Observation


def rows(chart: Chart | None, *fields: str) -> list[dict[str, Any]]:
    """The rows of all layers that have these fields."""
    assert chart is not None
    return [row for rows in chart.spec["datasets"].values() for row in rows if set(fields) <= row.keys()]


def healthy(run: str, *losses: float) -> LossCurve:
    points = list(enumerate(losses, 1))
    return LossCurve(run, run, "completed", points, [(epoch, loss + 1) for epoch, loss in points])


def test_a_cross_ends_a_run_that_exploded_no_higher_than_half_above_the_others() -> None:
    low = LossCurve("low", "low", "loss explosion", [(1, 70.0)], [], (2, 55.0))
    high = LossCurve("high", "high", "loss explosion", [(1, 70.0)], [], (2, 1e9))
    at_once = LossCurve("at once", "at once", "loss explosion", [], [], (1, None))
    chart = losses([healthy("fine", 99.0, 40.0), low, high, at_once])
    crosses = {row["run"]: (row["epoch"], row["loss"], row["finite"]) for row in rows(chart, "finite")}
    assert crosses == {
        "low": (2, 55.0, "55.00"),
        "high": (2, 150.0, "1.000e+09"),
        "at once": (1, 150.0, "none"),
    }
    lines = {(row["run"], row["part"]): row["loss"] for row in rows(chart, "part")}
    assert lines["high", "training"] == [70.0, 150.0]
    assert lines["fine", "validation"] == [100.0, 41.0]
    assert ("at once", "training") not in lines
    assert chart is not None
    assert "Lowest last validation loss: 41.00 (fine)." in chart.text
    assert "3 exploded" in chart.text


def test_of_more_runs_than_can_be_told_apart_the_best_stands_out() -> None:
    chart = losses([healthy(f"run {i}", 9.0, 8.0 - i) for i in range(7)], best="run 3")
    assert len(rows(chart, "part")) == 14
    crowd = losses([healthy(f"run {i}", 9.0, 8.0) for i in range(40)], best="run 3")
    drawn = [(row["run"], row["part"]) for row in rows(crowd, "part")]
    assert len(drawn) == 41
    assert [one for one in drawn if one[1] == "validation"] == [("run 3", "validation")]
    assert crowd is not None
    assert "The best configuration, run 3, stands out" in crowd.text


@pytest.mark.parametrize("low", [-1.0, 0.0])
def test_losses_that_are_not_all_positive_stand_on_a_linear_axis(low: float) -> None:
    chart = losses([healthy("fine", 5.0, low)])
    assert chart is not None
    assert '"log"' not in json.dumps(chart.spec)
    assert "logarithmic" not in chart.text
    assert losses([]) is None
    assert losses([LossCurve("at once", "at once", "loss explosion", [], [], (1, None))]) is None


def test_long_curves_are_drawn_with_few_points_their_ends_among_them() -> None:
    assert thinned(range(1000), 5) == [0, 250, 500, 749, 999]
    assert thinned([1, 2], 5) == [1, 2]
    (line, _) = rows(losses([healthy("long", *(1000.0 / n for n in range(1, 5001)))]), "part")
    assert (len(line["epoch"]), line["epoch"][0], line["epoch"][-1], line["last"]) == (120, 1, 5000, 0.2)


def test_rate_and_distortion_are_means_over_seeds_for_each_var() -> None:
    plane = DECLARATION.plane
    assert plane is not None
    points = [PlanePoint(0.5, "", [0.02, 0.04], [8.0, 10.0]), PlanePoint(0.1, "", [0.01], [20.0])]
    chart = plane_chart(plane, points)
    means = rows(chart, "at")
    assert [(row["at"], row["x"], row["y"]) for row in means[:2]] == [(0.1, 0.01, 20.0), (0.5, 0.03, 9.0)]
    assert chart is not None
    assert "From var=0.1 to var=0.5 val_kl goes from 20.00 to 9.000 and val_mse goes from" in chart.text
    assert plane_chart(plane, [PlanePoint(0.5, "", [0.02], [8.0])]) is None


@pytest.mark.parametrize(
    ("goal", "best", "edge"), [("maximize", [0.2, 0.6, 0.6], 0.176), ("minimize", [0.2] * 3, 0.624)]
)
def test_a_history_has_the_best_so_far_and_crosses_beyond_the_worst(goal: str, best: list[float], edge: float) -> None:
    tried = [Tried(1, "a", 0.2, {}), Tried(2, "b", 0.6, {}), Tried(3, "c", None, {})]
    chart = history(tried, Objective("score", goal))
    assert [row["best"] for row in rows(chart, "best")] == best
    assert [row["value"] for row in rows(chart, "run") if row["run"] == "c"] == [pytest.approx(edge)]


def test_a_front_is_joined_from_end_to_end_and_the_others_are_rings() -> None:
    objectives = (Objective("quality", "maximize"), Objective("cost", "minimize"))
    points = {"cheap": (1.0, 1.0), "dear": (3.0, 9.0), "middling": (2.0, 4.0), "worse": (1.5, 5.0)}
    found = [Configuration(name, {}, (Observation(Outcome.COMPLETED, point),)) for name, point in points.items()]
    ranked = ranking(found, objectives)
    names = {name: name for name in points}
    (chart,) = fronts(ranked, objectives, names)
    best = {(row["name"], row["at1"]) for row in rows(chart, "at1") if row["best"]}
    assert best == {("cheap", 1.0), ("middling", 4.0), ("dear", 9.0)}
    assert {row["name"] for row in rows(chart, "at1") if not row["best"]} == {"worse"}
    assert "3 on the Pareto front" in chart.text
    assert "From cheap (quality 1.000, cost 1.000) to dear (quality 3.000, cost 9.000)" in chart.text
    assert fronts(ranked, objectives[:1], names) == ()


def test_each_further_objective_has_a_chart_with_the_first() -> None:
    objectives = (Objective("quality", "maximize"), Objective("cost", "minimize"), Objective("time", "minimize"))
    only = Configuration("a", {}, (Observation(Outcome.COMPLETED, (1.0, 2.0, 3.0)),))
    assert [chart.title for chart in fronts([only], objectives, {"a": "a"})] == [
        "quality against cost",
        "quality against time",
    ]
