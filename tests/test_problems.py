"""The problems by which searches are compared are what they say."""

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

from problems import JUDGING, PROBLEMS, TUNING, Instance, Number, Problem

from orchestrator.trial import Outcome, Params

DRAWS = 400


def drawn(problem: Problem, rng: random.Random) -> Params:
    params: dict[str, float | str] = {}
    for name, axis in problem.space.items():
        if not isinstance(axis, Number):
            params[name] = rng.choice(axis.values)
        elif axis.when is None or params[axis.when[0]] == axis.when[1]:
            share = rng.random()
            value = (
                axis.low * (axis.high / axis.low) ** share if axis.log else axis.low + share * (axis.high - axis.low)
            )
            params[name] = round(value) if axis.integer else value
    return params


def outcomes(instance: Instance, problem: Problem) -> list[tuple[float, Outcome]]:
    rng = random.Random(instance.seed)
    found = []
    for _ in range(DRAWS):
        params = drawn(problem, rng)
        found.append((instance.quality(params), instance.observe(params).outcome))
    return found


def test_there_are_at_least_sixteen_and_half_of_them_never_explode_and_no_seed_is_for_tuning_and_judging() -> None:
    assert len(PROBLEMS) >= 16
    assert sum(not problem.explodes for problem in PROBLEMS.values()) >= len(PROBLEMS) / 2
    assert {problem.trials for problem in PROBLEMS.values()} <= set(range(20, 101))
    assert len(JUDGING) == 40
    assert not set(TUNING) & set(JUDGING)


@pytest.mark.parametrize("name", PROBLEMS)
def test_nothing_stable_is_better_than_the_best_and_what_explodes_is_said_to(name: str) -> None:
    problem = PROBLEMS[name]
    for seed in (0, 1):
        found = outcomes(problem.instance(seed), problem)
        assert found == outcomes(problem.instance(seed), problem)
        assert max(quality for quality, outcome in found if outcome is Outcome.COMPLETED) <= 1
        assert any(outcome is Outcome.EXPLODED for _, outcome in found) == problem.explodes
