"""What candidates are worth once trials have exploded, and that samplers choose by it."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.samplers import BaseSampler
from test_search import Search, optuna_sampler

from orchestrator.functions.parameter import Parameter, TypeAdapter
from orchestrator.samplers.cube import Array, Cube
from orchestrator.samplers.feasibility import SeenConfiguration, Worth
from orchestrator.samplers.proposals import Proposals, create_sampler
from orchestrator.samplers.weighing import CANDIDATES, DrawingTPE
from orchestrator.spec import load
from orchestrator.spec.domains import Choice, Domain, Range
from orchestrator.spec.methods import METHODS
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.observation import Observation
from orchestrator.trials.search_space import SearchSpace

NUMBER = Parameter("x", TypeAdapter(float), 1.0)
LINE: dict[str, Domain] = {"x": Range(NUMBER, 0.0, 1.0)}
HEAD = """
trial: toys:train
method: {method}
metric: {{name: score, goal: maximize}}
run_cap: 40
seed: {seed}
parameters:
"""
SPEC = HEAD + "  x: {{min: 0.001, max: 1.0}}\n"
GRID = np.linspace(0, 1, 101)[:, None]
CLIFF = 0.4  # in x: below, it explodes
BRANCHES = """
trial: toys:train
method: {method}
metric: {{name: score, goal: maximize}}
run_cap: 30
parameters:
  mode: {{values: [fine, text]}}
  x: {{min: 0.01, max: 1.0, distribution: log_uniform_values, when: {{mode: fine}}}}
  pause: {{min: 0.0, max: 1.0, when: {{mode: text}}}}
"""
MIXED = (
    HEAD
    + """\
  x: {{min: 0.01, max: 1.0, distribution: log_uniform_values}}
  pause: {{min: 0.0, max: 1.0}}
  mode: {{values: [fine, text]}}
"""
)
Write = Callable[[str], Path]


def seen(*positions: float, best: float = 0.0, cliff: float = CLIFF) -> list[SeenConfiguration]:
    """Trials that were better the nearer to `best`."""
    return [SeenConfiguration((x,), None if x < cliff else -abs(x - best), (cliff - x) * 3 or -0.01) for x in positions]


def worth(trials: list[SeenConfiguration], running: tuple[float, ...] = (), candidates: Array = GRID) -> Array:
    return Worth(Cube(LINE), trials, [(x,) for x in running]).of(candidates, np.ones(len(candidates)))


def branch(trial: Trial) -> Observation:
    """Better the nearer to where it explodes, in either branch."""
    x, pause = trial.params["x"], trial.params["pause"]
    beyond = math.log10(0.1 / x) if trial.params["mode"] == "fine" else pause - 0.7
    if beyond > 0:
        return Observation(Outcome.EXPLODED, None, beyond)
    return Observation(Outcome.COMPLETED, (beyond - trial.params["seed"] / 8,), beyond)


def smooth(x: float, pause: float, mode: str) -> float:
    """Best, and 0, at one place of MIXED."""
    return -((math.log10(x) + 0.7) ** 2) - (pause - 0.3) ** 2 - (mode == "text")


def proposals_of(write: Write, method: str, seed: int, text: str = SPEC) -> Proposals:
    spec = load(write(text.format(method=method, seed=seed)))
    return Proposals(spec, SearchSpace(spec), optuna_sampler(spec.method))


def plain_sampler(method: str, seed: int) -> BaseSampler:
    sampler = optuna_sampler(METHODS[method])
    return create_sampler(sampler.made_by, seed, sampler.options)


def chosen(trials: list[SeenConfiguration], running: tuple[float, ...] = ()) -> float:
    return float(GRID[worth(trials, running).argmax(), 0])


def test_what_lies_beyond_a_known_cliff_is_worth_least() -> None:
    found = worth(seen(0.05, 0.2, 0.3, 0.5, 0.7, 0.9))
    assert found[GRID[:, 0] < 0.3].max() < found[GRID[:, 0] > 0.5].min()


def test_a_cliff_is_approached_from_its_stable_side_and_not_crossed_for_little() -> None:
    trials = seen(0.1, 0.3, 0.5, 0.9)
    for _ in range(12):
        trials += seen(chosen(trials))
    stable = [one.at[0] for one in trials if not one.exploded]
    assert min(stable) < CLIFF + 0.01
    assert sum(one.exploded for one in trials[4:]) <= 4


def test_an_optimum_away_from_the_cliff_is_found_without_an_explosion() -> None:
    trials = seen(0.1, 0.3, 0.5, 0.9, best=0.7)
    for _ in range(8):
        trials += seen(chosen(trials), best=0.7)
    assert min(abs(one.at[0] - 0.7) for one in trials) < 0.02
    assert not any(one.exploded for one in trials[4:])


def test_while_all_explodes_what_is_farthest_from_it_or_explodes_least_is_tried() -> None:
    assert (
        chosen(
            [
                SeenConfiguration((0.1,), None, 3.0),
                SeenConfiguration((0.2,), None, 2.0),
                SeenConfiguration((0.3,), None, 1.0),
            ]
        )
        > 0.4
    )
    assert math.isfinite(chosen([SeenConfiguration((0.1,), None, 3.0)]))


def test_where_a_trial_runs_the_next_is_worth_less() -> None:
    trials = seen(0.1, 0.3, 0.5, 0.9, best=0.7)
    places = [chosen(trials)]
    for _ in range(3):
        places.append(chosen(trials, tuple(places)))
    apart = np.diff(sorted(places))
    assert apart.min() > 0.01


def test_the_unit_of_the_metric_does_not_matter() -> None:
    trials = seen(0.1, 0.3, 0.5, 0.55, 0.9, best=0.6)
    other = [
        SeenConfiguration(one.at, None if one.value is None else 1e4 * one.value + 7, one.margin) for one in trials
    ]
    assert chosen(trials) == chosen(other)


def test_how_bad_the_bad_ones_are_does_not_matter() -> None:
    trials = seen(0.1, 0.3, 0.5, 0.55, 0.65, 0.7, 0.9, best=0.6)
    awful = [SeenConfiguration((0.99,), -(10.0**power), -1.0) for power in (1, 9)]
    assert chosen([*trials, awful[0]]) == chosen([*trials, awful[1]])


def test_the_same_configuration_with_different_results_is_noise() -> None:
    trials = [*seen(0.1, 0.3, 0.5, 0.9), *(SeenConfiguration((0.7,), value, -1.0) for value in (-0.7, -0.1, -0.9) * 5)]
    assert np.isfinite(worth(trials)).all()


@pytest.mark.parametrize("seed", range(6))
def test_where_results_scatter_what_lies_beside_the_best_is_worth_more_than_the_best_once_more(seed: int) -> None:
    luck = np.random.default_rng(seed).normal(0, 0.1, 11)
    trials = [
        SeenConfiguration((float(x),), -((x - 0.5) ** 2) + by, -1.0)
        for x, by in zip(np.linspace(0, 1, 11), luck, strict=True)
    ]
    best = max(trials, key=lambda one: one.value or -math.inf).at[0]
    again, *beside = worth(trials, candidates=np.array([[best], [best - 0.03], [best + 0.03]]))
    assert again < 0.7 * max(beside)


def test_a_choice_that_explodes_is_told_from_one_that_does_not() -> None:
    cube = Cube({"opt": Choice(("sgd", "adam")), "x": Range(NUMBER, 0.0, 1.0)})
    trials = [
        SeenConfiguration((float(opt), x), None if opt else x, 2.0 if opt else -2.0)
        for opt in (0, 1)
        for x in (0.2, 0.5, 0.8)
    ]
    sgd, adam = Worth(cube, trials, []).of(np.array([(0.0, 0.6), (1.0, 0.6)]), np.ones(2))
    assert sgd > 10 * adam


def test_a_cliff_is_not_forgotten_among_very_many_trials() -> None:
    rng = np.random.default_rng(0)
    trials = seen(*rng.random(40), *rng.uniform(CLIFF, 0.5, 1000))
    found = worth(trials)
    assert found[GRID[:, 0] < 0.3].max() < found[GRID[:, 0] > 0.5].min()


def test_tpe_begins_in_the_middle(write: Write) -> None:
    _, first = proposals_of(write, "tpe", 3, MIXED).ask()
    assert first == {"x": 0.1, "pause": 0.5, "mode": "text"}


@pytest.mark.slow
def test_without_explosions_tpe_comes_nearer_to_the_best_than_optunas_own(write: Write) -> None:
    ours, plain = [], []
    for seed in range(5):
        proposals = proposals_of(write, "tpe", seed, MIXED)
        study = optuna.create_study(direction="maximize", sampler=plain_sampler("tpe", seed))
        best = -math.inf
        for _ in range(30):
            number, given = proposals.ask()
            best = max(best, smooth(given["x"], given["pause"], given["mode"]))
            proposals.tell(number, (smooth(given["x"], given["pause"], given["mode"]),), -1.0)
            trial = study.ask(proposals.space)
            x, pause, mode = (trial.params[name] for name in ("x", "pause", "mode"))
            study.tell(trial, smooth(x, pause, ("fine", "text")[mode]))
        ours.append(best)
        plain.append(study.best_value)
    assert np.mean(ours) > np.mean(plain) / 10  # of what is missing to 0


@pytest.mark.parametrize("method", ["cmaes", pytest.param("gp", marks=pytest.mark.slow)])
def test_without_explosions_proposals_are_those_of_optunas_sampler(write: Write, method: str) -> None:
    proposals = proposals_of(write, method, 3)
    study = optuna.create_study(direction="maximize")
    for count in range(15):
        number, values = proposals.ask()
        study.sampler = plain_sampler(method, int(np.random.SeedSequence((3, count)).generate_state(1)[0]))
        trial = study.ask(proposals.space)
        assert values == trial.params
        proposals.tell(number, (-values["x"],), -1.0)
        if optuna_sampler(METHODS[method]).takes_constraints:
            trial.set_constraint("explosion", -1.0)
        study.tell(trial, -values["x"])


def test_what_cannot_be_is_not_chosen(write: Write, folder: Path) -> None:
    (folder / "narrow.py").write_text(
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Config:\n    x: float = 1.0\n"
        "    seed: int = 0\n    def __post_init__(self):\n        if self.x > 0.3: raise ValueError('too large')\n\n"
        "def train(config: Config):\n    return {'score': config.x}\n"
    )
    search = Search(load(write(SPEC.replace("toys", "narrow").format(method="tpe", seed=0)))).run(
        30, outcome_of=lambda trial: Observation(Outcome.COMPLETED, (-abs(trial.params["x"] - 0.29),), -1.0)
    )
    numbers = [trial.proposal.number for trial in search.asked if trial.proposal]
    assert len(numbers) == 30
    assert numbers[-1] < 45  # some of the first three, and of those that are told again


@pytest.mark.parametrize("group", [False, True])
def test_tpe_draws_candidates_near_good_trials_as_soon_as_it_has_learned(group: bool) -> None:
    tpe = optuna_sampler(METHODS["tpe"])
    sampler = create_sampler(tpe.candidates_by, 0, {**tpe.options, **(tpe.branching if group else {})})
    assert isinstance(sampler, DrawingTPE)
    study = optuna.create_study(sampler=sampler)
    counts = []
    for _ in range(20):
        trial = study.ask()
        frozen = study.trials[-1]
        drawn = sampler.draws(study, frozen, sampler.infer_relative_search_space(study, frozen))
        counts.append(len(drawn))
        study.tell(trial, trial.suggest_float("x", 0.0, 1.0) + trial.suggest_categorical("y", (0, 1)))
    assert counts == [0] * 10 + [CANDIDATES] * 10
    assert {one["y"] for one in drawn} == {0, 1}
    assert sum(one["x"] < 0.5 and one["y"] == 0 for one in drawn) > CANDIDATES / 2


@pytest.mark.slow
@pytest.mark.parametrize("method", ["tpe", "cmaes"])
def test_searches_come_to_the_cliff_and_seldom_cross_it(write: Write, method: str) -> None:
    late = 0
    for seed in range(3):
        proposals = proposals_of(write, method, seed)
        values = []
        for _ in range(40):
            number, given = proposals.ask()
            (trial,) = seen(given["x"])
            proposals.tell(number, None if trial.value is None else (trial.value,), trial.margin)
            values.append(trial.value)
        assert max(value for value in values if value is not None) > -CLIFF - 0.01
        late += values[20:].count(None)
    assert late < 20  # of 60; half of them by a constraint alone


@pytest.mark.slow
@pytest.mark.parametrize("method", ["tpe", "cmaes", pytest.param("gp", marks=pytest.mark.long)])
def test_what_is_chosen_after_a_restart_is_what_an_untouched_search_chooses(write: Write, method: str) -> None:
    spec = load(write(BRANCHES.format(method=method)))
    untouched = Search(spec).run(24, outcome_of=branch)
    exploded = [branch(trial).outcome is Outcome.EXPLODED for trial in untouched.asked]
    for cut in (exploded.index(True) + 1, 17):
        first = Search(spec).run(cut, outcome_of=branch)
        second = Search(spec, dict(first.history)).run(24 - cut, outcome_of=branch)
        assert first.keys + second.keys == untouched.keys


@pytest.mark.slow
@pytest.mark.parametrize("method", ["tpe", "cmaes"])
def test_of_what_is_not_varied_no_explosion_is_learned(write: Write, method: str) -> None:
    late = 0
    for seed in range(3):
        spec = load(write(BRANCHES.format(method=method) + f"seed: {seed}\n"))
        search = Search(spec).run(outcome_of=branch)
        late += sum(branch(trial).outcome is Outcome.EXPLODED for trial in search.asked[15:])
    assert late <= 9  # of 45


def test_what_was_pruned_is_thought_no_better_than_the_best_that_completed(write: Write) -> None:
    proposals = proposals_of(write, "tpe", 0)
    for value, margin, pruned_at in ((0.5, -1.0, None), (0.9, None, 1), (0.3, -1.0, 4), (None, 2.0, None)):
        proposals.tell(proposals.ask()[0], None if value is None else (value,), margin, pruned_at)
    assert [(one.value, one.margin) for one in proposals._seen] == [(0.5, -1.0), (0.5, None), (0.3, -1.0), (None, 2.0)]


def test_where_the_margin_is_not_known_it_is_that_of_the_others() -> None:
    trials = seen(0.05, 0.2, 0.3, 0.5, 0.7, 0.9)
    unknown = [replace(one, margin=None) if one.at == (0.7,) else one for one in trials]
    everywhere = [one if one.exploded else replace(one, margin=None) for one in trials]
    assert chosen(unknown) > 0.3
    assert chosen(everywhere) > 0.3
