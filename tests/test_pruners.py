"""What every pruner keeps: it ends what falls behind and nothing else, and decides after a cut as without it."""

import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import optuna
import pytest
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner, MedianPruner, PatientPruner, PercentilePruner, SuccessiveHalvingPruner
from optuna.samplers import RandomSampler
from optuna.trial import TrialState

from orchestrator import pruners
from orchestrator.errors import InputError
from orchestrator.events import Event, Explosion, Finished, Progress, Started
from orchestrator.pruners.study import StudyPruner
from orchestrator.spec import SweepSpec, load
from orchestrator.trial import Outcome, Trial

EPOCHS = 9
SEEDS = range(6)
HEAD = "trial: toys:train\nmetric: {name: score, goal: maximize}\nseeds: [0, 1, 2, 3, 4, 5]\nparameters: {x: 1.0}\n"
MINIMIZE = HEAD.replace("maximize", "minimize")
PRUNERS = {
    "hyperband": "{type: hyperband, min_iter: 2, eta: 2}",
    "hyperband, strict": "{type: hyperband, max_iter: 16, s: 3, eta: 2, strict: true}",
    "median": "{type: median, n_startup_trials: 3, n_warmup_steps: 2}",
    "percentile": "{type: percentile, percentile: 60, n_startup_trials: 3, interval_steps: 2, n_min_trials: 2}",
    "successive_halving": "{type: successive_halving, min_resource: 2, reduction_factor: 2}",
    "patient": "{type: patient, patience: 1, wrapped_pruner: {type: median, n_startup_trials: 3}}",
    "wilcoxon": "{type: wilcoxon, p_threshold: 0.1}",
}
ODD = {"patient, of halving": "{type: patient, patience: 0, wrapped_pruner: {type: successive_halving}}"}
BY_EPOCH = [name for name in PRUNERS if name != "wilcoxon"]
BEST, GOOD, BAD = 1.2, 1.0, 0.3  # in x: what a toy comes to
Load = Callable[..., SweepSpec]


@pytest.fixture
def spec(write: Callable[[str], Path]) -> Load:
    def loaded(pruner: str, head: str = HEAD) -> SweepSpec:
        return load(write(f"{head}early_terminate: {pruner}\n"))

    return loaded


def toy(x: float, seed: int, **more: object) -> Trial:
    params = {"x": x, "mode": "fine", "epochs": EPOCHS, "seed": seed, "pause": 0.0, **more}
    return Trial("toys:train", 1, params, f"x={x} seed={seed}")


def curve(trial: Trial) -> list[float]:
    """Noisy, by epoch: what is better is so from the start; what is bad gets worse in the end."""
    x, rng = trial.params["x"], random.Random(f"{trial.params['x']} {trial.params['seed']}")
    decline = 0.04 if x == BAD else 0.0
    return [x * (1 - 0.7**epoch) - decline * epoch + rng.gauss(0, 0.005) for epoch in range(1, EPOCHS + 1)]


TRIALS = [toy(x, seed) for seed in SEEDS for x in (0.9, GOOD, 0.95, BAD, 0.85)]
EXPLODES = [toy(7.0, seed, mode="nan") for seed in SEEDS]  # at first better than all others
BREAKS = [toy(7.0, seed, mode="raise") for seed in SEEDS]


def told(trial: Trial, sign: int = 1) -> Iterator[Event]:
    """What a worker tells of a trial, if it is let."""
    yield Started(1, 1)
    for epoch, value in enumerate(curve(trial), start=1):
        if epoch == 6 and trial.params["mode"] != "fine":
            break
        yield Progress(epoch, {"score": sign * value, "other": -value}, 0.0)
    match trial.params["mode"]:
        case "fine":
            yield Finished(Outcome.COMPLETED, {"score": sign * value})
        case "nan":
            yield Finished(Outcome.EXPLODED, explosion=Explosion("loss became nan", 6, 6, 1.0))
        case _:
            yield Finished(Outcome.FAILED, reason="it broke")


@dataclass
class Sweep:
    """A sweep by one worker, and what it leaves: in the store what has ended, in a journal what has not."""

    spec: SweepSpec
    sign: int = 1
    ends: dict[Trial, Finished] = field(default_factory=dict)
    told: dict[Trial, list[Event]] = field(default_factory=dict)
    epochs_left: float = float("inf")

    def run(self, trials: Sequence[Trial], epochs: float = float("inf")) -> "Sweep":
        """Launch, and die after so many epochs, or go on with what an earlier launch left."""
        self.epochs_left = epochs
        pruner = pruners.of(self.spec)
        for trial, end in self.ends.items():
            for event in [*self.told[trial], end]:
                pruner.take(trial, event)
        for trial in trials:
            if trial not in self.ends and not self._run(pruner, trial):
                return self
        return self

    def _run(self, pruner: pruners.Pruner, trial: Trial) -> bool:
        known = self.told.setdefault(trial, [])
        for event in known:
            pruner.take(trial, event)
        reason = pruner.judge(trial)
        again = len(known) // 2  # it goes on from an earlier checkpoint
        for event in [*told(trial, self.sign)][again:]:
            if reason is not None:
                break
            if not event.is_final and event not in known:
                known.append(event)
                self.epochs_left -= isinstance(event, Progress)
                if self.epochs_left < 0:  # dead, with an epoch in the journal that has not been judged
                    return False
            pruner.take(trial, event)
            if event.is_final:
                self.ends[trial] = event
                return True
            reason = pruner.judge(trial) if isinstance(event, Progress) else None
        self.ends[trial] = Finished(Outcome.PRUNED, reason=reason)
        pruner.take(trial, self.ends[trial])
        return True

    @property
    def results(self) -> list[tuple[str, str, int, str | None]]:
        """How each trial ended, after how many epochs, and why."""
        return [
            (trial.label, end.outcome, sum(isinstance(event, Progress) for event in self.told[trial]), end.reason)
            for trial, end in self.ends.items()
        ]

    def outcomes(self, x: float) -> list[Outcome]:
        return [end.outcome for trial, end in self.ends.items() if trial.params["x"] == x]


@pytest.mark.parametrize("name", PRUNERS)
def test_what_is_clearly_bad_is_pruned_and_what_is_best_is_not(spec: Load, name: str) -> None:
    sweep = Sweep(spec(PRUNERS[name])).run([*TRIALS, toy(BEST, 0), toy(BEST, 1)])
    assert sweep.outcomes(BAD)[-2:] == [Outcome.PRUNED] * 2
    assert sweep.outcomes(BEST) == [Outcome.COMPLETED] * 2
    for _, outcome, epochs, reason in sweep.results:
        if outcome is Outcome.PRUNED:
            assert epochs < EPOCHS
            assert reason is not None
            assert reason.startswith(name.partition(",")[0])
            assert "score" in reason


@pytest.mark.parametrize("name", PRUNERS)
def test_a_metric_to_minimize_is_looked_at_the_other_way_round(spec: Load, name: str) -> None:
    up = Sweep(spec(PRUNERS[name])).run(TRIALS)
    down = Sweep(spec(PRUNERS[name], MINIMIZE), sign=-1).run(TRIALS)
    assert [result[:3] for result in down.results] == [result[:3] for result in up.results]


@pytest.mark.parametrize("name", PRUNERS)
@pytest.mark.parametrize(
    "others", [EXPLODES, pytest.param(BREAKS, marks=pytest.mark.slow)], ids=["explosions", "failures"]
)
def test_nothing_is_pruned_for_being_worse_than_what_exploded_or_failed(
    spec: Load, name: str, others: list[Trial]
) -> None:
    without = Sweep(spec(PRUNERS[name])).run(TRIALS)
    among = [trial for seed in SEEDS for trial in (others[seed], *TRIALS[seed * 5 : seed * 5 + 5])]
    having = Sweep(spec(PRUNERS[name])).run(among)
    assert [result for result in having.results if not result[0].startswith("x=7")] == without.results
    assert Outcome.PRUNED not in having.outcomes(7.0)


@pytest.mark.slow
@pytest.mark.parametrize("name", PRUNERS | ODD)
def test_a_sweep_that_is_cut_off_decides_as_one_that_is_not(spec: Load, name: str) -> None:
    text = (PRUNERS | ODD)[name]
    trials = [trial for seed in SEEDS for trial in (EXPLODES[seed], *TRIALS[seed * 5 : seed * 5 + 5])]
    untouched = Sweep(spec(text)).run(trials)
    epochs = sum(result[2] for result in untouched.results)
    for cut in range(1, epochs, 31):
        assert Sweep(spec(text)).run(trials, epochs=cut).run(trials).results == untouched.results
    thrice = Sweep(spec(text))
    for _ in range(3):
        thrice.run(trials, epochs=epochs / 4)
    assert thrice.run(trials).results == untouched.results


@pytest.mark.parametrize("name", BY_EPOCH)
def test_an_epoch_that_is_told_again_is_not_judged_again(spec: Load, name: str) -> None:
    pruner = pruners.of(spec(PRUNERS[name]))
    bad = toy(BAD, 0)
    for event in [*told(bad)][:4]:
        pruner.take(bad, event)
        assert pruner.judge(bad) is None  # there is nothing to hold it against
    for seed in (1, 2, 3):
        good = toy(GOOD, seed)
        for event in told(good):
            pruner.take(good, event)
            pruner.judge(good)
    for event in [*told(bad)][:4]:
        pruner.take(bad, event)
        assert pruner.judge(bad) is None
    reasons = []
    for event in [*told(bad)][4:-1]:
        pruner.take(bad, event)
        reasons.append(pruner.judge(bad))
    assert any(reasons)


def test_what_runs_anew_is_left_out_and_no_other_trial_whatever_exploded_before(spec: Load) -> None:
    pruner = pruners.of(spec(PRUNERS["median"]))
    assert isinstance(pruner, StudyPruner)
    exploded = toy(BAD, 0)
    first, *_ = told(exploded)
    pruner.take(exploded, first)
    pruner.judge(exploded)
    pruner.take(exploded, Finished(Outcome.EXPLODED))
    for seed in (1, 2):
        for event in told(toy(GOOD, seed)):
            pruner.take(toy(GOOD, seed), event)
    before = [trial.intermediate_values for trial in pruner._study.get_trials(deepcopy=False)]
    pruner.renew(toy(GOOD, 1), Outcome.COMPLETED)
    assert [trial.intermediate_values for trial in pruner._study.get_trials(deepcopy=False)] == before[1:]


@pytest.mark.parametrize("name", BY_EPOCH)
def test_a_trial_is_not_pruned_after_its_last_epoch(spec: Load, name: str) -> None:
    pruner = pruners.of(spec(PRUNERS[name]))
    for seed in SEEDS:
        for event in told(toy(GOOD, seed)):
            pruner.take(toy(GOOD, seed), event)
    short = toy(BAD, 0, epochs=4)
    for event in [*told(short)][:5]:
        pruner.take(short, event)
    assert pruner.judge(short) is None


@pytest.mark.parametrize("name", PRUNERS)
def test_another_metric_can_be_looked_at(spec: Load, name: str) -> None:
    other = PRUNERS[name].replace("{type", "{metric: {name: other, goal: maximize}, type", 1)
    by_other = Sweep(spec(other)).run(TRIALS).results
    turned_round = Sweep(spec(PRUNERS[name]), sign=-1).run(TRIALS).results
    assert [result[:3] for result in by_other] == [result[:3] for result in turned_round]
    assert by_other != Sweep(spec(PRUNERS[name])).run(TRIALS).results
    assert all("other" in reason for *_, reason in by_other if reason)


@pytest.mark.parametrize("name", PRUNERS)
def test_trials_without_a_value_are_compared_with_none_and_end_nobody(spec: Load, name: str) -> None:
    none = PRUNERS[name].replace("{type", "{metric: {name: scoer}, type", 1)
    assert {outcome for _, outcome, *_ in Sweep(spec(none)).run(TRIALS).results} == {Outcome.COMPLETED}


def test_patience_alone_compares_a_trial_with_itself(spec: Load) -> None:
    sweep = Sweep(spec("{type: patient, patience: 2, min_delta: 0.01}")).run(TRIALS)
    assert sweep.outcomes(BAD) == [Outcome.PRUNED] * len(SEEDS)
    assert sweep.outcomes(GOOD) == [Outcome.COMPLETED] * len(SEEDS)
    assert "has not improved on" in str(sweep.ends[TRIALS[3]].reason)


def test_a_verdict_says_what_was_held_against_what(spec: Load) -> None:
    pruner = pruners.of(spec("{type: median, n_startup_trials: 3}"))
    for seed, value in enumerate((0.6, 0.7, 0.8)):
        for event in (Progress(1, {"score": value}, 0.0), Finished(Outcome.COMPLETED)):
            pruner.take(toy(1.0, seed), event)
    pruner.take(toy(2.0, 0), Progress(1, {"score": 0.61}, 0.0))
    assert pruner.judge(toy(2.0, 0)) == "median: score 0.61 by epoch 1 is below 0.7, the median of 3 trials"


OPTUNAS: dict[str, Callable[[], BasePruner]] = {
    "{type: median, n_startup_trials: 4, n_warmup_steps: 3, interval_steps: 2, n_min_trials: 5}": lambda: MedianPruner(
        4, 3, 2, n_min_trials=5
    ),
    "{type: percentile, percentile: 70, n_startup_trials: 2, n_warmup_steps: 1, interval_steps: 3, n_min_trials: 3}": (
        lambda: PercentilePruner(70, 2, 1, 3, n_min_trials=3)
    ),
    "{type: successive_halving, min_resource: 2, reduction_factor: 3, bootstrap_count: 2}": (
        lambda: SuccessiveHalvingPruner(2, 3, 0, 2)
    ),
    "{type: successive_halving, reduction_factor: 2, min_early_stopping_rate: 1}": lambda: SuccessiveHalvingPruner(
        1, 2, 1
    ),
    "{type: patient, patience: 2, min_delta: 0.1, wrapped_pruner: {type: percentile, percentile: 40}}": (
        lambda: PatientPruner(PercentilePruner(40), 2, 0.1)
    ),
}


@pytest.mark.parametrize("text", OPTUNAS)
@pytest.mark.parametrize("goal", ["maximize", "minimize"])
def test_verdicts_are_those_of_optuna(spec: Load, text: str, goal: str) -> None:
    ours = pruners.of(spec(text, HEAD if goal == "maximize" else MINIMIZE))
    warnings.simplefilter("ignore", ExperimentalWarning)
    study = optuna.create_study(direction=goal, pruner=OPTUNAS[text](), sampler=RandomSampler())
    rng, pruned = random.Random(0), 0
    for number in range(60):
        trial, optunas = toy(float(number + 1), 0), study.ask()
        level, end = rng.gauss(0, 1), Finished(Outcome.COMPLETED)
        for epoch in range(1, EPOCHS):
            value = level + rng.gauss(0, 0.5)
            ours.take(trial, Progress(epoch, {"score": value}, 0.0))
            optunas.report(value, epoch)
            reason = ours.judge(trial)
            assert (reason is not None) == optunas.should_prune()
            if reason is not None:
                end = Finished(Outcome.PRUNED, reason=reason)
                break
        ours.take(trial, end)
        pruned += end.outcome is Outcome.PRUNED
        study.tell(optunas, *((None, TrialState.PRUNED) if end.outcome is Outcome.PRUNED else (value,)))
    assert 2 < pruned < 59


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("goal", ["maximize", "minimize"])
def test_hyperband_keeps_what_is_among_the_best_of_those_that_came_to_a_bracket(
    spec: Load, strict: bool, goal: str
) -> None:
    text = f"{{type: hyperband, min_iter: 2, eta: 2.5, strict: {str(strict).lower()}}}"
    pruner = pruners.of(spec(text, HEAD if goal == "maximize" else MINIMIZE))
    sign, rng = 1 if goal == "maximize" else -1, random.Random(1)
    curves: list[list[float]] = []
    for number in range(60):
        trial, values = toy(float(number + 1), 0), []
        curves.append(values)
        for epoch in range(1, 15):
            values.append(rng.gauss(0, 1))
            pruner.take(trial, Progress(epoch, {"score": sign * values[-1]}, 0.0))
            reason = pruner.judge(trial)
            expected = False
            if epoch in (2, 5, 12):  # 2, 2 * 2.5 and 2 * 2.5 * 2.5, as W&B rounds them
                there = sorted((one[epoch - 1] for one in curves if len(one) >= epoch), reverse=True)
                expected = (values[-1] if strict else max(values)) < there[int(len(there) / 2.5)]
            assert (reason is not None) == expected
            if expected:
                break
        pruner.take(trial, Finished(Outcome.PRUNED if expected else Outcome.COMPLETED))
    assert 20 < sum(len(values) < 14 for values in curves) < 55


@pytest.mark.parametrize(
    ("keys", "brackets"),
    [  # the first two are examples of W&B's documentation
        ("min_iter: 3", {3, 9, 27, 81}),
        ("max_iter: 27, s: 2", {9, 3}),
        ("max_iter: 18, s: 2", {6, 2}),
        ("max_iter: 5, s: 4, eta: 2", {2, 1}),
        ("max_iter: 27, s: 2, min_iter: 5", {9, 3}),
        ("min_iter: 2, max_iter: 20", {2, 6, 18}),
        ("min_iter: 3, eta: 1.5", {3, 4, 6, 10, 15, 22, 34, 51, 76}),
    ],
)
def test_brackets_are_where_wandb_has_them(spec: Load, keys: str, brackets: set[int]) -> None:
    rule = spec(f"{{type: hyperband, {keys}}}").early_terminate
    assert {band for band in rule.brackets if band < 100} == brackets


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("hyperband", "early_terminate: needs {type: ...} with one of hyperband, median"),
        ("{min_iter: 3}", "early_terminate: needs {type: ...}"),
        ("{type: medain}", "early_terminate.type: unknown type 'medain'; did you mean median?"),
        ("{type: [1]}", "early_terminate.type: unknown type [1]"),
        ("{type: median, n_startup: 3}", "early_terminate.n_startup: unknown key; did you mean n_startup_trials?"),
        ("{type: median, n_warmup_steps: -1}", "early_terminate.n_warmup_steps: input should be greater than"),
        ("{type: percentile}", "early_terminate.percentile: is missing"),
        ("{type: hyperband}", "early_terminate: hyperband needs min_iter, or max_iter and s"),
        ("{type: hyperband, max_iter: 27}", "early_terminate: hyperband needs min_iter, or max_iter and s"),
        ("{type: hyperband, min_iter: 3, eta: 1}", "early_terminate.eta: input should be greater than 1"),
        ("{type: successive_halving, min_resource: auto}", "early_terminate.min_resource: input should be a valid"),
        ("{type: patient}", "early_terminate.patience: is missing"),
        (
            "{type: patient, patience: 2, wrapped_pruner: {type: wilcoxon}}",
            "early_terminate.wrapped_pruner.type: unknown type 'wilcoxon'",
        ),
        (
            "{type: patient, patience: 2, wrapped_pruner: {type: median, interval: 2}}",
            "early_terminate.wrapped_pruner.interval: unknown key; did you mean interval_steps?",
        ),
        (
            "{type: patient, patience: 2, wrapped_pruner: {type: median, metric: {name: score}}}",
            "early_terminate.wrapped_pruner.metric: is set by the pruner around this one",
        ),
        (
            "{type: wilcoxon, p_threshold: 0.01}",
            "early_terminate: wilcoxon needs at least 8 `seeds`: with p_threshold 0.01 it needs 7",
        ),
    ],
)
def test_mistakes_are_told_with_their_line_and_key(spec: Load, text: str, mistake: str) -> None:
    with pytest.raises(InputError) as error:
        spec(text)
    assert error.value.mistakes[0].split(":", 2)[1] == "5"
    assert mistake in error.value.mistakes[0]


def test_a_boundary_has_to_see_how_its_trials_end(write: Callable[[str], Path]) -> None:
    text = "method: boundary\nrun_cap: 9\nparameters: {lr: {min: 0.1, max: 1.0}}\nearly_terminate: {type: median}\n"
    with pytest.raises(InputError, match=r":4: early_terminate: does not work with method boundary"):
        load(write(text))


def test_a_loss_with_var_in_it_cannot_rule_trials_of_other_values_of_var_out(write: Callable[[str], Path]) -> None:
    text = "parameters: {var: {values: [0.1, 0.2]}}\nearly_terminate: {metric: {name: val_loss}, type: %s}\n"
    with pytest.raises(InputError, match=r":2: early_terminate\.metric\.name: val_loss depends on var"):
        load(write(text % "median"))
    load(write(text % "patient, patience: 3"))
