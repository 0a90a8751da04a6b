"""Sweeps that are compared by several metrics: a Pareto front."""

import math
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient
from optuna.trial import TrialState
from reading import children, picture
from test_search import CLIFF, GP_IS_SLOW, Search, proposals_of, toy

from orchestrator.comparison.configuration import Configuration
from orchestrator.comparison.ranking import Ranking
from orchestrator.errors import InputError
from orchestrator.events import Finished, Progress
from orchestrator.functions import Goal
from orchestrator.progress.live import LiveProgress
from orchestrator.samplers.dashboard import Mirror
from orchestrator.spec import Objective, load
from orchestrator.trackers import Store
from orchestrator.trackers.open_run import OpenRun
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.observation import Observation

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]
BOTH = "metrics: [{name: score, goal: maximize}, {name: cost, goal: minimize}]\n"
SEARCH = f"""
trial: toys:train
method: METHOD
run_cap: CAP
{BOTH}
parameters:
  x: {{min: 0.01, max: 1.0, distribution: log_uniform_values}}
  pause: {{min: 0.0, max: 1.0}}
"""
GRID = """
trial: toys:tradeoff
metrics: [{name: gain, goal: maximize}, {name: cost, goal: minimize}]
parameters: {x: {values: [1, 2]}, mode: {values: [fine, text, nan]}}
"""
UP_AND_DOWN = (Objective("a", "maximize", counts_best=False), Objective("b", "minimize", counts_best=False))


@pytest.mark.parametrize("goal", ["maximize", "minimize"])
@pytest.mark.parametrize(
    ("by_epoch", "best"),
    [
        ([1.0, 3.0, 2.0], (3.0, 1.0)),
        ([math.nan, 2.0, 1.0], (2.0, 1.0)),
        ([2.0, math.nan], (2.0, 2.0)),
        ([], (9.0, 9.0)),
    ],
)
def test_a_search_the_live_view_and_the_store_have_the_same_value(
    goal: Goal, by_epoch: Sequence[float], best: tuple[float, float]
) -> None:
    objective, trial = Objective("score", goal), Trial("toys:train", 1, {"x": 1}, "x=1")
    epochs = [Progress(i, {"score": value}, 0.0) for i, value in enumerate(by_epoch, start=1)]
    events = [*epochs, Finished(Outcome.COMPLETED, {"score": 9.0})]
    expected = best[0] if goal == "maximize" else best[1]
    assert Observation.of_events([objective], events).values == (expected,)
    live, run = LiveProgress("toy", objective), OpenRun.of("", [objective])
    live.start(trial)
    for event in events:
        live.take(trial, event)
    shown = live.status().best
    assert shown is not None
    assert shown.value == expected
    run.news(events)
    assert run.best(Outcome.COMPLETED).get("best_score", 9.0) == expected
    if by_epoch:
        assert by_epoch[int(run.best(Outcome.COMPLETED)["best_epoch"]) - 1] == expected


def costly(trial: Trial) -> Observation:
    seen = toy(trial)
    return seen if seen.values is None else replace(seen, values=(*seen.values, 1 / trial.params["x"]))


def configuration(name: str, points: Sequence[tuple[float, float]]) -> Configuration:
    return Configuration(name, {}, tuple(Observation(Outcome.COMPLETED, point) for point in points))


def front_of(points: Sequence[tuple[float, float]]) -> set[str]:
    found = [configuration(str(i), [point]) for i, point in enumerate(points)]
    return {one.config_key for one in Ranking(found, UP_AND_DOWN).front}


def test_the_front_is_what_nothing_is_better_than_in_one_and_as_good_as_in_all() -> None:
    assert front_of([(3, 3), (2, 2), (1, 1)]) == {"0", "1", "2"}
    assert front_of([(3, 3), (3, 4), (2, 3), (4, 5), (1, 9)]) == {"0", "3"}
    assert front_of([(1, 1), (1, 1), (0, 1)]) == {"0", "1"}
    assert front_of([]) == set()


def test_a_configuration_is_on_the_front_by_the_means_of_its_seeds() -> None:
    steady = configuration("steady", [(2.0, 1.0), (2.0, 1.0)])
    lucky_once = configuration("lucky once", [(3.0, 1.0), (0.0, 1.0)])
    assert [one.config_key for one in Ranking([lucky_once, steady], UP_AND_DOWN).front] == ["steady"]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["tpe", GP_IS_SLOW, "qmc"])
def test_a_search_for_a_front_that_was_cut_off_goes_on_as_if_it_never_was(write: Write, method: str) -> None:
    spec = load(write(SEARCH.replace("METHOD", method).replace("CAP", "14")))
    untouched = Search(spec).run(outcome_of=costly)
    assert len(set(untouched.keys)) == 14
    assert {trial.params["x"] < CLIFF for trial in untouched.asked} == {True, False}
    for cut in (6, 12):
        first = Search(spec).run(cut, outcome_of=costly)
        assert first.keys + Search(spec, dict(first.history)).run(outcome_of=costly).keys == untouched.keys


def often_pruned(trial: Trial) -> Observation:
    """Every other trial is pruned, with values that look better than all that complete."""
    seen = costly(trial)
    if seen.outcome is Outcome.EXPLODED or trial.proposal is None or trial.proposal.number % 2 == 0:
        return seen
    return replace(seen, outcome=Outcome.PRUNED, values=(9.0, -9.0), epoch=2)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["tpe", GP_IS_SLOW, "qmc"])
def test_a_search_for_a_front_goes_on_from_pruned_trials_as_if_never_cut_off(write: Write, method: str) -> None:
    spec = load(write(SEARCH.replace("METHOD", method).replace("CAP", "14")))
    untouched = Search(spec).run(outcome_of=often_pruned)
    assert len(untouched.asked) == 14
    for cut in (2, 12):
        first = Search(spec).run(cut, outcome_of=often_pruned)
        assert first.keys + Search(spec, dict(first.history)).run(outcome_of=often_pruned).keys == untouched.keys


@pytest.mark.parametrize("method", ["tpe", "gp", "qmc"])
def test_what_was_pruned_is_told_as_no_better_than_the_worst_of_each_metric(write: Write, method: str) -> None:
    spec = load(write(SEARCH.replace("METHOD", method).replace("CAP", "9")))
    proposals = proposals_of(spec)
    for values, pruned_at in (((9.0, -9.0), 1), ((5.0, 5.0), None), ((4.0, 4.0), None), ((9.0, -9.0), 2), (None, 1)):
        proposals.tell(proposals.ask()[0], values, -1.0, pruned_at)
    trials = proposals._study.trials
    if method == "tpe":
        assert [trial.state.name for trial in trials] == ["PRUNED", "COMPLETE", "COMPLETE", "PRUNED", "PRUNED"]
    else:
        assert [trial.values for trial in trials] == [[5.0, 5.0], [5.0, 5.0], [4.0, 4.0], [4.0, 5.0], [4.0, 5.0]]


@pytest.mark.slow
def test_explosions_teach_a_search_for_a_front_to_keep_away(write: Write) -> None:
    late = 0
    for seed in range(3):
        spec = load(write(SEARCH.replace("METHOD", "tpe").replace("CAP", "40") + f"seed: {seed}\n"))
        search = Search(spec).run(outcome_of=costly)
        late += sum(trial.params["x"] < CLIFF for trial in search.asked[20:])
    assert late <= 15  # of 60; at random, half of them would


@pytest.mark.slow
def test_a_grid_is_compared_by_the_values_of_its_last_epochs(store: str, write: Write, sweep: Sweep) -> None:
    path = write(GRID)
    done = sweep("launch", path, "--executor", "inline")
    assert done.returncode == 0, done.stderr
    assert "the Pareto front of gain and cost first" in done.stdout
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith(("  1", "  2"))]
    assert [[*row[:-4], row[-3]] for row in rows[:4]] == [  # without the loss and the time
        ["2", "fine", "completed", "yes", "4", "4", "3"],
        ["1", "fine", "completed", "yes", "2", "2", "3"],
        ["2", "text", "completed", "2", "4", "3"],
        ["1", "text", "completed", "1", "2", "3"],
    ]
    assert [row[1:4] for row in rows[4:]] == [["nan", "loss", "explosion"]] * 2
    (run, *_) = children(store, "toy")
    assert not any(name.startswith("best_") for name in run.data.metrics)

    client = MlflowClient(tracking_uri=store)
    parent = client.get_run(run.data.tags["mlflow.parentRunId"])
    assert (parent.data.tags["sweep.metric"], parent.data.tags["sweep.goal"]) == ("gain, cost", "maximize, minimize")
    assert "| outcome | front | gain | cost |" in parent.data.tags["mlflow.note.content"]
    assert picture(store, parent, "front.png").width > 1000


@pytest.mark.slow
def test_the_best_of_several_metrics_is_their_front_and_the_commands_that_run_it_again(
    store: str, write: Write, sweep: Sweep
) -> None:
    path = write(GRID.replace("values: [fine, text, nan]", "values: [fine, text]") + "seeds: [0, 1]\n")
    sweep("launch", path, "--executor", "inline")
    said = sweep("best", path)
    assert said.returncode == 0, said.stderr
    first, *rest = said.stdout.split("\n\n")
    assert first.startswith("2 of 4 configurations are on the Pareto front of gain (maximize) and cost (minimize)")
    assert [one.splitlines()[:3] for one in rest] == [
        ["x=2 mode=fine", "gain 4.005 ± 0.064 (95%, 2 seeds)", "cost 4 ± 0 (95%, 2 seeds)"],
        ["x=1 mode=fine", "gain 2.005 ± 0.064 (95%, 2 seeds)", "cost 2 ± 0 (95%, 2 seeds)"],
    ]
    command = rest[1].split("run it again: ")[1].split()
    again = sweep("launch", *command[command.index("launch") + 1 :])
    assert (again.returncode, again.stdout.count("started")) == (0, 1)
    names = [
        line.split("--name=")[1].split()[0] for line in sweep("best", "toy").stdout.splitlines() if "--name" in line
    ]
    assert names == ["toy-again", "toy-again-3"]


@pytest.mark.slow
def test_a_pruned_trial_is_on_no_front_though_nothing_costs_less(store: str, write: Write, sweep: Sweep) -> None:
    text = GRID.replace("[1, 2]", "[3, 1]").replace("[fine, text, nan]", "[fine]")
    path = write(
        f"{text}early_terminate: {{type: median, n_startup_trials: 1, metric: {{name: gain, goal: maximize}}}}"
    )
    done = sweep("launch", path, "--executor", "inline")
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith(("  1", "  3"))]
    assert [row[:5] for row in rows] == [["3", "completed", "yes", "6", "6"], ["1", "pruned", "1", "1", "1"]]
    assert "1 of 1 configurations are on the Pareto front" in sweep("best", path).stdout


@pytest.mark.slow
def test_a_search_for_a_front_that_no_trial_tells_of_is_ended(store: str, write: Write, sweep: Sweep) -> None:
    path = write(GRID.replace("trial", "method: tpe\nrun_cap: 4\ntrial", 1).replace("name: cost", "name: price"))
    said = sweep("launch", path, "--set", "mode=fine", "--executor", "inline")
    assert said.returncode == 2
    assert "toy.yaml:5: metrics[1].name: x=" in said.stderr
    assert "has reported no price; use one of train_loss, gain, cost" in said.stderr


@pytest.mark.slow
def test_the_dashboard_has_every_objective(store: str, write: Write, sweep: Sweep) -> None:
    path = write(GRID)
    sweep("launch", path, "--executor", "inline")
    mirror = Mirror(load(path))
    mirror.show(Store(store).records("toy"))
    (study,) = mirror.storage.get_all_studies()
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    trials = mirror.storage.get_all_trials(study._study_id)
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    feasible = [trial for trial in trials if all(far <= 0 for far in trial.constraints.values())]
    assert sorted(tuple(trial.values) for trial in feasible) == [(1, 2), (2, 2), (2, 4), (4, 4)]
    assert len(trials) - len(feasible) == 2


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        (f"metric: {{name: a}}\n{BOTH}", "toy.yaml:2: metrics: give `metric` or `metrics`, not both"),
        ("metrics: [{name: a}]", "toy.yaml:1: metrics: has 1 item, and needs at least 2"),
        ("metrics:\n- {name: a}\n- {name: a, goal: maximize}", r"toy.yaml:3: metrics\[1\].name: a appears twice"),
        ("metrics: [{name: a}, {nme: b}]", r"metrics\[1\].nme: unknown key; did you mean name\?"),
        ("metrics: [{name: a}, {name: ' '}]", r"metrics\[1\].name: '' is not the name of a metric: use up to"),
        (
            f"method: cmaes\nrun_cap: 9\nparameters: {{lr: {{min: 1, max: 2}}}}\n{BOTH}",
            "toy.yaml:4: metrics: cmaes optimizes one metric; for several use auto, tpe or gp",
        ),
        (
            f"{BOTH}early_terminate: {{type: median}}",
            "toy.yaml:2: early_terminate.metric: is missing: name the one of `metrics` that median compares",
        ),
        (
            "parameters: {var: {values: [1, 2]}}\nmetrics:\n- {name: val_kl}\n- {name: val_loss}\n- {name: val_recon}",
            r"toy.yaml:4: metrics\[1\].name: val_loss depends on var[^\n]*\n"
            r"[^\n]*metrics\[2\].name: val_recon depends on var",
        ),
    ],
)
def test_metrics_that_do_not_go_together_are_refused(write: Write, text: str, mistake: str) -> None:
    with pytest.raises(InputError, match=mistake):
        load(write(text))
