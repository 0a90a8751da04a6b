"""A search looks around whatever it knows, and `auto` chooses what proposes by what is searched."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from optuna.samplers import GPSampler
from test_search import Search, proposals_of

from orchestrator.functions.parameter import Parameter, TypeAdapter
from orchestrator.samplers import of
from orchestrator.samplers.feasibility import Cube
from orchestrator.samplers.spreading import spread
from orchestrator.samplers.weighing import WeighingSampler
from orchestrator.spec import SweepSpec, calm, load
from orchestrator.spec.domains import Choice, Range
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.observation import Observation

NUMBER = Parameter("x", TypeAdapter(float), 1.0)
CUBE = Cube({"x": Range(NUMBER, 0.01, 1.0, log=True), "mode": Choice(("a", "b")), "y": Range(NUMBER, -1.0, 1.0)})
HEAD = "trial: five:train\nmethod: {method}\nmetric: {{name: score, goal: maximize}}\nrun_cap: {cap}\nseed: {seed}\n"
NAMES = "abcde"
Asked = Callable[..., SweepSpec]


@pytest.fixture
def asked(write: Callable[[str], Path], folder: Path) -> Asked:
    fields = "".join(f"    {name}: float = 0.5\n" for name in NAMES)
    (folder / "five.py").write_text(
        f"from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Config:\n{fields}    mode: str = 'x'\n"
        "    seed: int = 0\n\ndef train(config: Config):\n    return {'score': config.a}\n"
    )

    def loaded(method: str = "auto", axes: int = 3, cap: int = 40, seed: int = 0, more: str = "") -> SweepSpec:
        ranges = "".join(f"  {name}: {{min: 0.0, max: 1.0}}\n" for name in NAMES[:axes])
        return load(write(HEAD.format(method=method, cap=cap, seed=seed) + "parameters:\n" + ranges + more))

    return loaded


def completed(value: float) -> Observation:
    return Observation(Outcome.COMPLETED, (value,), -1.0)


def test_of_eight_points_each_axis_has_one_in_each_eighth_and_each_choice_as_often_as_the_others() -> None:
    for start in (0, 8, 16):
        points = [spread(CUBE, 3, number) for number in range(start, start + 8)]
        x, mode, y = np.array([CUBE.position(point) for point in points]).T
        assert sorted(np.floor(8 * x)) == sorted(np.floor(8 * y)) == list(range(8))
        assert np.diff(sorted(x)) == pytest.approx([1 / 8] * 7)
        assert sorted(mode) == [0] * 4 + [1] * 4
    assert spread(CUBE, 3, 5) == spread(CUBE, 3, 5) != spread(CUBE, 4, 5)


@pytest.mark.parametrize("method", ["tpe", "auto"])
def test_every_fourth_proposal_goes_where_it_goes_whatever_is_known(asked: Asked, method: str) -> None:
    high, low = (
        Search(asked(method, 2, 13)).run(outcome_of=lambda trial, sign=sign: completed(sign * trial.params["a"]))
        for sign in (1, -1)
    )
    same = [i for i, (one, other) in enumerate(zip(high.asked, low.asked, strict=True)) if one.params == other.params]
    assert {0, 1, 2, 4, 8, 12} <= set(same)
    assert len(same) <= 8


@pytest.mark.slow
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


def test_auto_is_a_gaussian_process_for_three_numbers_until_something_explodes(asked: Asked) -> None:
    pytest.importorskip("torch")
    proposals = proposals_of(asked("auto"))
    kinds = []
    for number in range(13):
        kinds.append(type(proposals._proposing(number)))
        proposals.tell(proposals.ask()[0], None if number == 11 else (float(number),), 1.0 if number == 11 else -1.0)
    assert set(kinds[3:10]) == {WeighingSampler}
    assert set(kinds[10:12]) == {GPSampler}
    assert kinds[12] is WeighingSampler


@pytest.mark.parametrize(
    ("axes", "cap", "more"),
    [
        (2, 40, ""),
        (2, 40, "  mode: {values: [x, y]}\n"),
        (3, 101, ""),
        (3, 40, "  mode: {values: [x, y]}\n"),
        (3, 40, "  d: {min: 0.0, max: 1.0, q: 0.25}\n"),
        (3, 40, "  mode: {values: [x, y]}\n  d: {min: 0.0, max: 1.0, when: {mode: x}}\n"),
        (3, 40, "early_terminate: {type: median}\n"),
    ],
)
def test_auto_is_tpe_where_that_is_known_to_be_as_good(asked: Asked, axes: int, cap: int, more: str) -> None:
    spec = asked("auto", axes, cap, more=more)
    assert calm.in_calm(spec) is None
    assert calm.proposers(spec) == "auto"


def test_auto_is_tpe_without_torch(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calm, "find_spec", lambda name: None)
    assert calm.in_calm(asked("auto")) is None
    assert len(Search(asked("auto", cap=12)).run(outcome_of=lambda trial: completed(trial.params["a"])).asked) == 12


def test_auto_proposes_what_tpe_does_where_nothing_else_suits(asked: Asked) -> None:
    auto, tpe = (
        Search(asked(method, 2, 9)).run(outcome_of=lambda trial: completed(trial.params["a"]))
        for method in ("auto", "tpe")
    )
    assert auto.keys == tpe.keys


@pytest.mark.slow
def test_a_search_by_a_gaussian_process_in_the_calm_goes_on_as_if_never_cut_off(asked: Asked) -> None:
    pytest.importorskip("torch")

    def outcome(trial: Trial) -> Observation:
        return completed(-((trial.params["a"] - 0.3) ** 2) - (trial.params["b"] - 0.6) ** 2)

    whole = Search(asked("auto", cap=16)).run(outcome_of=outcome)
    first = Search(asked("auto", cap=16)).run(13, outcome_of=outcome)
    assert first.keys + Search(asked("auto", cap=16), dict(first.history)).run(outcome_of=outcome).keys == whole.keys


def test_what_proposes_is_said_for_people(asked: Asked) -> None:
    pytest.importorskip("torch")
    assert calm.proposers(asked("auto")) == (
        "auto (by gp after 10 results, while nothing explodes or is beyond another limit)"
    )
    assert calm.proposers(asked("tpe")) == "tpe"
    assert of(asked("auto")).total == 40
