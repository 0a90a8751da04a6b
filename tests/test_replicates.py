"""Further seeds, where seeds do not tell a configuration from the best one."""

import math
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from reading import children
from test_search import Search, record

from orchestrator import samplers
from orchestrator.comparison.paired import Difference, Looks, Standing, borrowing
from orchestrator.errors import InputError
from orchestrator.spec import SweepSpec, load
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.observation import Observation

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]
HEAD = (
    "trial: toys:train\nmetric: {name: score, goal: maximize}\nseeds: [0, 1]\nreplicates: {max: 8, until: separated}\n"
)
GRID = HEAD + "parameters: {x: {values: [1.0, 1.01, 1.2, 9]}}\n"
LONG = GRID.replace("1.01, 1.2, 9", "1.1, 1.12, 1.14")  # these need many seeds
RANDOM = HEAD + "method: random\nrun_cap: 40\nparameters: {x: {min: 1.0, max: 3.0}}\n"
TPE = RANDOM.replace("random", "tpe")
SEEDS_ADD = """
trial: toys:train
metric: {name: final_score, goal: minimize}
parameters: {x: {values: [1, 2, 30]}}
seeds: [0, 1]
replicates: {max: 5}
"""  # values are x + seed, so 1 and 2 need some seeds to be told apart in whole numbers, and 30 differs at once


def noisy(trial: Trial) -> Observation:
    noise = random.Random(f"{trial.params['x']}:{trial.params['seed']}").gauss(0, 0.05)
    return Observation(Outcome.COMPLETED, (noise - trial.params["x"],), -1.0)


@pytest.fixture
def spec(write: Write) -> Callable[[str], SweepSpec]:
    return lambda text: load(write(text))


def seeds_by_x(search: Search) -> Counter[float]:
    return Counter(trial.params["x"] for trial in search.asked)


def noisy_value(x: float, seed: int) -> float:
    values = noisy(Trial("", 1, {"x": x, "seed": seed}, "")).values
    assert values is not None
    return values[0]


def standings(search: Search) -> dict[float, Standing]:
    """Of the other configurations, beside the best, x=1."""
    values: dict[float, dict[int, float]] = {}
    for trial in search.asked:
        x, seed = trial.params["x"], trial.params["seed"]
        values.setdefault(x, {})[seed] = noisy_value(x, seed)
    best, others = values.pop(1.0), [*values]
    found = borrowing([Difference.of(best, values[x], 1) for x in others])
    return {x: one.standing(Looks(8, 2, len(others))) for x, one in zip(others, found, strict=True) if one}


def test_further_seeds_go_to_the_best_and_to_what_they_may_tell_from_it(spec: Callable[[str], SweepSpec]) -> None:
    search = Search(spec(GRID)).run(outcome_of=noisy)
    assert [trial.params["seed"] for trial in search.asked[:8]] == [0] * 4 + [1] * 4
    seeds = seeds_by_x(search)
    assert standings(search) == {1.01: Standing.HOPELESS, 1.2: Standing.APART, 9: Standing.APART}
    assert seeds[9] == 2 < seeds[1.2]
    assert 2 < seeds[1.01] < 8
    assert seeds[1.0] == max(seeds.values())
    for x in seeds:
        assert sorted(t.params["seed"] for t in search.asked if t.params["x"] == x) == list(range(seeds[x]))
    assert all("seed=" in trial.label for trial in search.asked)
    assert not search.sampler.has_more


def test_seeds_that_share_their_noise_tell_configurations_apart_that_overlap(
    spec: Callable[[str], SweepSpec],
) -> None:
    def shared(trial: Trial) -> Observation:
        value = random.Random(trial.params["seed"]).gauss(0, 1) + noisy_value(trial.params["x"], trial.params["seed"])
        return Observation(Outcome.COMPLETED, (value,), -1.0)

    search = Search(spec(GRID.replace("1.01, 1.2, 9", "2"))).run(outcome_of=shared)
    assert seeds_by_x(search) == {1.0: 3, 2: 3}


@pytest.mark.parametrize("indifferent", [0.15, 0.5])
def test_a_difference_that_does_not_matter_costs_no_further_seeds(
    spec: Callable[[str], SweepSpec], indifferent: float
) -> None:
    text = GRID.replace("1.01, 1.2", "1.1, 1.12")
    spared = text.replace("until: separated", f"until: separated, indifferent: {indifferent}")
    every, fewer = (Search(spec(of)).run(outcome_of=noisy) for of in (text, spared))
    assert len(fewer.asked) < len(every.asked)
    assert seeds_by_x(fewer)[9] == seeds_by_x(every)[9]


def test_who_leads_at_the_end_has_as_many_seeds_as_any_other(spec: Callable[[str], SweepSpec]) -> None:
    def lucky_at_first(trial: Trial) -> Observation:
        x, seed = trial.params["x"], trial.params["seed"]
        luck = {1.2: 0.6 if seed < 2 else -0.5, 9: -4 * (seed % 3)}.get(x, 0)
        return Observation(Outcome.COMPLETED, (noisy_value(1.0, seed) + luck,), -1.0)

    search = Search(spec(GRID)).run(outcome_of=lucky_at_first)
    seeds = seeds_by_x(search)
    values = {x: [lucky_at_first(t).values for t in search.asked if t.params["x"] == x] for x in seeds}
    means = {x: sum(value for (value,) in of if value) / len(of) for x, of in values.items() if None not in of}
    assert seeds[max(means, key=lambda x: means[x])] == max(seeds.values()) > 2


@pytest.mark.parametrize("text", [LONG, RANDOM, TPE, LONG.replace("seeds: [0, 1]", "seeds: [3]")])
@pytest.mark.parametrize("cut", [8, *(pytest.param(cut, marks=pytest.mark.slow) for cut in (3, 11, 15, 18))])
def test_a_sweep_that_was_cut_off_adds_the_same_seeds(spec: Callable[[str], SweepSpec], text: str, cut: int) -> None:
    untouched = Search(spec(text)).run(outcome_of=noisy)
    assert len(set(untouched.keys)) == len(untouched.keys) >= 20
    first = Search(spec(text)).run(cut, outcome_of=noisy)
    begun = first.sampler.ask()
    assert begun is not None
    in_store = Search(spec(text), {**first.history, begun.trial_key: record(begun, None)}).run(outcome_of=noisy)
    assert first.keys + in_store.keys == untouched.keys
    noted = Search(spec(text))
    noted.history |= first.history
    noted.sampler.replay(noted.history, [begun])
    assert first.keys + noted.run(outcome_of=noisy).keys == untouched.keys
    finished = Search(spec(text), dict(noted.history))
    assert not finished.sampler.has_more
    assert {trial.trial_key for trial in finished.sampler.trials} == set(untouched.keys)


@pytest.mark.parametrize("text", [RANDOM, TPE])
def test_half_of_a_budget_is_for_proposals_and_a_larger_one_goes_on(
    spec: Callable[[str], SweepSpec], text: str
) -> None:
    search = Search(spec(text)).run(outcome_of=noisy)
    assert 20 < len(search.asked) <= 40
    assert all(len(seeds) == 2 for seeds in by_config(search.asked[:20]).values())
    assert {trial.config_key for trial in search.asked[20:]} <= by_config(search.asked[:20]).keys()
    larger = Search(spec(text.replace("40", "60")), dict(search.history)).run(outcome_of=noisy)
    assert not set(larger.keys) & set(search.keys)
    assert len(by_config([*search.asked, *larger.asked])) == 15
    assert len(search.asked) + len(larger.asked) <= 60


def by_config(trials: list[Trial]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for trial in trials:
        found.setdefault(trial.config_key, []).append(trial.params["seed"])
    return found


def test_a_budget_ends_further_seeds_those_with_the_fewest_come_first(spec: Callable[[str], SweepSpec]) -> None:
    search = Search(spec(GRID + "run_cap: 12\n")).run(outcome_of=noisy)
    assert len(search.asked) == 12
    assert search.sampler.total == 12
    assert seeds_by_x(search)[1.0] - seeds_by_x(search)[1.01] in (0, 1)


def test_several_workers_run_one_further_seed_of_a_configuration_at_a_time(spec: Callable[[str], SweepSpec]) -> None:
    sampler = samplers.of(spec(GRID))
    sampler.replay({}, [])
    proposed = [sampler.ask() for _ in range(8)]
    assert None not in proposed
    for trial in proposed[:-1]:
        assert trial is not None
        sampler.tell(trial, noisy(trial))
    assert sampler.ask() is None  # what was proposed has not ended
    assert sampler.has_more
    assert proposed[-1] is not None
    sampler.tell(proposed[-1], noisy(proposed[-1]))
    running = [*iter(sampler.ask, None)]
    assert len({trial.config_key for trial in running}) == len(running) >= 2
    assert sampler.ask() is None
    assert sampler.has_more


def test_seeds_that_explode_or_fail_are_spent_and_failed_ones_are_tried_again(
    spec: Callable[[str], SweepSpec],
) -> None:
    def odd_ones_explode(trial: Trial) -> Observation:
        return Observation(Outcome.EXPLODED, None, 1.0) if trial.params["seed"] % 2 else noisy(trial)

    def one_fails(trial: Trial) -> Observation:
        is_it = trial.params["seed"] == 3 and trial.params["x"] == 1
        return Observation(Outcome.FAILED) if is_it else noisy(trial)

    exploding = Search(spec(GRID)).run(outcome_of=odd_ones_explode)
    assert min(seeds_by_x(exploding).values()) > 2
    failing = Search(spec(GRID)).run(outcome_of=one_fails)
    assert seeds_by_x(failing)[1.0] > 3
    again = Search(spec(GRID), dict(failing.history)).run(outcome_of=noisy)
    assert (again.asked[0].params["x"], again.asked[0].params["seed"]) == (1, 3)
    assert not set(again.keys[1:]) & set(failing.keys)
    assert not Search(spec(GRID), {**failing.history, **again.history}).sampler.has_more


def test_a_configuration_of_which_a_seed_is_pruned_is_out_of_the_running(spec: Callable[[str], SweepSpec]) -> None:
    def one_is_pruned(trial: Trial) -> Observation:
        is_it = trial.params["seed"] == 3 and trial.params["x"] == 1
        return Observation(Outcome.PRUNED, (9.0,), -1.0, 1) if is_it else noisy(trial)

    text = GRID.replace("1.01, 1.2", "1.1, 1.12") + "early_terminate: {type: median}\n"
    untouched = Search(spec(text)).run(outcome_of=one_is_pruned)
    seeds = seeds_by_x(untouched)
    assert seeds[1.0] == 4
    first = Search(spec(text)).run(13, outcome_of=one_is_pruned)
    assert first.keys + Search(spec(text), dict(first.history)).run(outcome_of=one_is_pruned).keys == untouched.keys


def test_seeds_that_the_store_has_already_are_taken_in_instead_of_run(spec: Callable[[str], SweepSpec]) -> None:
    plain = Search(spec(GRID.replace("replicates: {max: 8, until: separated}\n", "").replace("[0, 1]", "[0, 1, 2]")))
    plain.run(outcome_of=noisy)
    replicated = Search(spec(GRID), dict(plain.history)).run(outcome_of=noisy)
    assert not set(plain.keys) & set(replicated.keys)
    untouched = Search(spec(GRID)).run(outcome_of=noisy)
    assert set(plain.keys) | set(replicated.keys) >= set(untouched.keys)


def test_a_seed_is_not_run_twice_when_the_file_lists_more_of_them(spec: Callable[[str], SweepSpec]) -> None:
    for text in (GRID, TPE):
        first = Search(spec(text)).run(outcome_of=noisy)
        more = Search(spec(text.replace("[0, 1]", "[0, 1, 2]")), dict(first.history)).run(outcome_of=noisy)
        assert not set(first.keys) & set(more.keys)


@pytest.mark.slow
def test_a_launch_adds_seeds_and_tells_of_all_seeds(store: str, write: Write, sweep: Sweep) -> None:
    path = write(SEEDS_ADD)
    planned = sweep("plan", path)
    assert "further seeds, until the best configuration is separated from the others: up to 9" in planned.stdout
    done = sweep("launch", path, "--executor", "inline")
    assert done.returncode == 0, done.stderr
    runs = children(store, "toy")
    assert Counter(run.data.params["x"] for run in runs) == {"1.0": 4, "2.0": 4, "30.0": 2}
    assert {"x=1 seed=3", "x=30 seed=1"} <= {run.info.run_name for run in runs}
    half_width = 3.182 * math.sqrt(5 / 3) / math.sqrt(4)
    assert re.search(rf"^ +1 +2\.5 ± {half_width:.2g} +4 +0 *$", done.stdout, re.MULTILINE)
    again = sweep("launch", path)
    assert "started" not in again.stdout
    planned = sweep("plan", path)
    assert "further seeds" not in planned.stdout
    assert "to run: 0 of 10" in planned.stdout
    parent = MlflowClient(tracking_uri=store).get_run(runs[0].data.tags["mlflow.parentRunId"])
    assert "| x | final_score | seeds | exploded |" in parent.data.tags["mlflow.note.content"]
    write(SEEDS_ADD.replace("max: 5", "max: 6"))
    assert sweep("launch", path, "--executor", "inline").stdout.count(": started") == 2


@pytest.mark.slow
def test_explosions_are_told_as_a_rate(store: str, write: Write, sweep: Sweep) -> None:
    path = write(
        "trial: toys:cliff\nmetric: {name: train_loss}\nparameters: {x: {values: [0.1, 9]}}\nseeds: [0, 1, 2]\n"
    )
    done = sweep("launch", path, "--executor", "inline")
    exploded = Counter(run.data.params["x"] for run in children(store, "toy") if run.data.metrics["exploded"])
    assert 0 < exploded["0.1"] < exploded["9.0"] == 3
    assert re.search(rf"^ +0\.1 .* 3 +{exploded['0.1']} *$", done.stdout, re.MULTILINE)
    assert re.search(r"^ +9 +3 +3 *$", done.stdout, re.MULTILINE)
    assert f"{exploded['0.1']} of 3 seeds exploded" in sweep("best", path).stdout


@pytest.mark.parametrize(
    "method", [pytest.param("grid", marks=pytest.mark.long), pytest.param("tpe", marks=pytest.mark.slow)]
)
def test_a_sweep_with_further_seeds_that_is_killed_again_and_again_ends_as_an_untouched_one(
    folder: Path, store: str, write: Write, sweep: Sweep, method: str
) -> None:
    searched = "x: {values: [1, 2, 30]}" if method == "grid" else "x: {min: 1, max: 20}"
    text = SEEDS_ADD.replace("parameters: {x: {values: [1, 2, 30]}}", f"parameters: {{{searched}, pause: 0.05}}")
    path = write(text + f"method: {method}\nrun_cap: 16\n")
    untouched = folder / "untouched"
    (untouched / "mlruns").mkdir(parents=True)
    shutil.copy(folder / "mlruns" / "mlflow.db", untouched / "mlruns")
    calm = f"sqlite:///{untouched / 'mlruns' / 'mlflow.db'}"
    assert sweep("launch", path, "--workers", "1", "--tracking-uri", calm).returncode == 0

    rng = random.Random(0)
    command = [sys.executable, "-m", "orchestrator", "launch", str(path), "--workers", "1"]
    kills = 0
    while kills < 3:
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
        ) as launch:
            assert launch.stdout is not None
            next((line for line in launch.stdout if ": started" in line), None)
            time.sleep(rng.uniform(0.0, 1.2))
            launch.send_signal(signal.SIGKILL)
        kills += 1
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0

    one, other = children(calm, "toy"), children(store, "toy")
    assert [run.data.params for run in other] == [run.data.params for run in one]
    assert len({run.data.tags["trial_key"] for run in other}) == len(other)
    assert [run.data.tags.get("proposal") for run in other] == [run.data.tags.get("proposal") for run in one]
    assert {run.data.tags["outcome"] for run in other} == {"completed"}
    if method == "grid":
        order = [sorted(runs, key=lambda run: run.info.start_time) for runs in (one, other)]
        assert [run.info.run_name for run in order[1]] == [run.info.run_name for run in order[0]]


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("replicates: {max: 1}", "replicates.max: input should be greater than or equal to 2"),
        ("replicates: {until: separated}", "replicates.max: is missing"),
        ("replicates: {max: 4, until: bored}", "replicates.until: input should be 'separated'"),
        (
            "seeds: [0, 1]\nreplicates:\n  max: 2",
            "toy.yaml:3: replicates.max: is for the 2 of `seeds` and further seeds",
        ),
        (
            "metrics: [{name: a}, {name: b}]\nreplicates: {max: 4}",
            "toy.yaml:2: replicates: compares configurations by",
        ),
        (
            "method: boundary\nrun_cap: 9\nparameters: {lr: {min: 1, max: 2}}\nreplicates: {max: 4}",
            "toy.yaml:4: replicates: boundary gives each trial a seed of its own",
        ),
        ("stack: 2\nreplicates: {max: 4}", "toy.yaml:2: replicates: adds trials while the sweep runs"),
        (
            "trial: toys:needs_size\nreplicates: {max: 4}",
            "replicates: toys:needs_size has no parameter named seed that is a whole number",
        ),
    ],
)
def test_replicates_that_cannot_be_are_refused(write: Write, text: str, mistake: str) -> None:
    with pytest.raises(InputError, match=re.escape(mistake)):
        load(write(text))


def test_a_seed_on_the_command_line_is_the_only_one(write: Write) -> None:
    assert load(write(GRID), ["seed=7"]).replicates is None


def test_a_configuration_that_is_alone_needs_no_further_seeds(spec: Callable[[str], SweepSpec]) -> None:
    search = Search(spec(GRID.replace("[1.0, 1.01, 1.2, 9]", "[1.0]"))).run(outcome_of=noisy)
    assert len(search.asked) == 2
