"""Two configurations compared by seed, on made values and by simulation."""

import math
import random
from statistics import variance as exact

import judging
import pytest
from scipy import stats

from orchestrator.comparison.configuration import Configuration
from orchestrator.comparison.paired import Difference, Looks, Standing, borrowing
from orchestrator.comparison.ranking import Ranking
from orchestrator.comparison.untold import untold
from orchestrator.spec import Objective
from orchestrator.system.averages import variance
from orchestrator.trial import Outcome
from orchestrator.trials.observation import Observation, valued


def by_seed(*values: float) -> dict[int, float]:
    return dict(enumerate(values))


def difference(one: dict[int, float], other: dict[int, float], sign: int = 1) -> Difference:
    found = Difference.of(one, other, sign)
    assert found is not None
    return found


def test_a_variance_is_the_exact_one_and_0_where_all_values_are_equal() -> None:
    draw = random.Random(0)
    samples = [[draw.gauss(mean, 1) for _ in range(n)] for mean in (0, 1e3, -1e9) for n in (2, 3, 20)]
    for sample in [*samples, [1e16, 1.0, 2.0], [1.0, 2.0, 1e16], [1e-70, 3e-70]]:
        assert variance(sample) == pytest.approx(exact(sample), rel=1e-14)
    assert variance([0.1, 0.1, 0.1]) == 0


def test_a_difference_is_that_of_the_paired_t_test_where_there_is_one_look() -> None:
    one, other = (0.91, 0.95, 0.90, 0.97), (0.87, 0.93, 0.88, 0.92)
    found, test = difference(by_seed(*one), by_seed(*other)), stats.ttest_rel(one, other)
    once = Looks(4, 4)
    assert found.is_paired
    assert found.seeds == 4
    assert found.p(once) == pytest.approx(test.pvalue)
    low, high = test.confidence_interval()
    assert (found.mean - found.half_width(once), found.mean + found.half_width(once)) == pytest.approx((low, high))


def test_only_seeds_that_both_have_are_compared() -> None:
    found = difference({0: 1.0, 1: 2.0, 5: 100.0}, {1: 1.5, 0: 0.0, 7: -100.0})
    assert (found.mean, found.seeds) == (0.75, 2)


def test_without_two_seeds_that_both_have_all_seeds_are_compared_by_welch() -> None:
    one, other = {0: 0.91, 1: 0.95, 2: 0.90}, {2: 0.81, 3: 0.89, 4: 0.87, 5: 0.80}
    found, test = difference(one, other), stats.ttest_ind([*one.values()], [*other.values()], equal_var=False)
    assert not found.is_paired
    assert found.freedom == pytest.approx(test.df)
    assert found.p(Looks(3, 3)) == pytest.approx(test.pvalue)


def test_a_single_seed_tells_nothing() -> None:
    assert Difference.of({0: 1.0}, {0: 0.5}, 1) is None
    assert Difference.of({0: 1.0, 1: 1.1}, {2: 0.5}, 1) is None
    assert Difference.of({}, {0: 0.5, 1: 0.6}, 1) is None


def test_less_is_better_where_the_metric_is_minimized() -> None:
    assert difference(by_seed(1.0, 2.0), by_seed(2.0, 3.1), sign=-1).mean == pytest.approx(1.05)


@pytest.mark.parametrize(("most", "first"), [(2, 2), (8, 2), (8, 5), (30, 3)])
def test_all_looks_together_take_five_percent(most: int, first: int) -> None:
    looks = Looks(most, first)
    assert sum(looks.level(n) for n in range(1, most + 1)) == pytest.approx(0.05)
    assert all(looks.level(n) < looks.level(n + 1) for n in range(first + 1, most))
    assert looks.level(first - 1) == 0
    assert Looks(most, first, 7).level(most) == pytest.approx(looks.level(most) / 7)


def test_values_that_agree_by_rounding_are_not_certain() -> None:
    """Two seeds, and both times exactly a tenth more: as accuracies of few samples often have it."""
    found = difference(by_seed(0.5, 0.6), by_seed(0.4, 0.5))
    assert found.spread == pytest.approx(0.1 / math.sqrt(6))
    assert found.standing(Looks(8)) is Standing.OPEN
    assert difference(by_seed(0.5, 0.5), by_seed(0.5, 0.5)).p(Looks(2)) == 1


def test_equal_values_are_alike() -> None:
    found = difference(by_seed(0.5, 0.5, 0.5), by_seed(0.5, 0.5, 0.5))
    assert found.standing(Looks(8)) is Standing.ALIKE
    assert found.needed(Looks(8)) is None
    assert borrowing([found, found]) == [found, found]


def test_a_spread_of_few_seeds_is_drawn_to_that_of_all_configurations() -> None:
    lucky = difference(by_seed(1.0, 1.01, 0.99), by_seed(0, 0, 0))
    usual = [difference(by_seed(1.0, 2.0, 3.0), by_seed(0, 0, 0))] * 4
    drawn, *_ = borrowing([lucky, *usual, None])
    assert drawn is not None
    assert drawn.freedom == 4
    assert lucky.spread < drawn.spread < usual[0].spread
    assert drawn.mean == lucky.mean
    assert borrowing([lucky, None]) == [lucky, None]


def test_so_many_seeds_as_are_needed_decide_in_eight_of_ten_cases() -> None:
    rng = random.Random(1)
    few = difference(by_seed(0.8, 1.8, 1.3, 0.1), by_seed(0, 0, 0, 0))
    needed = few.needed(Looks(8))
    assert needed is not None
    seeds = 4 + needed
    looks, decided = Looks(seeds), 0
    for _ in range(400):
        draws = [rng.gauss(few.mean, few.spread) for _ in range(seeds)]
        decided += difference(by_seed(*draws), by_seed(*[0.0] * seeds)).standing(looks) is Standing.APART
    assert 0.7 < decided / 400 < 0.9


def test_our_own_runs_overlap_in_four_pairs_of_ten_that_seeds_tell_apart() -> None:
    pairs = [*judging.pairs()]
    assert len(pairs) == 10
    assert all(found.standing(Looks(3, 3)) is Standing.APART for _, _, found, _, _ in pairs)
    assert sum(judging.overlap(mean, against) for _, _, _, mean, against in pairs) == 4
    (example,) = [found for one, other, found, _, _ in pairs if (one, other) == ("0.22", "0.25")]
    assert example.mean == pytest.approx(0.0097, abs=5e-5)
    assert example.half_width(Looks(3, 3)) == pytest.approx(0.0011, abs=5e-5)


@pytest.mark.slow
@pytest.mark.parametrize("noise", ["normal", "heavy tails", "skewed"])
def test_of_equal_configurations_few_are_told_to_be_the_best(noise: str) -> None:
    case = judging.Case(2, 10, shared=0.5, noise=noise)
    ended = judging.by_rules(case, 2000)
    assert ended["by seed"].is_separated.mean() <= 0.06  # 5%, and two standard errors
    assert ended["paired t at 5%, every look"].is_separated.mean() > 0.1
    assert ended["by seed"].trials.mean() < ended["overlap, of before"].trials.mean()


@pytest.mark.slow
def test_a_lead_that_seeds_share_is_found_with_fewer_trials() -> None:
    ended = judging.by_rules(judging.Case(5, 10, 1.0, 0.9), 500)
    assert ended["by seed"].is_right.mean() > 0.9
    assert ended["overlap, of before"].is_right.mean() < 0.2
    assert ended["by seed"].trials.mean() < ended["overlap, of before"].trials.mean()
    assert ended["by seed"].discards.mean() < 0.05


def test_the_best_is_told_from_others_by_the_seeds_that_both_have() -> None:
    objective = Objective("ssim", "maximize")
    runs = judging.runs()
    ranked = [configuration(var, runs[var]) for var in ("0.1", "0.15", "0.2", "0.22", "0.25")]
    assert untold(Ranking(ranked, [objective])) == []
    alike = configuration("0.11", {seed: value + 0.01 * (seed - 1) for seed, value in runs["0.1"].items()})
    assert untold(Ranking([*ranked[:1], alike, *ranked[1:]], [objective])) == [alike]
    single = configuration("9", {0: 0.5})
    assert single in untold(Ranking([*ranked, single], [objective]))


def test_seeds_that_exploded_are_compared_as_the_worst_value() -> None:
    objective = Objective("loss", "minimize")
    steady = configuration("1", dict.fromkeys(range(6), 1.0) | {5: 1.02})
    shaky = configuration("2", {0: 0.9, 1: 0.92, 2: 0.9, 3: 0.91}, exploded=(4, 5))
    bad = configuration("3", {seed: 9.0 + seed / 10 for seed in range(6)})
    assert untold(Ranking([steady, shaky, bad], [objective])) == [shaky]


def test_what_a_seed_had_before_it_was_lost_counts_for_nothing() -> None:
    seen = {
        0: Observation(Outcome.COMPLETED, (0.8,)),
        1: Observation(Outcome.EXPLODED, (0.9,)),
        2: Observation(Outcome.INFEASIBLE, (0.9,)),
        3: Observation(Outcome.COMPLETED),
        4: Observation(Outcome.PRUNED, (0.6,)),
    }
    assert valued(seen, 0.1) == {0: 0.8, 1: 0.1, 2: 0.1, 3: 0.1, 4: 0.6}
    assert valued(seen, None) == {0: 0.8, 4: 0.6}


def configuration(name: str, values: dict[int, float], exploded: tuple[int, ...] = ()) -> Configuration:
    seen = [Observation(Outcome.COMPLETED, (value,), seed=seed) for seed, value in values.items()]
    lost = [Observation(Outcome.EXPLODED, seed=seed) for seed in exploded]
    return Configuration(name, {}, (*seen, *lost))
