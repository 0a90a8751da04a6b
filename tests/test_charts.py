"""What the charts of a report draw, and what they say."""

import io
import json
import re
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter

from models.declaration import DECLARATION
from orchestrator.comparison.boundary import Boundary, BoundaryCurve, Finding
from orchestrator.comparison.configuration import Configuration
from orchestrator.functions.parameter import Parameter
from orchestrator.reports import boundary_charts, still
from orchestrator.reports.boundary_charts import boundary_chart
from orchestrator.reports.charts import Chart, thinned
from orchestrator.reports.front_charts import fronts
from orchestrator.reports.loss_charts import LossCurve, losses
from orchestrator.reports.plane_charts import PlanePoint, plane_chart
from orchestrator.reports.search_charts import SearchTrial, history
from orchestrator.spec.domains import Range
from orchestrator.spec.event import EXPLOSION
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


def test_of_more_runs_than_colours_the_best_is_highlighted() -> None:
    chart = losses([healthy(f"run {i}", 9.0, 8.0 - i) for i in range(7)], best="run 3")
    assert len(rows(chart, "part")) == 14
    crowd = losses([healthy(f"run {i}", 9.0, 8.0) for i in range(40)], best="run 3")
    drawn = [(row["run"], row["part"]) for row in rows(crowd, "part")]
    assert len(drawn) == 41
    assert [one for one in drawn if one[1] == "validation"] == [("run 3", "validation")]
    assert crowd is not None
    assert "The best configuration, run 3, is highlighted" in crowd.text


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
    trials = [SearchTrial(1, "a", 0.2, {}), SearchTrial(2, "b", 0.6, {}), SearchTrial(3, "c", None, {})]
    chart = history(trials, Objective("score", goal))
    assert [row["best"] for row in rows(chart, "best")] == best
    assert [row["value"] for row in rows(chart, "run") if row["run"] == "c"] == [pytest.approx(edge)]


def test_a_front_is_joined_from_end_to_end_and_the_others_are_rings() -> None:
    objectives = (Objective("quality", "maximize"), Objective("cost", "minimize"))
    points = {"cheap": (1.0, 1.0), "dear": (3.0, 9.0), "middling": (2.0, 4.0), "worse": (1.5, 5.0)}
    found = [Configuration(name, {}, (Observation(Outcome.COMPLETED, point),)) for name, point in points.items()]
    names = {name: name for name in points}
    (chart,) = fronts(found, objectives, names)
    best = {(row["name"], row["at1"]) for row in rows(chart, "at1") if row["best"]}
    assert best == {("cheap", 1.0), ("middling", 4.0), ("dear", 9.0)}
    assert {row["name"] for row in rows(chart, "at1") if not row["best"]} == {"worse"}
    assert "3 on the Pareto front" in chart.text
    assert "From cheap (quality 1.000, cost 1.000) to dear (quality 3.000, cost 9.000)" in chart.text
    assert fronts(found, objectives[:1], names) == ()


def test_each_further_objective_has_a_chart_with_the_first() -> None:
    objectives = (Objective("quality", "maximize"), Objective("cost", "minimize"), Objective("time", "minimize"))
    only = Configuration("a", {}, (Observation(Outcome.COMPLETED, (1.0, 2.0, 3.0)),))
    assert [chart.title for chart in fronts([only], objectives, {"a": "a"})] == [
        "quality against cost",
        "quality against time",
    ]


LONG = "a_name_without_a_blank_that_is_longer_than_a_line=$x^2$ 日本語 кириллица " + "on and " * 30
UP_AND_DOWN = (Objective("quality", "maximize"), Objective("cost", "minimize"))


def texts(chart: Chart) -> list[list[str]]:
    """The lines of text that stand in a chart of themselves."""
    return [layer["mark"]["text"] for layer in chart.spec["layer"] if "text" in layer["mark"]]


def configuration(name: str, *points: tuple[float, ...], outcome: Outcome = Outcome.COMPLETED) -> Configuration:
    return Configuration(name, {}, tuple(Observation(outcome, point or None) for point in points))


def finding(title: str, *exploded: bool) -> Finding:
    """What is known of a curve of which trials ended so, from the least value to the greatest."""
    swept = Range(Parameter("lr", TypeAdapter(float), 0.1), 0.001, 1.0, log=True)
    curve = BoundaryCurve("lr", swept, {"configs": 0} if title else {}, title=title)
    for value, one in zip(np.geomspace(0.002, 0.5, len(exploded)), exploded, strict=True):
        curve.take(float(value), one)
    return Finding(curve, curve.posterior.estimate(0.05))


def check_is_whole(picture: bytes) -> Image.Image:
    """Nothing in it reaches its edge."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    seen = np.asarray(image)
    for edge in (seen[0], seen[-1], seen[:, 0], seen[:, -1]):
        assert (edge == seen[0, 0]).all()
    return image


def test_a_pictures_front_is_numbered_and_listed_beside_it_with_what_exploded() -> None:
    found = [
        configuration("dear", (3.0, 9.0)),
        configuration("broken", (), outcome=Outcome.EXPLODED),
        configuration("cheap", (1.0, 1.0)),
        configuration("worse", (0.5, 5.0)),
    ]
    names = {one.config_key: one.config_key for one in found}
    (chart,) = fronts(found, UP_AND_DOWN, names, still=True)
    assert texts(chart) == [["2 on the front", "1: cheap", "2: dear"], ["1 exploded", "\N{MULTIPLICATION SIGN} broken"]]
    assert {(row["number"], row["name"]) for row in rows(chart, "number")} == {(1, "cheap"), (2, "dear")}
    assert ": means of 3 configurations; 1 more exploded" in chart.text
    (on_page,) = fronts(found, UP_AND_DOWN, names)
    assert (texts(on_page), rows(on_page, "number"), on_page.text) == ([], [], chart.text)


def test_of_a_long_front_twelve_are_listed_both_ends_among_them() -> None:
    found = [configuration(str(i), (float(i), float(i))) for i in range(30)]
    found += [configuration(f"exploded {i}", (), outcome=Outcome.EXPLODED) for i in range(14)]
    (chart,) = fronts(found, UP_AND_DOWN, {one.config_key: one.config_key for one in found}, still=True)
    front, exploded = texts(chart)
    assert (front[0], front[1], front[-2], front[-1]) == ("30 on the front", "1: 0", "12: 29", "and 18 more")
    assert (len(exploded), exploded[0], exploded[-1]) == (14, "14 exploded", "and 2 more")


@pytest.mark.parametrize(("goal", "corners"), [("minimize", "step-after"), ("maximize", "step-before")])
def test_a_front_of_two_goes_by_corners_beyond_which_nothing_lies(goal: str, corners: str) -> None:
    objectives = (Objective("quality", "maximize"), Objective("cost", goal))
    (chart,) = fronts([configuration("a", (1.0, 2.0))], objectives, {"a": "a"})
    lines = [layer["mark"] for layer in chart.spec["layer"] if layer["mark"]["type"] == "line"]
    assert [line["interpolate"] for line in lines] == [corners]


@pytest.mark.slow
def test_of_three_objectives_a_picture_has_both_planes_whatever_their_names() -> None:
    objectives = (*UP_AND_DOWN, Objective("время", "minimize"))
    found = [configuration(f"{i} {LONG}", (i, i * i, 9.0 - i)) for i in range(8)]
    found += [configuration(f"exploded {LONG}", (), outcome=Outcome.EXPLODED)]
    charts = fronts(found, objectives, {one.config_key: one.config_key for one in found}, still=True)
    assert [len(texts(chart)) for chart in charts] == [2, 0]
    one, both = (check_is_whole(still.png(drawn)) for drawn in (charts[:1], charts))
    assert both.width == one.width
    assert both.height > 1.5 * one.height


def test_a_pictures_map_says_beside_each_row_what_is_known() -> None:
    alike = "kind=True"  # as text and as a boolean
    found = (finding(alike, False, False, True, True), finding(alike, False, False), finding("kind=1"))
    chart = boundary_chart(Boundary("toy", EXPLOSION, 0.05, found), still=True)
    at = f"above {found[0].at(found[0].estimate.edges[0].threshold)}"
    assert [(row["row"], row["estimate"]) for row in rows(chart, "estimate")[:2]] == [
        (0, f"{at}; in 2 of 4 trials"),
        (1, "never; in 0 of 2 trials"),
    ]
    assert {row["row"] for row in rows(chart, "p")} == {0, 1, 2}
    on_page = boundary_chart(Boundary("toy", EXPLOSION, 0.05, found))
    assert chart is not None
    assert on_page is not None
    assert len(on_page.spec["layer"]) == len(chart.spec["layer"]) - 1
    assert "kind=True: the rate of explosions goes from" in on_page.text
    assert f"and is high {at}" in on_page.text


def names_of(chart: Chart | None) -> list[list[str]]:
    """The lines of the names of a map's rows."""
    assert chart is not None
    found: list[list[str]] = json.loads(
        chart.spec["layer"][0]["encoding"]["y"]["axis"]["labelExpr"].removesuffix("[datum.value]")
    )
    return found


def test_a_map_breaks_long_names_into_lines_and_names_what_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Boundary("toy", EXPLOSION, 0.05, (finding(LONG, False, True), finding("$short$", False, True)))
    (long, short) = names_of(boundary_chart(found))
    assert len(long) == 4
    assert max(map(len, long)) <= 30
    assert short == ["$short$"]
    monkeypatch.setattr(boundary_charts, "TALLEST", 100)
    many = Boundary("toy", EXPLOSION, 0.05, tuple(finding(f"row {i}", True, False) for i in range(12)))
    chart = boundary_chart(many, still=True)
    assert [i for i, lines in enumerate(names_of(chart)) if lines] == [0, 2, 4, 6, 8, 10]
    assert chart is not None
    (beside,) = (layer for layer in chart.spec["layer"] if layer["mark"]["type"] == "text")
    assert [row["row"] for row in chart.spec["datasets"][beside["data"]["name"]]] == [0, 2, 4, 6, 8, 10]


@pytest.mark.slow
@pytest.mark.parametrize(
    "curves",
    [
        {"": [False, False, False, True, True]},
        {"": [False, False]},
        {LONG: [False, True], "$short$": [True], "<b>none</b>": []},
    ],
    ids=["a curve", "a curve without an explosion", "a map"],
)
def test_a_picture_of_a_boundary_is_whole_whatever_its_names(curves: dict[str, list[bool]]) -> None:
    found = tuple(finding(title, *exploded) for title, exploded in curves.items())
    chart = boundary_chart(Boundary("toy", EXPLOSION, 0.05, found), still=True)
    assert chart is not None
    assert check_is_whole(still.png([chart])).width > 1000


def test_without_a_trial_there_is_no_picture_of_a_boundary() -> None:
    assert boundary_chart(Boundary("toy", EXPLOSION, 0.05, (finding(""),)), still=True) is None


def test_long_names_in_a_legend_keep_what_tells_them_apart() -> None:
    kinds = ("first", "final")
    names = [f"decay_of_the_{kind}_layer_of_all_the_encoders={value}" for kind in kinds for value in (0, 1)]
    curves = [LossCurve(f"{name} seed=0", name, "completed", [(1, 2.0), (2, 1.0)], [], None) for name in names]
    drawn = losses(curves, None, "")
    assert drawn is not None
    picture = still.svg(drawn.spec)
    assert all(f"={value}" in picture for value in (0, 1))
    labels = re.findall(r">([^<>]*…[^<>]*=[01])<", picture)
    assert len({*labels}) == 4
    assert all(len(label) <= 38 for label in labels)
