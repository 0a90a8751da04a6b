"""What is called best: docs/results.md, "What is best"."""

import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from orchestrator import samplers
from orchestrator.comparison.best import ahead, as_good, as_winner, facts, undistinguished
from orchestrator.comparison.configuration import Configuration, configurations
from orchestrator.comparison.dominance import may_be_dominated
from orchestrator.comparison.intervals import half_width
from orchestrator.comparison.ranking import Ranking
from orchestrator.comparison.running_table import RunningTable
from orchestrator.comparison.table import Table
from orchestrator.comparison.winner import corrected, shrunk
from orchestrator.errors import InputError
from orchestrator.reports.configurations import Run, best_first, configurations_of
from orchestrator.reports.document import Part
from orchestrator.reports.results import results
from orchestrator.samplers.search import SearchSampler
from orchestrator.spec import Objective, SweepSpec, load
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.observation import Observation
from orchestrator.trials.record import PROPOSALS, Record

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]
UP, DOWN = [Objective("score", "maximize")], [Objective("loss", "minimize")]
BOTH = [Objective("score", "maximize", counts_best=False), Objective("loss", "minimize", counts_best=False)]
BAD = pytest.mark.parametrize("bad", [Outcome.EXPLODED, Outcome.INFEASIBLE])


def seeds(name: str, *values: float, **others: int) -> Configuration:
    """A configuration whose seeds completed with these values, and others that ended otherwise."""
    completed = [Observation(Outcome.COMPLETED, (value,)) for value in values]
    lost = [Observation(Outcome[outcome.upper()]) for outcome, count in others.items() for _ in range(count)]
    return Configuration(name, {"x": name}, (*completed, *lost))


def names(found: Sequence[Configuration], aims: Sequence[Objective] = UP, survivors: bool = False) -> list[str]:
    return [one.config_key for one in Ranking(found, aims, survivors)]


def ended(x: object, seed: int, outcome: Outcome, **metrics: float) -> tuple[Trial, Record]:
    trial = Trial("toys:train", 1, {"x": x, "seed": seed}, f"x={x} seed={seed}")
    tags = {"config_key": trial.config_key, "epochs_run": "3"}
    return trial, Record(f"{x}-{seed}", trial.trial_key, trial.label, outcome, "", trial.params, metrics, tags)


LUCKY = [ended(1.0, 0, Outcome.COMPLETED, score=0.91)] + [ended(1.0, n, Outcome.EXPLODED) for n in range(1, 5)]
STEADY = [ended(2.0, n, Outcome.COMPLETED, score=0.9 + 0.0002 * n) for n in range(5)]
POOR = [ended(3.0, n, Outcome.COMPLETED, score=0.41) for n in range(5)]

FUNCTION = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Config:
    x: int = 1
    seed: int = 0

def train(config: Config):
    is_lost = config.x == 1 and config.seed > 0
    yield {"epoch": 1, "train_loss": float("nan") if is_lost else 1.0}
    return {"score": {1: 0.91, 2: 0.9 + 0.0002 * config.seed, 3: 0.41}[config.x]}
"""


@BAD
@pytest.mark.parametrize("poor", [[], [seeds("poor", 0.41, 0.42)]], ids=["alone", "beside a poor one"])
def test_one_of_five_seeds_that_came_through_is_not_better_than_five_of_five(
    bad: Outcome, poor: list[Configuration]
) -> None:
    lucky, steady = seeds("lucky", 0.91, **{bad.name: 4}), seeds("steady", 0.9, 0.9002, 0.9004, 0.9006, 0.9008)
    assert names([lucky, steady, *poor])[0] == "steady"
    assert names([lucky, steady, *poor], survivors=True)[0] == "lucky"


@BAD
def test_a_seed_that_was_lost_counts_as_the_worst_completed_value_of_the_sweep(bad: Outcome) -> None:
    risky, other = seeds("risky", 0.9, 0.8, 0.7, **{bad.name: 1}), seeds("other", 0.4, 0.6)
    ranked = Ranking([risky, other], UP)
    assert ranked.worst == (0.4,)
    assert ranked.expected(risky) == (pytest.approx((0.9 + 0.8 + 0.7 + 0.4) / 4),)
    assert ranked.expected(other) == (0.5,)
    assert Ranking([risky, other], UP, survivors=True).expected(risky) == (pytest.approx(0.8),)
    flipped = [seeds("risky", -0.9, -0.8, -0.7, **{bad.name: 1}), seeds("other", -0.4, -0.6)]
    assert Ranking(flipped, DOWN).expected(flipped[0]) == (pytest.approx(-0.7),)


def test_a_seed_without_a_value_counts_as_the_worst_too() -> None:
    silent, other = seeds("silent", 0.9, 0.9, completed=1), seeds("other", 0.3, 0.5)
    assert Ranking([silent, other], UP).expected(silent) == (pytest.approx(0.7),)
    assert "1 of 3 seeds have no score; counted as 0.3, the worst of the sweep" in facts(
        silent, Ranking([silent, other], UP)
    )


def test_half_of_the_seeds_lost_ranks_behind_all_others_and_none_left_behind_these() -> None:
    found = [seeds("gone", exploded=2), seeds("half", 0.99, exploded=1), seeds("poor", 0.1, 0.2)]
    assert names(found) == ["poor", "half"]
    assert names(found, survivors=True) == ["half", "poor"]
    assert names([seeds("one", 0.2, exploded=1), seeds("other", 0.1, exploded=1)]) == ["one", "other"]


def test_of_equal_values_the_one_with_fewer_lost_seeds_is_first() -> None:
    assert names([seeds("risky", 0.5, 0.5, exploded=1), seeds("steady", 0.5, 0.5)]) == ["steady", "risky"]


@pytest.mark.parametrize(("value", "expected"), [(0.2, 0.6), (0.9, 0.8), (None, 0.45)])
def test_a_pruned_seed_counts_as_what_it_had_and_never_for_the_better(value: float | None, expected: float) -> None:
    pruned = Observation(Outcome.PRUNED, None if value is None else (value,), epoch=2)
    completed = [Observation(Outcome.COMPLETED, (0.8,))] * (1 if value is None else 2)
    one = Configuration("pruned", {}, (*completed, pruned))
    ranked = Ranking([one, seeds("other", 0.1)], UP)
    assert ranked.expected(one) == (pytest.approx(expected),)
    assert any("seeds were pruned; counted as what they had by then" in fact for fact in facts(one, ranked))


def test_best_says_what_was_lost_and_what_that_counts_as() -> None:
    risky, poor = seeds("risky", 0.95, 0.94, 0.96, exploded=1, infeasible=1), seeds("poor", 0.41, 0.42)
    ranked = Ranking([risky, poor], UP)
    assert facts(ranked[0], ranked)[1:] == [
        "1 of 5 seeds exploded; counted as 0.41, the worst of the sweep",
        "1 of 5 seeds were infeasible; counted as 0.41, the worst of the sweep",
        "all seeds together, by which it is ranked: 0.734",
    ]
    ranked = Ranking([risky, poor], UP, survivors=True)
    assert facts(ranked[0], ranked)[1:] == [
        "1 of 5 seeds exploded; not counted",
        "1 of 5 seeds were infeasible; not counted",
    ]


def in_a_report(spec: SweepSpec, pairs: Sequence[tuple[Trial, Record]]) -> Part:
    runs = [Run(trial.params, trial.config_key, trial.label, record, True, "") for trial, record in pairs]
    return results(spec, best_first(spec, configurations_of(spec, runs)))


def test_tables_the_front_and_the_best_trial_agree_with_the_ranking(folder: Path, write: Write) -> None:
    spec = load(write("trial: toys:train\nmetric: {name: score, goal: maximize}\n"))
    pairs = [*LUCKY, *POOR, *STEADY]
    whole = Table.of(spec, [trial for trial, _ in pairs], {record.trial_key: record for _, record in pairs})
    tally = RunningTable(spec)
    for trial, record in pairs:
        tally.take(trial, record)
    for table in (whole, tally.table()):
        assert table.best
        assert table.best.label == "x=2.0 seed=4"
        assert [row.trial.params["x"] for row in table.rows[:11]] == [2.0] * 5 + [3.0] * 5 + [1.0]
        header, rows = table.over_seeds()
        assert header == ["x", "score", "score, all seeds", "seeds", "exploded"]
        assert rows == [
            ["2", "0.90040 ± 0.00039", "0.9004", "5", "0"],
            ["3", "0.4100 ± 0", "0.4100", "5", "0"],
            ["1", "0.9100", "0.5100", "5", "4"],
        ]
    shown = in_a_report(spec, pairs)
    assert shown.grid is not None
    assert [(row[1].text, row[2].text) for row in shown.grid.rows] == [
        ("0.90040 ± 0.00039", "0.9004"),
        ("0.4100 ± 0", "0.4100"),
        ("0.9100", "0.5100"),
    ]
    assert [row[0].text for row in shown.grid.rows if row[1].is_best] == ["2"]
    pruned = [ended(4.0, 0, Outcome.COMPLETED, score=0.95), *(ended(4.0, n, Outcome.PRUNED) for n in range(1, 5))]
    beside = in_a_report(spec, [*pairs, *pruned])
    assert beside.grid is not None
    assert [row[0].text for row in beside.grid.rows if row[1].is_best] == ["2"]
    assert "one that exploded, was infeasible or has no value counts as the worst of the sweep" in " ".join(shown.words)
    two = load(write("trial: toys:train\nmetrics: [{name: score, goal: maximize}, {name: loss, goal: minimize}]\n"))
    lucky = [ended(1.0, 0, Outcome.COMPLETED, score=0.91, loss=1.0), *LUCKY[1:]]
    steady = [ended(2.0, n, Outcome.COMPLETED, score=0.9, loss=2.0) for n in range(5)]
    pairs = [*lucky, *steady]
    table = Table.of(two, [trial for trial, _ in pairs], {record.trial_key: record for _, record in pairs})
    assert [one.params["x"] for one in table.front] == [2.0]


def test_no_trial_is_the_best_where_each_configuration_breaks_a_constraint(folder: Path, write: Write) -> None:
    text = "trial: toys:train\nmetric: {name: score, goal: maximize}\nconstraints: {cost: {max: 10}}\n"
    spec = load(write(text))
    pairs = [ended(1.0, seed, Outcome.COMPLETED, score=0.9, cost=cost) for seed, cost in enumerate((9.0, 90.0))]
    table = Table.of(spec, [trial for trial, _ in pairs], {record.trial_key: record for _, record in pairs})
    assert [bool(row.broken) for row in table.rows] == [False, True]
    assert table.best is None
    kept = [*pairs, ended(2.0, 0, Outcome.COMPLETED, score=0.1, cost=1.0)]
    table = Table.of(spec, [trial for trial, _ in kept], {record.trial_key: record for _, record in kept})
    assert table.best
    assert table.best.label == "x=2.0 seed=0"


def test_a_search_is_told_what_the_ranking_counts_and_the_same_when_taken_up_again(write: Write) -> None:
    text = "trial: toys:train\nmethod: tpe\nrun_cap: 12\nseeds: [0, 1, 2]\nparameters: {x: {min: 0.01, max: 1.0}}\n"
    spec = load(write(text + "metric: {name: score, goal: maximize}\n"))

    def result(trial: Trial) -> Observation:
        if trial.params["seed"] == 1 and trial.params["x"] < 0.6:
            return Observation(Outcome.EXPLODED, margin=1.0, epoch=1)
        return Observation(Outcome.COMPLETED, (trial.params["x"] + 0.01 * trial.params["seed"],), margin=-1.0, epoch=3)

    def told(sampler: SearchSampler) -> list[object]:
        return [trial.values for trial in sampler._proposals._study.get_trials()]

    def sampler() -> SearchSampler:
        made = samplers.of(spec)
        assert isinstance(made, SearchSampler)
        return made

    live, number = sampler(), 0
    history: dict[str, Record] = {}
    while trials := [trial for trial in (live.ask() for _ in range(3)) if trial]:
        for trial in reversed(trials):  # they end in another order than they begin
            number += 1
            seen = result(trial)
            live.tell(trial, seen)
            tags = {"proposal": PROPOSALS.dump_json(trial.proposal).decode(), "epochs_run": str(seen.epoch)}
            tags |= {"config_key": trial.config_key, "end_number": str(number)}
            metrics = {"explosion_margin": seen.margin or 0.0} | ({"score": seen.values[0]} if seen.values else {})
            ids = (trial.trial_key, trial.trial_key, trial.label)
            history[trial.trial_key] = Record(*ids, seen.outcome, "", trial.params, metrics, tags)
    again = sampler()
    again.replay(history, [])
    assert told(again) == told(live)
    ranked = Ranking(configurations(history.values(), spec.objectives), spec.objectives)
    last = history[live.trials[-1].trial_key]
    final = next(one for one in ranked if one.config_key == last.tags["config_key"])
    assert told(live)[-1] == [pytest.approx(ranked.expected(final)[0])]
    assert any(one.exploded for one in ranked)


def test_the_winners_interval_reaches_further_down_the_more_there_were_to_choose_from() -> None:
    first = [0.5, 0.52, 0.49, 0.51, 0.48]
    others = [[value - 0.01 * n for value in first] for n in range(1, 30)]
    few, many = corrected([first, *others[:7]], 1), corrected([first, *others], 1)
    assert few
    assert many
    assert many[0] < few[0] < sum(first) / 5 < many[1]
    mirrored = corrected([[-value for value in one] for one in [first, *others]], -1)
    assert mirrored == pytest.approx((-many[1], -many[0]))
    assert corrected([[0.5], *others], 1) is None
    half = half_width(first) or 0.0
    assert corrected([first], 1) == pytest.approx((sum(first) / 5 - half, sum(first) / 5 + half))


def test_variances_are_drawn_together_as_far_as_they_are_alike() -> None:
    spread, freedom = shrunk([(1.0, 2), (2.0, 2), (1.5, 2), (1.2, 2)])
    assert (spread, freedom) == (pytest.approx(1.425), 8)  # as alike as chance has them: pooled
    spread, freedom = shrunk([(1.0, 20), (1000.0, 20), (1e-3, 20), (1e6, 20)])
    assert spread == pytest.approx(1.0, rel=0.2)  # unlike each other: its own
    assert 20 < freedom < 21
    assert shrunk([(0.0, 2), (0.0, 2)]) == (0.0, 2)


def coverage(count: int, per: int, lead: float, unequal: bool, rounds: int) -> tuple[float, float]:
    """How often the plain and the corrected interval cover the mean of the best."""
    rng = random.Random(f"{count} {per} {lead} {unequal}")
    plain = covered = 0
    for _ in range(rounds):
        means = [lead, *[0.0] * (count - 1)]
        scales = [rng.lognormvariate(0, 0.5) if unequal else 1.0 for _ in means]
        samples = [[rng.gauss(m, s) for _ in range(per)] for m, s in zip(means, scales, strict=True)]
        best = max(range(count), key=lambda i: sum(samples[i]))
        half = half_width(samples[best]) or 0.0
        plain += abs(sum(samples[best]) / per - means[best]) <= half
        ends = corrected([samples[best], *samples[:best], *samples[best + 1 :]], 1)
        assert ends
        covered += ends[0] <= means[best] <= ends[1]
    return plain / rounds, covered / rounds


@pytest.mark.slow
@pytest.mark.parametrize("count", [8, 30])
@pytest.mark.parametrize("per", [3, 5])
@pytest.mark.parametrize(("lead", "unequal"), [(0.0, False), (1.0, False), (0.0, True)])
def test_the_winners_interval_covers_its_mean(count: int, per: int, lead: float, unequal: bool) -> None:
    plain, covered = coverage(count, per, lead, unequal, 1000)
    assert covered >= 0.93
    assert covered > plain


def test_best_says_that_the_best_of_several_was_lucky() -> None:
    found = [seeds(str(n), 0.1 * n, 0.1 * n + 0.02, 0.1 * n - 0.02) for n in range(8)]
    (said,) = as_winner(Ranking(found, UP))
    assert said.startswith("the best of 8 is likely to have been lucky; corrected for that: 0.6")
    assert as_winner(Ranking(found[:1], UP)) == []
    assert as_winner(Ranking([seeds("one", 0.1), seeds("other", 0.2)], UP)) == []


def test_best_says_by_how_much_it_is_ahead_of_the_second() -> None:
    def said(*found: Configuration) -> list[str]:
        return ahead(Ranking(found, UP), lambda one: one.params["x"])

    one, other = seeds("one", 0.90, 0.92, 0.94), seeds("other", 0.80, 0.83, 0.84)
    # by seed 0.1, 0.09 and 0.1: Student's t of two degrees of freedom, 4.303, times 0.00577 / sqrt(3)
    assert said(other, one) == ["ahead of the second, other, by 0.097 ± 0.014 (95%, by the 3 seeds that both have)"]
    third = seeds("third", 0.1, 0.2, 0.4)
    assert said(third, other, one)[0].endswith(" (95%, by the 3 seeds that both have, for all 2 others at once)")
    assert said(seeds("one", 0.9), seeds("other", 0.8)) == [
        "ahead of the second, other, by 0.1 (no interval, which takes several seeds that both have)"
    ]
    for best, second, by in (  # of which the seeds that both have cannot say it
        ({0: 0.7, 1: 0.71, 2: 0.95, 3: 0.96, 4: 0.97}, {0: 0.8, 1: 0.79}, 0.063),
        ({0: 0.9, 1: 0.92, 2: 0.94}, {1: 0.8, 2: 0.83, 3: 0.84}, 0.097),
    ):
        found = [
            Configuration(x, {"x": x}, tuple(Observation(Outcome.COMPLETED, (y,), seed=n) for n, y in values.items()))
            for x, values in (("one", best), ("other", second))
        ]
        (text,) = said(*found)
        assert text == f"ahead of the second, other, by {by} (no interval, which takes several seeds that both have)"
    assert said(one) == said(one, seeds("other", 0.90, 0.92, 0.94)) == []  # none; an equal one, which is named
    assert said(one, seeds("other", 0.8, exploded=2)) == []  # most of its seeds are lost


def test_values_whose_squares_are_no_numbers_are_ranked_and_compared() -> None:
    one, other = seeds("one", 1e300, 1.1e300, 1.2e300), seeds("other", -1e300, 0.25, 0.2)
    ranked = Ranking([one, other], UP)
    assert ranked[0] is one
    assert undistinguished(ranked, lambda one: one.params["x"]) == []  # 1.43e300 ± 1.22e300 apart
    assert as_winner(ranked)[0].startswith("the best of 2")


@pytest.mark.parametrize("unit", [1e308, 1.0, 5e-318])
def test_means_and_intervals_are_those_of_any_other_unit(unit: float) -> None:
    one, other = seeds("one", 1.0 * unit, 1.2 * unit, 1.7 * unit), seeds("other", -1.0 * unit, 0.4 * unit)
    ranked = Ranking([other, one], UP)
    (mean,), (interval,) = ranked.expected(one), one.intervals
    assert mean / unit == pytest.approx(1.3, rel=1e-3)
    assert (interval.half_width or 0.0) / unit == pytest.approx(min(0.896, 1.79e308 / unit), rel=1e-2)
    low, high = corrected([[1.0 * unit, 1.2 * unit, 1.7 * unit], [0.4 * unit]], 1) or (0.0, 0.0)
    assert (low / unit, high / unit) == pytest.approx((-0.00, min(2.20, 1.797e308 / unit)), abs=0.02)


def test_what_is_beyond_the_floats_is_the_largest_of_them() -> None:
    both = Ranking([seeds("one", 1.7e308, 1.6e308), seeds("other", -1.7e308, -1.6e308)], UP)
    assert [one.config_key for one in both] == ["one", "other"]
    assert undistinguished(both, lambda one: one.params["x"]) == []
    assert half_width([1.7e308, -1.7e308]) == sys.float_info.max
    assert facts(both[0], both) == ["score 1.65e+308 ± 6.4e+307 (95%, 2 seeds)"]


def test_of_equal_configurations_none_was_lucky_and_best_says_which_they_are() -> None:
    alike = Ranking([seeds(name, 0.5, 0.6, 0.7) for name in "abc"], UP)
    assert as_winner(alike) == undistinguished(alike, lambda one: one.params["x"]) == []
    assert as_good(alike, lambda one: one.params["x"]) == ["equal to it: b; c"]
    exact = Ranking([seeds("a", 1.0, 1.0), seeds("b", 0.5, 0.5), seeds("c", 1.0, 1.0)], UP)
    assert as_winner(exact) == []
    assert as_good(exact, lambda one: one.params["x"]) == ["equal to it: c"]
    single = Ranking([seeds("a", 1.0), seeds("b", 1.0), seeds("c", 1.0, exploded=1)], UP)
    assert as_good(single, lambda one: one.params["x"]) == ["equal to it: b"]  # of c, half of the seeds were lost


def points(name: str, *values: tuple[float, float]) -> Configuration:
    return Configuration(name, {}, tuple(Observation(Outcome.COMPLETED, pair) for pair in values))


def test_members_of_a_front_that_seeds_do_not_tell_from_others_are_marked() -> None:
    sure = points("sure", (9.0, 1.0), (9.1, 1.1), (9.2, 0.9))
    lucky = points("lucky", (5.0, 5.0), (9.0, 0.0), (15.0, 0.5))
    cheap = points("cheap", (1.0, 0.01), (1.1, 0.011), (0.9, 0.012))
    single = points("single", (20.0, 30.0))
    ranked = Ranking([sure, cheap, single], BOTH)
    assert {one.config_key for one in ranked.front} == {"sure", "cheap", "single"}
    assert may_be_dominated(ranked.front, ranked) == set()
    ranked = Ranking([sure, lucky], BOTH)
    assert {one.config_key for one in ranked.front} == {"sure", "lucky"}
    assert may_be_dominated(ranked.front, ranked) == {"sure", "lucky"}


def test_ranking_ten_thousand_trials_and_the_correction_take_well_below_two_seconds() -> None:
    """By counting, not by the clock: each configuration is looked at once."""
    looked = 0

    class Counted(Configuration):
        def expected(self, *args: object, **kwargs: object) -> tuple[float, ...]:
            nonlocal looked
            looked += 1
            return self.means

    found = [Counted(str(n), {}, (Observation(Outcome.COMPLETED, (n / 1e4,)),)) for n in range(10_000)]
    ranked = Ranking(found, UP)
    assert (ranked[0].config_key, looked) == ("9999", 10_000)
    assert as_winner(ranked) == []


def test_survivors_without_anything_to_rank_by_is_a_mistake(write: Write) -> None:
    with pytest.raises(InputError, match=r":2: survivors: survivors needs a metric to compare trials by"):
        load(write("trial: toys:train\nsurvivors: true\nparameters: {x: {values: [1.0, 2.0]}}\n"))
    text = "method: boundary\nrun_cap: 9\nsurvivors: true\nparameters: {lr: {min: 0.1, max: 1.0}}\n"
    with pytest.raises(InputError, match=r":3: survivors: is for ranking configurations, and boundary ranks none"):
        load(write(text))


@pytest.mark.slow
def test_best_report_and_table_name_the_steady_one_unless_survivors_alone_count(
    store: str, write: Write, sweep: Sweep, folder: Path
) -> None:
    (folder / "seeded.py").write_text(FUNCTION)
    text = "trial: seeded:train\nmetric: {name: score, goal: maximize}\nseeds: [0, 1, 2, 3, 4]\n"
    text += "parameters: {x: {values: [1, 2, 3]}}\n"
    path = write(text)
    done = sweep("launch", path, "--executor", "inline")
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if "0.9" in line and " completed " in line]
    assert next(row[0] for row in rows if ":" not in row[0]) == "2"  # of the table, whose lines tell no time
    said = sweep("best", path).stdout
    assert "best of 3 by score (maximize): x=2\nscore 0.9004 ± 0.00039 (95%, 5 seeds)" in said
    assert "not distinguishable" not in said
    assert "the best of 3 is likely to have been lucky; corrected for that: 0.8998" in said
    assert sweep("report", path, "--out", "out").returncode == 0
    assert "x=2: score 0.9004" in (folder / "out" / "report.md").read_text()
    write(text + "survivors: true\n")
    said = sweep("best", path).stdout
    assert "best of 3 by score (maximize): x=1\nscore 0.91 (1 seed: no interval)\n4 of 5 seeds exploded; not" in said
