"""Configurations that a search, or random draws, try first: `start_with`."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from test_search import Search, record

from orchestrator import samplers
from orchestrator.errors import InputError
from orchestrator.spec import load
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.observation import Observation

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]

FILE = """
trial: toys:train
method: {method}
metric: {{name: score, goal: maximize}}
run_cap: {cap}
parameters:
  x: {{min: 0.01, max: 1.0, distribution: log_uniform_values}}
  pause: {{min: 0.0, max: 1.0}}
  mode: {{values: [fine, text]}}
start_with: {starts}
"""
STARTS = "[{x: 0.2, pause: 0.25, mode: text}, {x: 0.5}]"
METHODS = ["tpe", "cmaes", "qmc", pytest.param("gp", marks=pytest.mark.slow)]


def file(method: str = "tpe", cap: int = 6, starts: str = STARTS, more: str = "") -> str:
    return FILE.format(method=method, cap=cap, starts=starts) + more


def values(trial: Trial, *names: str) -> tuple[object, ...]:
    return tuple(trial.params[name] for name in names)


@pytest.mark.parametrize("method", METHODS)
def test_what_is_known_is_tried_first_and_what_it_leaves_out_is_proposed(write: Write, method: str) -> None:
    search = Search(load(write(file(method)))).run()
    assert values(search.asked[0], "x", "pause", "mode") == (0.2, 0.25, "text")
    assert search.asked[1].params["x"] == 0.5
    assert len(set(search.keys)) == 6


@pytest.mark.slow
@pytest.mark.parametrize("cut", [3, 7])
def test_places_that_are_looked_at_whatever_is_known_come_after_a_long_list(write: Write, cut: int) -> None:
    starts = "[" + ", ".join(f"{{x: {0.1 + i / 20}, pause: 0.5, mode: fine}}" for i in range(6)) + "]"
    untouched, without = (
        Search(load(write(file(cap=cap, starts=one)))).run() for cap, one in ((10, starts), (5, STARTS[:-11] + "]"))
    )
    assert [values(trial, "x", "pause") for trial in untouched.asked[6:8]] == [
        values(trial, "x", "pause") for trial in without.asked[1:3]
    ]
    first = Search(load(write(file(cap=10, starts=starts)))).run(cut)
    second = Search(load(write(file(cap=10, starts=starts))), dict(first.history)).run()
    assert first.keys + second.keys == untouched.keys


def test_random_draws_begin_with_it_and_a_larger_budget_adds_the_same_draws(write: Write) -> None:
    drawn = samplers.of(load(write(file("random")))).trials
    assert values(drawn[0], "x", "pause", "mode") == (0.2, 0.25, "text")
    assert drawn[1].params["x"] == 0.5
    without = samplers.of(load(write(file("random", cap=4, starts="[{x: 0.3}]")))).trials
    assert [trial.trial_key for trial in drawn[2:5]] == [trial.trial_key for trial in without[1:]]


def test_draws_without_an_end_begin_with_it_too(write: Write) -> None:
    spec = load(write(file("random").replace("run_cap: 6\n", "")))
    sampler = samplers.of(spec)
    first = [sampler.ask() for _ in range(2)]
    assert [trial.params["x"] for trial in first if trial] == [0.2, 0.5]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("cut", [pytest.param(0, marks=pytest.mark.slow), 1, pytest.param(3, marks=pytest.mark.slow)])
def test_a_launch_that_was_cut_off_goes_on_as_if_it_never_was(write: Write, method: str, cut: int) -> None:
    spec = load(write(file(method)))
    untouched = Search(spec).run()
    first = Search(spec).run(cut)
    begun = first.sampler.ask()
    assert begun is not None
    second = Search(spec, {**first.history, begun.trial_key: record(begun, None)}).run()
    assert first.keys + second.keys == untouched.keys


def test_entries_that_are_added_are_tried_next_and_none_is_tried_twice(write: Write) -> None:
    first = Search(load(write(file(cap=3)))).run()
    longer = load(
        write(file(cap=6, starts="[{x: 0.7, pause: 0.5, mode: fine}, {x: 0.5}, {x: 0.2, pause: 0.25, mode: text}]"))
    )
    second = Search(longer, dict(first.history)).run()
    assert values(second.asked[0], "x", "pause", "mode") == (0.7, 0.5, "fine")
    assert [trial.params["x"] for trial in first.asked + second.asked].count(0.5) == 1
    assert len(second.asked) == 3


def test_entries_run_for_each_seed_within_the_budget(write: Write) -> None:
    search = Search(load(write(file(more="seeds: [3, 4]\n")))).run()
    assert [values(trial, "x", "seed") for trial in search.asked[:4]] == [(0.2, 3), (0.2, 4), (0.5, 3), (0.5, 4)]
    assert len(search.asked) == 6


def test_replicates_leave_entries_where_they_are(write: Write) -> None:
    search = Search(load(write(file(cap=8, more="replicates: {max: 3}\n")))).run()
    assert [trial.params["x"] for trial in search.asked[:2]] == [0.2, 0.5]
    assert sum(values(trial, "x", "mode") == (0.2, "text") for trial in search.asked) >= 1


def test_a_front_begins_with_it(write: Write) -> None:
    text = file(cap=4).replace(
        "metric: {name: score, goal: maximize}", "metrics: [{name: score, goal: maximize}, {name: cost}]"
    )

    def both(trial: Trial) -> Observation:
        return Observation(Outcome.COMPLETED, (trial.params["x"], trial.params["pause"]), -1.0)

    search = Search(load(write(text))).run(outcome_of=both)
    assert [trial.params["x"] for trial in search.asked[:2]] == [0.2, 0.5]


ROWS = """
trial: toys:train
method: tpe
metric: {{name: score, goal: maximize}}
run_cap: 4
parameters: {{x: {{min: 0.01, max: 1.0}}}}
configs: [{{mode: fine, epochs: 2}}, {{mode: text, epochs: 4}}, {{mode: nan}}]
start_with: {starts}
"""


def test_an_entry_may_name_a_row_by_a_part_of_it(write: Write) -> None:
    search = Search(load(write(ROWS.format(starts="[{mode: text}, {epochs: 3, x: 0.5}]")))).run()
    assert values(search.asked[0], "mode", "epochs") == ("text", 4)
    assert values(search.asked[1], "mode", "epochs", "x") == ("nan", 3, 0.5)  # the row that leaves epochs as they are


def test_a_value_of_a_distribution_is_tried_as_it_is_written(write: Write) -> None:
    text = file(starts="[{pause: 0.123456789}]").replace("{min: 0.0, max: 1.0}", "{distribution: beta, a: 2, b: 2}")
    assert Search(load(write(text))).run(1).asked[0].params["pause"] == 0.123456789


def test_an_entry_of_which_nothing_can_be_made_is_said(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.samplers.search.DRAWS", 50)
    text = file(starts="[{x: 13}]").replace("[fine, text]", "[raise]").replace("max: 1.0, dist", "max: 20, dist")
    with pytest.raises(InputError, match=r"start_with\[0\]: mode raise and x=13 do not go together"):
        load(write(text.replace("  pause: {min: 0.0, max: 1.0}\n", "")))
    with pytest.raises(InputError, match=r"toy.yaml:\d+: start_with: nothing valid was found with x=13"):
        Search(load(write(text))).run(1)


CONDITION = """
trial: toys:train
method: tpe
metric: {{name: score, goal: maximize}}
run_cap: 4
parameters:
  mode: {{values: [fine, text]}}
  x: {{min: 0.01, max: 1.0, when: {{mode: text}}}}
  pause: {{min: 0, max: 10, q: 2}}
  epochs: 3
start_with: {starts}
"""


def test_an_entry_gives_a_conditional_parameter_where_its_condition_holds(write: Write) -> None:
    search = Search(
        load(write(CONDITION.format(starts="[{mode: text, x: 0.5, epochs: 3}, {mode: fine, pause: 4}]")))
    ).run()
    assert values(search.asked[0], "mode", "x") == ("text", 0.5)
    assert values(search.asked[1], "mode", "pause") == ("fine", 4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("entry", "mistake"),
    [
        ("{y: 1}", r"\[0\].y: unknown parameter of toys:train; use one of x, mode"),
        ("{pauze: 1}", r"\[0\].pauze: unknown parameter of toys:train; did you mean pause\?"),
        ("{}", r"\[0\]: is empty; give it parameters, or delete it"),
        ("{mode: txt}", r"\[0\].mode: input should be .*; did you mean text\?"),
        ("{mode: nan}", r"\[0\].mode: nan is not among its values; use one of fine, text"),
        ("{pause: 11}", r"\[0\].pause: 11 is outside of its range, 0 to 10"),
        ("{pause: 3}", r"\[0\].pause: 3 is between its steps; the nearest is [24]"),
        ("{pause: a}", r"\[0\].pause: input should be a valid number, not 'a'"),
        ("{epochs: 5}", r"\[0\].epochs: epochs does not vary in this sweep, where it is 3; delete it here"),
        ("{seed: 5}", r"\[0\].seed: a seed is no part of a configuration; list seeds as `seeds: \[...\]`"),
        ("{mode: fine, x: 0.5}", r"\[0\].x: x varies only where mode is text; delete it here"),
        ("{x: 0.5}", r"\[0\].x: x varies only where mode is text; give mode, too"),
        ("{mode: fine}, {mode: fine}", r"\[1\]: {'mode': 'fine'} appears twice"),
        ("3", r"\[0\]: input should be a mapping"),
    ],
)
def test_an_entry_that_cannot_be_is_refused_with_its_line(write: Write, entry: str, mistake: str) -> None:
    with pytest.raises(InputError, match=rf"toy.yaml:11: start_with{mistake}"):
        load(write(CONDITION.format(starts=f"[{entry}]")))


def test_an_entry_of_no_row_is_refused(write: Write) -> None:
    with pytest.raises(InputError, match=r"start_with\[0\].mode: no row of `configs` has mode fine and epochs 4"):
        load(write(ROWS.format(starts="[{mode: fine, epochs: 4}]")))


@pytest.mark.parametrize("method", ["grid", "boundary"])
def test_methods_that_try_what_they_try_refuse_it(write: Write, method: str) -> None:
    with pytest.raises(InputError, match=f"start_with: does not work with method {method}, .* use random, auto"):
        load(write(file(method)))


@pytest.mark.slow
def test_a_setting_takes_the_place_of_the_list_and_its_mistakes_are_the_settings(write: Write) -> None:
    path = write(file())
    spec = load(path, ['start_with=[{"x": 0.3}]'])
    assert spec.start_with == ({"x": 0.3},)
    assert spec.overrides == ()
    with pytest.raises(InputError, match=r"^--set start_with\[0\].x: 3 is outside of its range"):
        load(path, ['start_with=[{"x": 3}]'])
    with pytest.raises(InputError, match=r"^--set start_with: input should be a list"):
        load(path, ["start_with=3"])


def test_what_is_set_to_a_constant_is_left_out_of_it(write: Write) -> None:
    spec = load(write(file(starts="[{x: 0.2, mode: text}, {x: 0.3, mode: text}, {x: 0.4}]")), ["x=0.9"])
    assert spec.start_with == ({"mode": "text"},)
    assert load(write(file()), ["x=0.9", "pause=0", "mode=fine"]).start_with == ()  # a configuration that is run again


@pytest.mark.slow
def test_a_plan_shows_what_is_tried_first_and_a_launch_tries_it(store: str, write: Write, sweep: Sweep) -> None:
    path = write(file(cap=3).replace("max: 1.0}", "max: 0.001}").replace("pause: 0.25", "pause: 0.0005"))
    planned = sweep("plan", path)
    assert planned.returncode == 0, planned.stderr
    assert "tried first: x=0.2 pause=0.0005 mode=text\n" in planned.stdout
    assert "tried first: x=0.5, and what is proposed of the rest" in planned.stdout
    launched = sweep("launch", path, "--workers", "1")
    assert launched.stdout.index("x=0.2 mode=text pause=0.0005: started") < launched.stdout.index("x=0.5 ")
    longer = write(path.read_text().replace("{x: 0.5}", "{x: 0.5}, {x: 0.6}"))
    room = "run_cap leaves no room for 1 of start_with; a larger one has them tried"
    assert room in sweep("plan", longer).stdout
    assert room in sweep("launch", longer).stdout
