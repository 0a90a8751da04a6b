"""What `sweep plan` says of a search before it runs: its ranges, its startup trials, and what it proposes first."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator import samplers
from orchestrator.plan import make
from orchestrator.samplers import preview
from orchestrator.samplers.proposals import create_sampler
from orchestrator.spec import SweepSpec, load
from orchestrator.spec.methods import METHODS, OptunaSampler
from orchestrator.terminal.consoles import stdout
from orchestrator.terminal.plan_table import print_plan
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.observation import Observation

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]
SEARCH = """trial: toys:train
metric: {name: score, goal: maximize}
run_cap: 12
parameters:
  x: {min: 0.01, max: 10, distribution: log_uniform_values}
  pause: {values: [0.0, 0.01]}
  epochs: 3
"""


@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("grid", "random", "boundary")])
def test_startup_trials_are_those_of_optunas_sampler(method: str, write: Write) -> None:
    sampler = METHODS[method].sampler
    assert isinstance(sampler, OptunaSampler)
    made = create_sampler(sampler.made_by, 0, sampler.options)
    assert sampler.startup == getattr(made, "_n_startup_trials", 0)


@pytest.mark.parametrize("method", ["auto", "tpe", "qmc", "cmaes"])
def test_a_search_begins_with_what_was_shown_whatever_its_results(method: str, write: Write) -> None:
    spec = load(write(f"method: {method}\n{SEARCH}"))
    shown = preview.first(spec, min(3, preview.startup(spec) or 3))
    assert shown
    sampler = samplers.of(spec)
    sampler.replay({}, [])
    for number, expected in enumerate(shown):
        trial = sampler.ask()
        assert trial is not None
        assert trial.params == expected.params
        sampler.tell(trial, Observation(Outcome.COMPLETED, (1.0 + number,)))


@pytest.mark.parametrize("method", ["auto", "tpe"])
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_a_search_begins_with_what_was_shown_however_many_run_at_once(method: str, workers: int, write: Write) -> None:
    spec = load(write(f"method: {method}\n{SEARCH}".replace("[0.0, 0.01]", "[0, 1, 2]")))
    shown = [trial.params for trial in preview.first(spec, 3)]
    sampler = samplers.of(spec)
    sampler.replay({}, [])
    asked: list[Trial] = []
    for number in range(3):
        if number >= workers:
            sampler.tell(asked[number - workers], Observation(Outcome.COMPLETED, (1.0,)))
        trial = sampler.ask()
        assert trial is not None
        asked.append(trial)
    assert [trial.params for trial in asked] == shown
    assert sorted(params["pause"] for params in shown) == [0, 1, 2]


def test_ranges_quote_what_one_would_not_see_and_name_their_conditions(folder: Path, write: Write) -> None:
    code = "def train(fill: str = '', x: float = 0.5) -> dict[str, float]:\n    return {'score': x}\n"
    (folder / "filled.py").write_text(code)
    text = """trial: filled:train
method: tpe
metric: {name: score, goal: maximize}
parameters:
  fill: {values: ["", missing, "a, b"]}
  x: {min: 0, max: 1, when: {fill: ["", missing]}}
"""
    assert preview.ranges(load(write(text))) == [
        'fill: "", missing, "a, b"',
        'x: 0 to 1; only where fill is "" or missing',
    ]


@pytest.mark.parametrize("method", ["tpe", "auto"])
@pytest.mark.parametrize(("starts", "startup"), [("[]", 3), ("[{x: 1}, {x: 2}, {x: 3}]", 5)])
def test_a_search_that_chooses_early_learns_from_results_once_its_startup_trials_have_some(
    method: str, starts: str, startup: int, write: Write
) -> None:
    text = f"method: {method}\n{SEARCH}".replace("  pause: {values: [0.0, 0.01]}\n", "")
    spec = load(write(text + (f"start_with: {starts}\n" if startup > 3 else "")))
    assert preview.startup(spec) == startup
    rising, falling = (proposed(spec, sign, startup + 1) for sign in (1.0, -1.0))
    assert rising[:startup] == falling[:startup]
    assert rising[startup] != falling[startup]


def proposed(spec: SweepSpec, sign: float, count: int) -> list[float]:
    """What a search proposes where x is the better the larger it is, or the smaller."""
    sampler = samplers.of(spec)
    sampler.replay({}, [])
    found = []
    for _ in range(count):
        trial = sampler.ask()
        assert trial is not None
        found.append(trial.params["x"])
        sampler.tell(trial, Observation(Outcome.COMPLETED, (sign * trial.params["x"],)))
    return found


def test_a_front_is_learned_from_once_optunas_sampler_has_its_startup_trials(write: Write) -> None:
    metrics = "metrics: [{name: score, goal: maximize}, {name: loss, goal: minimize}]"
    spec = load(write("method: tpe\n" + SEARCH.replace("metric: {name: score, goal: maximize}", metrics)))
    assert preview.startup(spec) == 10


@pytest.mark.parametrize("head", ["method: tpe", "method: bayes\nrun_cap: 500", "method: tpe\nseeds: 3"])
def test_a_search_of_few_configurations_shows_each_once(head: str, write: Write) -> None:
    text = f"trial: toys:train\n{head}\nmetric: {{name: score}}\nparameters: {{x: {{values: [1, 2]}}, epochs: 3}}\n"
    assert sorted(trial.params["x"] for trial in preview.first(load(write(text)), 3)) == [1, 2]


def test_all_seeds_of_a_configuration_come_before_the_next_one(write: Write) -> None:
    spec = load(write(f"method: tpe\n{SEARCH}seeds: 3\n"))
    assert len(preview.first(spec, 3)) == 3


def test_startup_trials_count_seeds_and_are_none_where_a_search_learns_from_others(
    folder: Path, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "known.csv").write_text("x,pause,epochs,score\n" + "".join(f"{x},0.01,3,{x}\n" for x in range(1, 7)))
    for more, said in (
        ("", ["startup trials: 3"]),
        ("seeds: 2\n", ["startup trials: 6"]),
        ("prior: [known.csv]\n", []),
    ):
        made = make(load(write(f"method: auto\n{SEARCH}{more}")), f"sqlite:///{folder / 'none.db'}", None)
        print_plan(stdout(), made)
        lines = capsys.readouterr().out.splitlines()
        assert [line.partition(";")[0] for line in lines if "startup" in line] == said


@pytest.mark.slow
def test_the_plan_of_a_search_shows_them_and_on_what_its_time_rests(folder: Path, write: Write, sweep: Sweep) -> None:
    path = write(f"method: tpe\n{SEARCH}")
    lines = sweep("plan", path).stdout.splitlines()
    assert lines[0] == "toy: 12 trials of toys:train"
    assert {"varied: x: 0.01 to 10, logarithmic", "varied: pause: 0, 0.01"} < {*lines}
    assert sum(line.startswith("proposed first: ") for line in lines) == 3
    assert any(line.startswith("startup trials: 3; ") for line in lines)
    assert lines[-1].endswith("unknown (the store has no finished trial to estimate it from)")
    assert sweep("launch", write(f"method: tpe\n{SEARCH}".replace("12", "4")), "--quiet").returncode == 0
    (told,) = json.loads(sweep("plan", write(f"method: tpe\n{SEARCH}"), "--json").stdout)["sweeps"]
    assert told["learned_from"] == 4
    assert told["startup"] is None  # it learns by now
    lines = sweep("plan", path).stdout.splitlines()
    assert "startup trials: 3, 3 of them done; those after them are chosen by results" in lines
    assert sum(line.startswith("proposed next: ") for line in lines) == len(told["first"]) == 3
    assert lines[-1].endswith(", from 4 earlier trials")
    five = write(f"method: tpe\n{SEARCH}".replace("12", "5"))
    assert sweep("launch", five, "--quiet").returncode == 0
    *_, fifth = [*json.loads(sweep("plan", five, "--json").stdout)["sweeps"][0]["trials"]]
    assert fifth["params"] == told["first"][0]
