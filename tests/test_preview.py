"""What `sweep plan` says of a search before it runs: its ranges, its startup trials, and what it proposes first."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator import samplers
from orchestrator.samplers import preview
from orchestrator.samplers.proposals import create_sampler
from orchestrator.spec import load
from orchestrator.spec.methods import METHODS, OptunaSampler
from orchestrator.trial import Outcome
from orchestrator.trials.observation import Observation

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]
SEARCH = """trial: toys:train
metric: {name: score, goal: maximize}
run_cap: 12
parameters:
  x: {min: 0.01, max: 10, distribution: log_uniform_values}
  mode: {values: [fine, text]}
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
    spec = load(write(f"method: {method}\n{SEARCH}".replace("  mode: {values: [fine, text]}\n", "")))
    shown = preview.first(spec, min(3, preview.startup(spec) or 3))
    assert shown
    sampler = samplers.of(spec)
    sampler.replay({}, [])
    for number, expected in enumerate(shown):
        trial = sampler.ask()
        assert trial is not None
        assert trial.params == expected.params
        sampler.tell(trial, Observation(Outcome.COMPLETED, (1.0 + number,)))


@pytest.mark.slow
def test_the_plan_of_a_search_shows_them_and_on_what_its_time_rests(folder: Path, write: Write, sweep: Sweep) -> None:
    path = write(f"method: tpe\n{SEARCH}")
    lines = sweep("plan", path).stdout.splitlines()
    assert lines[0] == "toy: 12 trials of toys:train"
    assert {"varied: x: 0.01 to 10, logarithmic", "varied: mode: fine, text"} < {*lines}
    assert sum(line.startswith("proposed before any result: ") for line in lines) == 3
    assert any(line.startswith("startup trials: 10") for line in lines)
    assert lines[-1].endswith("unknown (the store has no finished trial to estimate it from)")
    assert sweep("launch", write(f"method: tpe\n{SEARCH}".replace("12", "4")), "--quiet").returncode == 0
    (told,) = json.loads(sweep("plan", write(f"method: tpe\n{SEARCH}"), "--json").stdout)["sweeps"]
    assert told["learned_from"] == 4
    assert told["first"] == []  # it has begun
    assert told["startup"] == 10
    assert sweep("plan", path).stdout.splitlines()[-1].endswith(", from 4 earlier trials")
