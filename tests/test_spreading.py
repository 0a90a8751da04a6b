"""A search looks around whatever it knows, and `auto` improves the best of its candidates."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from test_search import Search

from orchestrator.functions.parameter import Parameter, TypeAdapter
from orchestrator.samplers.cube import Cube
from orchestrator.samplers.spreading import index_of, spread
from orchestrator.spec import SweepSpec, load
from orchestrator.spec.domains import Choice, Range
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.observation import Observation

NUMBER = Parameter("x", TypeAdapter(float), 1.0)
CUBE = Cube({"x": Range(NUMBER, 0.01, 1.0, log=True), "mode": Choice(("a", "b")), "y": Range(NUMBER, -1.0, 1.0)})
NONE = np.empty((0, 3))
HEAD = "trial: five:train\nmethod: {method}\nmetric: {{name: score, goal: maximize}}\nrun_cap: {cap}\nseed: {seed}\n"
NAMES = "abcde"
Asked = Callable[..., SweepSpec]


@pytest.fixture
def asked(write: Callable[[str], Path], folder: Path) -> Asked:
    fields = "".join(f"    {name}: float = 0.5\n" for name in NAMES)
    (folder / "five.py").write_text(
        f"from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Config:\n{fields}    mode: str = 'x'\n"
        "    kind: str = 'p'\n    seed: int = 0\n\ndef train(config: Config):\n    return {'score': config.a}\n"
    )

    def loaded(method: str = "auto", axes: int = 3, cap: int = 40, seed: int = 0, more: str = "") -> SweepSpec:
        ranges = "".join(f"  {name}: {{min: 0.0, max: 1.0}}\n" for name in NAMES[:axes])
        return load(write(HEAD.format(method=method, cap=cap, seed=seed) + "parameters:\n" + ranges + more))

    return loaded


def completed(value: float) -> Observation:
    return Observation(Outcome.COMPLETED, (value,), -1.0)


def test_of_eight_points_each_axis_has_one_in_each_eighth_and_each_choice_as_often_as_the_others() -> None:
    for start in (0, 8, 16):
        points = [spread(CUBE, 3, number, NONE) for number in range(start, start + 8)]
        x, mode, y = np.array([CUBE.position(point) for point in points]).T
        assert sorted(np.floor(8 * x)) == sorted(np.floor(8 * y)) == list(range(8))
        assert np.diff(sorted(x)) == pytest.approx([1 / 8] * 7)
        assert sorted(mode) == [0] * 4 + [1] * 4
    assert spread(CUBE, 3, 5, NONE) == spread(CUBE, 3, 5, NONE) != spread(CUBE, 4, 5, NONE)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["tpe", "auto"])
def test_some_proposals_go_where_it_goes_whatever_is_known(asked: Asked, method: str) -> None:
    high, low = (
        Search(asked(method, 2, 13)).run(outcome_of=lambda trial, sign=sign: completed(sign * trial.params["a"]))
        for sign in (1, -1)
    )
    same = [i for i, (one, other) in enumerate(zip(high.asked, low.asked, strict=True)) if one.params == other.params]
    assert {0, 1, 2, 6, 8, 10, 12} <= set(same)
    assert len(same) <= 9


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("method", ["tpe", "auto"])
def test_no_search_stays_on_a_plateau(asked: Asked, method: str) -> None:
    for seed in range(8):
        luck = random.Random(seed)
        middle = luck.uniform(0.1, 0.9)

        def outcome(trial: Trial, middle: float = middle, luck: random.Random = luck) -> Observation:
            off = abs(trial.params["a"] - middle) / 0.08
            return completed(0.9 - 0.2 * off if off < 1 else 0.1 + luck.uniform(-0.003, 0.003))

        search = Search(asked(method, 2, seed=seed)).run(outcome_of=outcome)
        assert any(abs(trial.params["a"] - middle) < 0.08 for trial in search.asked), seed


@pytest.mark.slow
@pytest.mark.parametrize("method", ["tpe", "auto"])
def test_a_stable_corridor_between_two_bands_that_explode_is_found(asked: Asked, method: str) -> None:
    for seed in range(8):
        middle = random.Random(seed).uniform(0.35, 0.65)

        def outcome(trial: Trial, middle: float = middle) -> Observation:
            off = abs(trial.params["a"] - middle)
            beyond = min(off - 0.08, 0.23 - off)
            if beyond > 0:
                return Observation(Outcome.EXPLODED, None, 30 * beyond)
            return Observation(Outcome.COMPLETED, (0.9 - off if off < 0.08 else 0.2,), 5 * beyond)

        search = Search(asked(method, 2, seed=seed)).run(outcome_of=outcome)
        assert any(abs(trial.params["a"] - middle) < 0.08 for trial in search.asked), seed


def test_a_look_is_at_a_choice_that_the_fewest_trials_have_a_value_of() -> None:
    stable = np.array([[0.2, 0, 0.1], [0.4, 0, 0.3], [0.9, 1, 0.5]])
    points = [CUBE.position(spread(CUBE, 3, number, stable)) for number in range(8)]
    assert {mode for _, mode, _ in points} == {1}
    assert [(x, y) for x, _, y in points] == [CUBE.position(spread(CUBE, 3, i, NONE))[::2] for i in range(8)]


def test_a_trial_that_does_not_vary_a_choice_has_tried_none_of_it() -> None:
    """The middle stands there for a place; it is no trial of that choice."""
    choices = Cube({"mode": Choice(("a", "b")), "kind": Choice(("p", "q", "r"))})
    stable = np.array([[0, np.nan]] * 5 + [[1, 0], [1, 2]])
    points = [choices.position(spread(choices, 3, number, stable)) for number in range(8)]
    assert points == [(1, 1)] * 8


@pytest.mark.slow
@pytest.mark.parametrize("method", ["tpe", "auto"])
def test_a_look_is_at_what_the_fewest_trials_had_that_vary_a_choice(asked: Asked, method: str) -> None:
    more = "  mode: {values: [x, y]}\n  kind: {values: [p, q, r], when: {mode: y}}\n"
    search = Search(asked(method, 1, cap=81, more=more)).run(
        outcome_of=lambda trial: completed(1.0 if trial.params["mode"] == "x" else 0.0)
    )
    looks = 0
    for number in (one for one in range(81) if index_of(one) is not None):
        if (look := search.asked[number].params)["mode"] == "y":
            tried = [one.params["kind"] for one in search.asked[:number] if one.params["mode"] == "y"]
            assert tried.count(look["kind"]) == min(map(tried.count, "pqr")), number
            looks += 1
    assert looks > 2


@pytest.mark.slow
@pytest.mark.long
def test_auto_finds_the_best_of_five_numbers_that_tpe_comes_less_near(asked: Asked) -> None:
    def regret(method: str, seed: int) -> float:
        luck = random.Random(seed)
        best = [luck.uniform(0.2, 0.8) for _ in NAMES]

        def quality(trial: Trial) -> float:
            far = sum(
                (trial.params[name] - at) ** 2 / i for i, (name, at) in enumerate(zip(NAMES, best, strict=True), 1)
            )
            return 1 / (1 + 30 * far)

        search = Search(asked(method, 5, seed=seed)).run(outcome_of=lambda trial: completed(quality(trial)))
        return 1 - max(quality(trial) for trial in search.asked)

    for seed in range(3):
        assert (found := regret("auto", seed)) < 0.05
        assert found < regret("tpe", seed)
