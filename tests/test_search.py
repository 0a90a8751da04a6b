"""What every search method keeps: ask, tell, replay, explosions, failures, repeats, seeds, and a budget."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator import samplers
from orchestrator.comparison.configuration import Configuration
from orchestrator.errors import InputError
from orchestrator.functions import Goal
from orchestrator.samplers import Sampler, spreading
from orchestrator.samplers.dashboard import study
from orchestrator.samplers.proposals import Proposals
from orchestrator.samplers.proposed import ProposedConfiguration
from orchestrator.samplers.search import REPEATS
from orchestrator.spec import Objective, SweepSpec, load
from orchestrator.spec.methods import Method, OptunaSampler
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.observation import Observation
from orchestrator.trials.record import INFEASIBLE, INFEASIBLE_MARGIN, MARGIN, PROPOSALS, Record
from orchestrator.trials.search_space import SearchSpace

GP_IS_SLOW = pytest.param("gp", marks=pytest.mark.slow)
GP_IS_SLOWER = pytest.param("gp", marks=pytest.mark.long)
METHODS = ("tpe", "gp", "cmaes", "qmc")
HEAD = "trial: toys:train\nmethod: {method}\nmetric: {{name: score, goal: maximize}}\nrun_cap: {cap}\n"
SPEC = """
trial: toys:train
method: {method}
metric: {{name: score, goal: maximize}}
run_cap: {cap}
parameters:
  x: {{min: 0.01, max: 1.0, distribution: log_uniform_values}}
  pause: {{min: 0.0, max: 1.0}}
  mode: {{values: [fine, text]}}
"""
LAST = ([], ["score"], ["score", "cost"])
NAMES = ([], ["best_score"], ["score", "cost"])  # in the store, of one objective and of several
CLIFF = 0.1  # in x: below, a toy explodes

Load = Callable[..., SweepSpec]


@pytest.fixture
def spec(write: Callable[[str], Path]) -> Load:
    def loaded(method: str, text: str = SPEC, cap: int = 14, more: str = "") -> SweepSpec:
        return load(write(text.format(method=method, cap=cap) + more))

    return loaded


def optuna_sampler(method: Method) -> OptunaSampler:
    assert isinstance(method.sampler, OptunaSampler)
    return method.sampler


def proposals_of(spec: SweepSpec) -> Proposals:
    return Proposals(spec, SearchSpace(spec), optuna_sampler(spec.method))


def toy(trial: Trial) -> Observation:
    """Better as x falls, until it explodes."""
    x = trial.params["x"]
    if x < CLIFF:
        return Observation(Outcome.EXPLODED, None, math.log10(CLIFF / x) + 0.01)
    seed = trial.params["seed"]
    return Observation(
        Outcome.COMPLETED, (-x - (trial.params["pause"] - 0.5) ** 2 - seed / 8,), math.log10(CLIFF / x) - 0.01
    )


def looks_around(trial: Trial) -> bool:
    """Whether it goes where it goes whatever is known."""
    return trial.proposal is not None and spreading.index_of(trial.proposal.number) is not None


def record(trial: Trial, seen: Observation | None) -> Record:
    """What the store has of a trial."""
    values = (seen and seen.values) or ()
    is_pruned = seen is not None and seen.outcome is Outcome.PRUNED
    metrics = dict(zip(LAST[len(values)] if is_pruned else NAMES[len(values)], values, strict=True))
    if seen is not None and seen.margin is not None:
        metrics[MARGIN] = seen.margin
    tags = {"proposal": PROPOSALS.dump_json(trial.proposal).decode()} if trial.proposal else {}
    if seen is not None and is_pruned:
        metrics |= {f"best_{name}": value + 1 for name, value in metrics.items()}
        tags["epochs_run"] = str(seen.epoch)
    if seen is not None and seen.infeasible is not None:
        tags[f"{INFEASIBLE}cause"] = seen.infeasible.cause
        metrics |= {} if seen.infeasible.margin is None else {INFEASIBLE_MARGIN: seen.infeasible.margin}
    outcome = None if seen is None else seen.outcome
    return Record(trial.trial_key, trial.trial_key, trial.label, outcome, "", trial.params, metrics, tags)


class Search:
    """A search by one worker, and the store that it leaves."""

    def __init__(self, spec: SweepSpec, history: dict[str, Record] | None = None) -> None:
        self.sampler: Sampler = samplers.of(spec)
        self.history = history or {}
        self.sampler.replay(self.history, [])
        self.asked: list[Trial] = []

    def run(self, trials: int = 1000, outcome_of: Callable[[Trial], Observation] = toy) -> "Search":
        while len(self.asked) < trials and (trial := self.sampler.ask()):
            self.asked.append(trial)
            seen = outcome_of(trial)
            self.sampler.tell(trial, seen)
            self.history[trial.trial_key] = record(trial, seen)
        return self

    @property
    def keys(self) -> list[str]:
        return [trial.trial_key for trial in self.asked]


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_proposals_are_new_within_their_ranges_and_as_many_as_the_budget(spec: Load, method: str) -> None:
    search = Search(spec(method)).run()
    assert len(set(search.keys)) == len(search.asked) == 14
    assert not search.sampler.has_more
    for trial in search.asked:
        assert 0.01 <= trial.params["x"] <= 1
        assert 0 <= trial.params["pause"] <= 1
        assert trial.params["mode"] in ("fine", "text")
        assert trial.label.startswith("x=")
    assert len({trial.params["mode"] for trial in search.asked}) == 2


@pytest.mark.parametrize("method", METHODS)
def test_the_seed_of_a_search_decides_its_proposals(spec: Load, method: str) -> None:
    text = SPEC + "seed: {seed}\n"
    searches = [Search(spec(method, text.replace("{seed}", str(seed)), cap=6)).run() for seed in (0, 0, 1)]
    assert searches[0].keys == searches[1].keys
    assert not set(searches[0].keys[1:]) & set(searches[2].keys[1:])  # tpe begins in the middle


@pytest.mark.parametrize("cut", [pytest.param(1, marks=pytest.mark.slow), 7, pytest.param(12, marks=pytest.mark.slow)])
@pytest.mark.parametrize("method", ["tpe", GP_IS_SLOW, "cmaes", "qmc"])
def test_a_search_that_was_cut_off_goes_on_as_if_it_never_was(spec: Load, method: str, cut: int) -> None:
    untouched = Search(spec(method)).run()
    first = Search(spec(method)).run(cut)
    begun = first.sampler.ask()  # it was running when the launch was killed
    assert begun is not None
    second = Search(spec(method), {**first.history, begun.trial_key: record(begun, None)}).run()
    assert second.keys[0] == begun.trial_key
    assert first.keys + second.keys == untouched.keys


@pytest.mark.parametrize("method", METHODS)
def test_what_was_proposed_and_not_yet_in_the_store_comes_first(spec: Load, method: str) -> None:
    first = Search(spec(method)).run(5)
    begun = [first.sampler.ask(), first.sampler.ask()]
    assert None not in begun
    sampler = samplers.of(spec(method))
    sampler.replay(first.history, [trial for trial in reversed(begun) if trial])
    assert [trial.trial_key for trial in (sampler.ask(), sampler.ask()) if trial] == [t.trial_key for t in begun if t]
    assert len(sampler.trials) == 7


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_larger_budget_goes_on_with_the_search(spec: Load, method: str) -> None:
    small = Search(spec(method, cap=8)).run()
    assert not Search(spec(method, cap=8), dict(small.history)).sampler.has_more
    larger = Search(spec(method, cap=12), dict(small.history)).run()
    assert small.keys + larger.keys == Search(spec(method, cap=12)).run().keys


@pytest.mark.parametrize("method", METHODS)
def test_a_search_in_which_everything_explodes_goes_on(spec: Load, method: str) -> None:
    search = Search(spec(method)).run(outcome_of=lambda _: Observation(Outcome.EXPLODED, None, 3.0))
    assert len(set(search.keys)) == 14


@pytest.mark.slow
@pytest.mark.parametrize("method", ["tpe", GP_IS_SLOW, "cmaes"])
def test_explosions_teach_a_sampler_to_keep_away(spec: Load, method: str) -> None:
    one = SPEC.replace(
        "  pause: {{min: 0.0, max: 1.0}}\n  mode: {{values: [fine, text]}}\n", "  epochs: {{min: 3, max: 9}}\n"
    )
    late = 0
    for seed in range(3):
        search = Search(spec(method, one + f"seed: {seed}\n", cap=40)).run(
            outcome_of=lambda trial: (
                toy(trial)
                if trial.params["x"] < CLIFF
                else replace(toy(trial), values=(-abs(trial.params["x"] - 0.4),))
            )
        )
        asked = [trial for trial in search.asked[20:] if not (method == "tpe" and looks_around(trial))]
        late += sum(trial.params["x"] < CLIFF for trial in asked)
    assert late <= 3  # of 60; at random, half of them would


@pytest.mark.parametrize("method", ["tpe", GP_IS_SLOW, "cmaes"])
def test_several_workers_are_not_sent_to_one_place(spec: Load, method: str) -> None:
    search = Search(spec(method, cap=30)).run(12)
    running = [search.sampler.ask() for _ in range(4)]
    params = [trial.params for trial in running if trial]
    assert len({(round(math.log(one["x"]), 2), round(one["pause"], 2), one["mode"]) for one in params}) == 4


@pytest.mark.parametrize("method", METHODS)
def test_a_failed_trial_is_tried_again_by_the_next_launch_and_keeps_its_place(spec: Load, method: str) -> None:
    failed = Search(spec(method, cap=6)).run(
        outcome_of=lambda trial: (
            Observation(Outcome.FAILED) if trial.proposal and trial.proposal.number == 2 else toy(trial)
        )
    )
    assert len(failed.asked) == 6
    again = Search(spec(method, cap=6), dict(failed.history)).run()
    assert again.keys == [failed.keys[2]]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["tpe", "auto", "cmaes"])
def test_a_configuration_of_which_one_seed_failed_tells_the_next_launch_what_the_others_came_to(
    spec: Load, method: str
) -> None:
    def failing(trial: Trial) -> Observation:
        fails = trial.proposal is not None and trial.proposal.number == 2 and trial.params["seed"] == 4
        return Observation(Outcome.FAILED) if fails else toy(trial)

    def asked(history: dict[str, Record] | None = None) -> Search:
        return Search(spec(method, cap=21, more="seeds: [3, 4, 5]\n"), history)

    untouched = asked().run(outcome_of=failing)
    first = asked().run(12, outcome_of=failing)
    again = asked(dict(first.history)).run(outcome_of=failing)
    assert [key for key in again.keys if key not in first.keys] == untouched.keys[12:]
    assert [key for key in again.keys if key in first.keys] == [untouched.keys[7]]
    second = asked(dict(first.history)).run(4)
    third = asked(dict(second.history)).run()
    assert first.keys[7] in second.keys
    assert second.keys + third.keys == asked(dict(first.history)).run().keys


def pruned(trial: Trial) -> Observation:
    """Every other trial is pruned, with a value that looks better than all that complete."""
    seen = toy(trial)
    if seen.outcome is Outcome.EXPLODED or trial.proposal is None or trial.proposal.number % 2 == 0:
        return seen
    return replace(seen, outcome=Outcome.PRUNED, values=(0.5,), epoch=1 + trial.proposal.number % 3)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["tpe", GP_IS_SLOW, "cmaes", "qmc"])
def test_a_search_of_which_trials_are_pruned_goes_on_as_if_never_cut_off(spec: Load, method: str) -> None:
    untouched = Search(spec(method)).run(outcome_of=pruned)
    assert len(untouched.asked) == 14
    for cut in (2, 7, 12):
        first = Search(spec(method)).run(cut, outcome_of=pruned)
        second = Search(spec(method), dict(first.history)).run(outcome_of=pruned)
        assert first.keys + second.keys == untouched.keys


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("goal", ["maximize", "minimize"])
def test_what_was_pruned_is_told_with_its_last_value_and_is_never_the_best(spec: Load, method: str, goal: Goal) -> None:
    searched, sign = spec(method, SPEC.replace("maximize", goal)), 1 if goal == "maximize" else -1
    proposals = proposals_of(searched)
    for value, pruned_at in ((0.5, None), (0.3, 4), (0.9, 2), (0.7, None)):
        proposals.tell(proposals.ask()[0], (sign * value,), -1.0, pruned_at)
    trials = proposals._study.trials
    if method == "tpe":
        assert [trial.state.name for trial in trials] == ["COMPLETE", "PRUNED", "PRUNED", "COMPLETE"]
        assert [trial.intermediate_values for trial in trials[1:3]] == [{4: sign * 0.3}, {2: sign * 0.9}]
    else:
        assert [trial.value for trial in trials] == [sign * value for value in (0.5, 0.3, 0.5, 0.7)]


@pytest.mark.parametrize(
    ("outcomes", "told"),
    [
        ([("completed", 0.8), ("completed", 0.6)], (0.7, None)),
        ([("completed", 0.8), ("pruned", 0.2)], (0.5, None)),
        ([("completed", 0.8), ("pruned", 0.9)], (0.8, None)),
        ([("completed", 0.8), ("pruned", None)], (pytest.approx(0.45), None)),
        ([("completed", 0.8), ("completed", 0.7), ("loss explosion", None)], (pytest.approx(1.6 / 3), None)),
        ([("completed", 0.8), ("completed", 0.7), ("infeasible", None)], (pytest.approx(1.6 / 3), None)),
        ([("pruned", 0.4), ("pruned", 0.2)], (pytest.approx(0.3), 4)),
        ([("pruned", None), ("failed", None)], (None, 3)),
    ],
)
def test_a_configuration_of_which_a_seed_was_pruned_looks_no_better_than_it_is(
    outcomes: list[tuple[str, float | None]], told: tuple[float | None, int | None]
) -> None:
    observations = [
        Observation(Outcome(outcome), None if value is None else (value,), -1.0, 3 + i)
        for i, (outcome, value) in enumerate(outcomes)
    ]
    goals: tuple[tuple[int, Goal], ...] = ((1, "maximize"), (-1, "minimize"))
    for sign, goal in goals:
        configuration = ProposedConfiguration({}, 0, Configuration("", {}))
        for seed, one in enumerate(observations):
            signed = replace(one, values=one.values and (sign * one.values[0],))
            configuration.take(Trial("toys:train", 1, {"seed": seed}, ""), signed, (sign * 0.1,))
        means = configuration.expected([Objective("score", goal)])
        assert (means and sign * means[0], configuration.pruned_at) == told


@pytest.mark.parametrize("method", METHODS)
def test_every_configuration_runs_for_each_seed_within_the_budget(spec: Load, method: str) -> None:
    search = Search(spec(method, cap=11, more="seeds: [3, 4, 5]\n")).run()
    assert len(search.asked) == 11
    configurations = [search.asked[i : i + 3] for i in range(0, 11, 3)]
    assert all(len({trial.config_key for trial in trials}) == 1 for trials in configurations)
    assert [[trial.params["seed"] for trial in trials] for trials in configurations] == [[3, 4, 5]] * 3 + [[3, 4]]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["tpe", GP_IS_SLOWER, "cmaes", "qmc"])
def test_a_sampler_that_stays_with_what_it_knows_is_given_another_seed(spec: Load, method: str) -> None:
    few = HEAD + "parameters: {{x: {{values: [0.2, 0.4]}}}}\n"
    untouched = Search(spec(method, few, cap=12)).run()
    assert len(set(untouched.keys)) == 12
    assert {trial.params["x"] for trial in untouched.asked} == {0.2, 0.4}
    assert any(trial.proposal and len(trial.proposal.again) == REPEATS for trial in untouched.asked)
    for cut in (3, 8):
        first = Search(spec(method, few, cap=12)).run(cut)
        assert first.keys + Search(spec(method, few, cap=12), dict(first.history)).run().keys == untouched.keys


def test_a_space_without_seeds_ends_when_all_of_it_is_known(spec: Load, folder: Path) -> None:
    (folder / "seedless.py").write_text(
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Config:\n    x: float = 1.0\n\n"
        "def train(config: Config):\n    return {'score': config.x}\n"
    )
    few = HEAD.replace("toys", "seedless") + "parameters: {{x: {{values: [1, 2, 3]}}}}\n"
    search = Search(spec("tpe", few)).run(
        outcome_of=lambda trial: Observation(Outcome.COMPLETED, (trial.params["x"],), -1.0)
    )
    assert sorted(trial.params["x"] for trial in search.asked) == [1, 2, 3]
    assert not search.sampler.has_more


def test_the_seed_of_a_program_is_searched_like_any_other_parameter(spec: Load) -> None:
    head = HEAD.replace("trial: toys:train", "command: [a, '${{args}}']")
    few = head + "parameters: {{x: {{values: [0.2, 0.5]}}, seed: {{values: [3, 5, 8]}}, pause: 0.5}}\n"
    untouched = Search(spec("tpe", few, cap=5)).run()
    assert len({*untouched.keys}) == 5
    assert len({trial.config_key for trial in untouched.asked}) == 2
    first = Search(spec("tpe", few, cap=5)).run(2)
    assert first.keys + Search(spec("tpe", few, cap=5), dict(first.history)).run().keys == untouched.keys


def test_invalid_combinations_are_not_proposed(spec: Load) -> None:
    text = HEAD + "parameters: {{x: {{values: [13, 14]}}, mode: {{values: [raise, fine]}}}}\nseeds: [0]\n"
    search = Search(spec("tpe", text, cap=3)).run(
        outcome_of=lambda trial: Observation(Outcome.COMPLETED, (trial.params["x"],), -1.0)
    )
    assert {(trial.params["x"], trial.params["mode"]) for trial in search.asked} == {
        (13, "fine"),
        (14, "fine"),
        (14, "raise"),
    }


def test_rows_are_searched_as_wholes(spec: Load) -> None:
    text = HEAD + "zip: {{x: [1, 2], pause: [3, 4]}}\nconfigs: [{{epochs: 5}}, {{epochs: 6}}]\n"
    search = Search(spec("tpe", text, cap=4)).run(outcome_of=lambda trial: Observation(Outcome.COMPLETED, (1.0,), -1.0))
    assert {(trial.params["x"], trial.params["pause"]) for trial in search.asked} == {(1, 3), (2, 4)}
    resumed = Search(spec("tpe", text, cap=4), dict(search.history))
    assert len(resumed.sampler.trials) == 4


def test_steps_are_kept(spec: Load) -> None:
    text = HEAD + (
        "parameters:\n  x: {{min: 0.5, max: 2, q: 0.1, distribution: q_uniform}}\n"
        "  epochs: {{min: 1, max: 90, distribution: log_uniform_values}}\n"
    )
    for trial in (
        Search(spec("tpe", text))
        .run(outcome_of=lambda trial: Observation(Outcome.COMPLETED, (trial.params["x"],), -1.0))
        .asked
    ):
        assert trial.params["x"] == float(f"{trial.params['x']:.1f}")
        assert isinstance(trial.params["epochs"], int)


ODD = """
from dataclasses import dataclass
from typing import Annotated
from pydantic import Field

@dataclass(frozen=True)
class Config:
    x: float = 1.0
    lr: float = 0.5
    opt: str | None = "sgd"
    n: int | float = 1
    sizes: tuple[int, ...] = (8,)
    seed: Annotated[int, Field(ge=0, le=2)] = 0

def train(config: Config):
    return {"score": config.x}
"""


def good(trial: Trial) -> Observation:
    return Observation(Outcome.COMPLETED, (float(trial.params["x"]),), -1.0)


@pytest.fixture
def odd(folder: Path) -> str:
    """A trial function with parameters that are hard to tell apart."""
    (folder / "choosy.py").write_text(ODD)
    return HEAD.replace("toys", "choosy")


@pytest.mark.parametrize(
    "searched",
    [
        "configs: [{{lr: 0.1}}, {{opt: sgd}}]\nparameters: {{x: {{min: 0.5, max: 9.5}}}}",
        "zip: {{x: [1, 2], n: [1, 2]}}\nconfigs: [{{lr: 0.1}}, {{opt: a}}]",
        pytest.param(
            "configs: [{{opt: a}}, {{opt: sgd}}, {{}}]\nparameters: {{x: {{min: 0.5, max: 9.5}}}}",
            marks=pytest.mark.slow,
        ),
        pytest.param("parameters: {{opt: {{values: [null, a, b]}}, x: {{min: 1, max: 2}}}}", marks=pytest.mark.slow),
        pytest.param("parameters: {{n: {{values: [1, 1.5, 2.0, 2]}}, x: {{min: 1, max: 2}}}}", marks=pytest.mark.slow),
        pytest.param(
            "parameters: {{sizes: {{values: [[8], [16, 8], []]}}, x: {{min: 1, max: 2}}}}", marks=pytest.mark.slow
        ),
        pytest.param("parameters: {{sizes: [16, 8], seed: 1, x: {{min: 1, max: 2}}}}", marks=pytest.mark.slow),
        pytest.param(
            "seeds: [1, 2]\nparameters: {{x: {{values: [1, 2, 3, 4]}}, opt: {{values: [null, a]}}}}",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_finished_search_finds_all_of_its_trials_again(spec: Load, odd: str, searched: str) -> None:
    text = odd + searched + "\n"
    whole = Search(spec("tpe", text, cap=12)).run(outcome_of=good)
    again = Search(spec("tpe", text, cap=12), dict(whole.history))
    assert {trial.trial_key for trial in again.sampler.trials} == set(whole.keys)
    assert len(study(spec("tpe", text, cap=12), whole.history.values()).trials) == len(whole.keys)
    assert again.run(outcome_of=good).asked == []
    for cut in (1, 4, 9):
        first = Search(spec("tpe", text, cap=12)).run(cut, outcome_of=good)
        second = Search(spec("tpe", text, cap=12), dict(first.history)).run(outcome_of=good)
        assert first.keys + second.keys == whole.keys


def test_seeds_end_where_the_function_has_no_more(spec: Load, odd: str) -> None:
    search = Search(spec("tpe", odd + "parameters: {{x: {{values: [1, 2]}}}}\n", cap=30)).run(outcome_of=good)
    assert 2 <= len(search.asked) <= 6
    assert not search.sampler.has_more


@pytest.mark.slow
def test_seeds_that_are_added_run_for_all_within_the_budget_and_none_runs_again(spec: Load) -> None:
    few = HEAD + "parameters: {{x: {{values: [1, 2, 3]}}}}\n"
    first = Search(spec("tpe", few, cap=9)).run(outcome_of=good)
    more = Search(spec("tpe", few, cap=12, more="seeds: [0, 1, 2]\n"), dict(first.history)).run(outcome_of=good)
    assert not set(first.keys) & set(more.keys)
    assert len(set(first.keys) | set(more.keys)) <= 12
    assert len(more.sampler.trials) <= 12


def test_another_seed_on_the_command_line_is_another_search(spec: Load) -> None:
    first = Search(spec("tpe", cap=4)).run()
    other = Search(spec("tpe", SPEC.replace("parameters:", "parameters:\n  seed: 5"), cap=4), dict(first.history))
    assert other.sampler.trials == []
    assert len(other.run().asked) == 4


def test_a_budget_below_what_is_known_still_tries_again_what_failed(spec: Load) -> None:
    first = Search(spec("tpe", cap=6)).run(
        outcome_of=lambda trial: Observation(Outcome.FAILED) if trial.proposal and trial.proposal.number else toy(trial)
    )
    less = Search(spec("tpe", cap=2), dict(first.history))
    assert less.sampler.total == 6
    assert less.run().keys == first.keys[1:]


def test_while_all_that_is_proposed_runs_nothing_is_asked_of_the_sampler(spec: Load, odd: str) -> None:
    text = odd + "parameters: {{x: {{values: [1, 2]}}, seed: 0}}\n"
    sampler = samplers.of(spec("tpe", text, cap=10))
    running = [trial for trial in (sampler.ask(), sampler.ask(), sampler.ask()) if trial]
    assert len(running) == 2
    assert sampler.has_more
    for trial in running:
        sampler.tell(trial, good(trial))
    assert sampler.ask() is None
    assert not sampler.has_more


@pytest.mark.slow
def test_a_search_finds_the_few_combinations_that_can_be(spec: Load, folder: Path) -> None:
    (folder / "narrow.py").write_text(
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Config:\n    x: float = 1.0\n"
        "    seed: int = 0\n    def __post_init__(self):\n        if self.x > 0.02: raise ValueError('too large')\n\n"
        "def train(config: Config):\n    return {'score': config.x}\n"
    )
    text = HEAD.replace("toys", "narrow") + "parameters: {{x: {{min: 0.0, max: 1.0}}}}\n"
    for method in ("tpe", "qmc"):
        whole = Search(spec(method, text, cap=12)).run(outcome_of=good)
        assert len(whole.asked) == 12
        first = Search(spec(method, text, cap=12)).run(5, outcome_of=good)
        assert (
            first.keys + Search(spec(method, text, cap=12), dict(first.history)).run(outcome_of=good).keys == whole.keys
        )
    none = Search(spec("tpe", text.replace("min: 0.0", "min: 0.5"), cap=12)).run()
    assert (none.asked, none.sampler.has_more) == ([], False)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["tpe", "cmaes"])
@pytest.mark.parametrize("cut", [13, *(pytest.param(cut, marks=pytest.mark.slow) for cut in (7, 10, 16, 19))])
def test_a_search_that_repeats_itself_over_seeds_goes_on_as_if_never_cut_off(spec: Load, method: str, cut: int) -> None:
    text = HEAD + "parameters: {{x: {{values: [1, 2, 3]}}, epochs: {{min: 3, max: 5}}}}\nseeds: [0, 1]\n"
    whole = Search(spec(method, text, cap=24)).run(outcome_of=good)
    first = Search(spec(method, text, cap=24)).run(cut, outcome_of=good)
    begun = first.sampler.ask()
    assert begun is not None
    sampler = samplers.of(spec(method, text, cap=24))
    sampler.replay(first.history, [begun])
    keys = []
    while trial := sampler.ask():
        keys.append(trial.trial_key)
        sampler.tell(trial, good(trial))
    assert first.keys + keys == whole.keys


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        (
            "method: tpe\nmetric: {name: score}\nseeds: [0]\nreplicates: {max: 3}\nparameters: {x: {min: 1, max: 2}}",
            "replicates: needs run_cap with method tpe",
        ),
        ("method: bayes\nrun_cap: 3\nparameters: {x: {min: 1, max: 2}}", "bayes needs a metric"),
        ("method: tpe\nrun_cap: 3\nmetric: {name: score}\nparameters: {x: 1}", "has nothing to search"),
        (
            "method: gp\nrun_cap: 3\nreuse: true\nmetric: {name: score}\nparameters: {x: {min: 1, max: 2}}",
            "reuse: works only with",
        ),
        (
            "method: tpe\nrun_cap: 3\nmetric: {name: score}\nconfigs: [{seed: 1}, {seed: 2}]",
            "does not vary seeds",
        ),
        (
            "method: tpe\nrun_cap: 3\nmetric: {name: score}\n"
            "parameters: {x: {values: [1, 2], probabilities: [0.5, 0.5]}}",
            "work only with method random",
        ),
    ],
)
def test_searches_that_cannot_be_are_refused(write: Callable[[str], Path], text: str, mistake: str) -> None:
    with pytest.raises(InputError, match=mistake):
        load(write("trial: toys:train\n" + text))


def test_a_loss_with_var_in_it_is_no_goal_of_a_sweep_over_var(write: Callable[[str], Path]) -> None:
    for method in ("method: grid", "method: tpe\nrun_cap: 3"):
        with pytest.raises(
            InputError, match=r"metric\.name: val_loss depends on var.*use val_ssim, val_mse or val_nll"
        ):
            load(write(f"{method}\nmetric: {{name: val_loss}}\nparameters: {{var: {{values: [0.1, 0.2]}}}}"))
    load(write("metric: {name: val_loss}\nparameters: {lr: {values: [0.1, 0.2]}}"))
    rows = "metric: {{name: val_loss}}\nconfigs: [{{var: 0.1, lr: 0.1}}, {{{second}lr: 0.2}}]"
    load(write(rows.format(second="var: 0.1, ")))
    with pytest.raises(InputError, match="val_loss depends on var"):
        load(write(rows.format(second="")))
