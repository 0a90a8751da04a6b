"""What the results of many searches say: regrets beside random search's, and who was stuck, with their uncertainty."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
from measuring import Goal, Table, Topic, number
from numpy.typing import NDArray
from problems import PROBLEMS
from scipy.stats import fisher_exact

OURS, RANDOM, THEIRS, PLAIN = ("auto", "tpe", "gp"), "random", "Optuna ", "Optuna TPE"
SLACK = 0.1  # of random search's regret, which a regret may be above the least of Optuna's own
LEVEL = 0.05  # of tests
FEWEST = 5  # seeds that a contender must have in a problem, to be judged or judged by
RESAMPLES = 4000
MEASURES: Mapping[str, Callable[..., float]] = {"mean": np.mean, "median": np.median}
# What had been seen of `tpe` before it looked around, beside Optuna's own, on other problems of the same kinds.
BEFORE = (
    ("A plateau: stuck", ("plateau, two", "plateau, five"), "stuck", "17 of 160", "TPE: 0 of 160", PLAIN),
    ("A plateau: mean regret", ("plateau, two", "plateau, five"), "mean", "0.143", "TPE: 0.022", PLAIN),
    ("A corridor: stuck", ("corridor", "corridor, three"), "stuck", "15 of 24", "TPE: 0 of 24", PLAIN),
    ("Five parameters: median regret", ("five",), "median", "0.0079", "GP: 0.0002", "Optuna GP"),
    ("The same with a choice: median regret", ("five, choice",), "median", "0.0044", "GP: 0.0006", "Optuna GP"),
)


class Result(Protocol):
    """What came of one search."""

    problem: str
    contender: str
    seed: int
    regret: float
    stuck: bool
    explosions: int
    late: int
    until: int


Found = Mapping[str, Mapping[int, Result]]  # by contender and seed


def topic(results: Sequence[Result]) -> Topic:
    """All tables; whatever has no results yet is left out."""
    found = {name: by_contender([one for one in results if one.problem == name]) for name in PROBLEMS}
    found = {name: of for name, of in found.items() if RANDOM in of}
    names = list(dict.fromkeys(one.contender for one in results))
    names.sort(key=lambda name: (name not in OURS, name == RANDOM, name))
    tables = [
        *(verdicts(ours, found) for ours in OURS if any(enough(of, ours) for of in found.values())),
        mended(found),
        by_problem("Mean regret, in percent of the mean regret of random search", found, names, _share("mean")),
        by_problem("Median regret, in percent of the mean regret of random search", found, names, _share("median")),
        by_problem("Searches that ended stuck", found, names, _stuck),
        by_problem("Trials until within 5% of the best, on average", found, names, _average("until")),
        by_problem("Explosions in the second half, on average", found, names, _average("late"), explosive=True),
    ]
    return Topic({}, tables, goals(found))


def by_contender(results: Sequence[Result]) -> Found:
    found: dict[str, dict[int, Result]] = {}
    for result in results:
        found.setdefault(result.contender, {})[result.seed] = result
    return found


def regrets(of: Found, name: str, seeds: Sequence[int]) -> NDArray[np.float64]:
    return np.array([of[name][seed].regret for seed in seeds])


def verdicts(ours: str, found: Mapping[str, Found]) -> Table:
    """Each problem: one of ours beside the best of Optuna's own, by its mean, and by its median."""
    rows = [[PROBLEMS[name].title, *verdict(ours, of)] for name, of in found.items() if enough(of, ours)]
    columns = ["", "seeds", "mean", "best of Optuna's", "apart", "median", "best of Optuna's", "apart", "stuck"]
    note = (
        "Regrets in percent of the mean regret of random search, over the seeds that all have; who has fewer than "
        f"{FEWEST} seeds of a problem is left out. Apart: how far it is "
        "above the best of Optuna's own, with a 95% interval (bootstrap over seeds, choosing the best anew); "
        f"`!` where that is more than {100 * SLACK:.0f}. Stuck: against {PLAIN}, with Fisher's exact test, one-sided."
    )
    return Table(f"`{ours}` beside the best of Optuna's own", columns, rows, note)


def verdict(ours: str, of: Found) -> list[str]:
    theirs = rivals(of)
    seeds = common(of, [ours, RANDOM, *theirs])
    if not enough(of, ours) or not theirs:
        return ["0", *[""] * 7]
    cells = [str(len(seeds))]
    for measure in MEASURES:
        apart, interval, best = difference(measure, ours, theirs, of, seeds)
        mine = 100 * MEASURES[measure](regrets(of, ours, seeds)) / scale(of, seeds)
        missed = " !" if apart > SLACK else ""
        low, high = interval
        cells += [number(mine), best, f"{100 * apart:+.1f} ({100 * low:+.1f} to {100 * high:+.1f}){missed}"]
    mine_stuck, plain_stuck = (stuck(of, name, common(of, [ours, PLAIN])) for name in (ours, PLAIN))
    return [
        *cells,
        f"{mine_stuck[0]} : {plain_stuck[0]} of {mine_stuck[1]}, p = {oftener(mine_stuck, plain_stuck):.2f}",
    ]


def mended(found: Mapping[str, Found]) -> Table:
    """What had been seen before, and what is seen now, of `tpe`, `auto` and the one of Optuna's that was beside it."""
    rows = []
    for title, problems, measure, before, theirs, rival in BEFORE:
        now = [_now(measure, name, [found[one] for one in problems if one in found]) for name in ("tpe", "auto", rival)]
        rows.append([title, before, theirs, *now[:2], f"{rival.removeprefix(THEIRS)}: {now[2]}"])
    columns = ["", "`tpe`, before", "Optuna's, then", "`tpe`", "`auto`", "Optuna's"]
    note = (
        "Before: of 40 trials each, on problems of the same kinds that are not these, so that figures compare within a "
        "row's half alone. Regrets are parts of the best quality, 1."
    )
    return Table("What was found wrong before", columns, rows, note)


def _now(measure: str, name: str, problems: Sequence[Found]) -> str:
    """Of a contender on some problems, over all the seeds that it has."""
    results = [one for of in problems for one in of.get(name, {}).values()]
    if not results:
        return ""
    if measure == "stuck":
        return f"{sum(one.stuck for one in results)} of {len(results)}"
    return f"{MEASURES[measure]([one.regret for one in results]):.2g}"


def enough(of: Found, name: str) -> bool:
    return len(of.get(name, {})) >= FEWEST


def rivals(of: Found) -> list[str]:
    """Optuna's own that have enough seeds."""
    return [name for name in of if name.startswith(THEIRS) and enough(of, name)]


def common(of: Found, names: Sequence[str]) -> list[int]:
    """The seeds that all of these have."""
    return sorted(set.intersection(*(set(of.get(name, {})) for name in names)))


def scale(of: Found, seeds: Sequence[int]) -> float:
    """The mean regret of random search."""
    return float(regrets(of, RANDOM, seeds).mean()) or 1.0


def difference(
    measure: str, ours: str, theirs: Sequence[str], of: Found, seeds: Sequence[int]
) -> tuple[float, tuple[float, float], str]:
    """How far ours is above the best of theirs, in parts of random search's regret; its interval; and who is best."""
    table = np.stack([regrets(of, name, seeds) for name in (ours, RANDOM, *theirs)])
    names = ["", "", *theirs]

    def above(sample: NDArray[np.float64]) -> tuple[float, int]:
        values = MEASURES[measure](sample, axis=1)
        best = 2 + int(np.argmin(values[2:]))
        return float((values[0] - values[best]) / (sample[1].mean() or 1.0)), best

    rng = np.random.default_rng(0)
    drawn = [above(table[:, rng.integers(0, len(seeds), len(seeds))])[0] for _ in range(RESAMPLES)]
    low, high = np.quantile(drawn, (0.025, 0.975))
    apart, best = above(table)
    return apart, (float(low), float(high)), names[best].removeprefix(THEIRS)


def stuck(of: Found, name: str, seeds: Sequence[int]) -> tuple[int, int]:
    """How many searches were, of how many."""
    return sum(of[name][seed].stuck for seed in seeds), len(seeds)


def oftener(some: tuple[int, int], others: tuple[int, int]) -> float:
    """The p-value of some being stuck oftener than others."""
    table = [[some[0], some[1] - some[0]], [others[0], others[1] - others[0]]]
    return float(fisher_exact(table, alternative="greater").pvalue)


def goals(found: Mapping[str, Found]) -> list[Goal]:
    """What is asked of each of ours, over all problems."""
    return [goal for ours in OURS if any(enough(of, ours) for of in found.values()) for goal in goals_of(ours, found)]


def goals_of(ours: str, found: Mapping[str, Found]) -> list[Goal]:
    asked = []
    for measure in MEASURES:
        missed, held = [], 0
        for name, of in found.items():
            theirs = rivals(of)
            if (seeds := common(of, [ours, RANDOM, *theirs])) and theirs and enough(of, ours):
                apart = difference(measure, ours, theirs, of, seeds)[0]
                held += apart <= SLACK
                missed += [f"{name} ({100 * apart:+.0f}%)"] if apart > SLACK else []
        text = f"{held} of {held + len(missed)}{': missed in ' if missed else ''}{', '.join(missed)}"
        aim = "at most a tenth of random search's above the best of Optuna's own, in each problem"
        asked.append(Goal(f"`{ours}`, {measure} regret", aim, text))
    pairs = {name: common(of, [ours, PLAIN]) for name, of in found.items() if enough(of, ours)}
    counts = {name: (stuck(found[name], ours, s), stuck(found[name], PLAIN, s)) for name, s in pairs.items() if s}
    worse = [name for name, (mine, theirs) in counts.items() if oftener(mine, theirs) < LEVEL]
    mine, theirs = (
        (sum(pair[i][0] for pair in counts.values()), sum(pair[i][1] for pair in counts.values())) for i in (0, 1)
    )
    p = oftener(mine, theirs)
    missed_by = f"; missed in {', '.join(worse)}" if worse else ""
    found_text = f"{mine[0]} against {theirs[0]} of {mine[1]}, p = {p:.2f}{': missed' if p < LEVEL else ''}{missed_by}"
    aim = f"no oftener than {PLAIN} by Fisher's test at 5%, in each problem and in all together"
    return [*asked, Goal(f"`{ours}`, stuck", aim, found_text)]


Cell = Callable[[Found, str], str]


def by_problem(
    title: str, found: Mapping[str, Found], names: Sequence[str], cell: Cell, explosive: bool = False
) -> Table:
    """A row for each problem, a column for each contender."""
    rows = [
        [name, *(_marked(cell(of, one), of, one) if one in of else "" for one in names)]
        for name, of in found.items()
        if PROBLEMS[name].explodes or not explosive
    ]
    return Table(title, ["", *names], rows, f"(n): from n seeds only, fewer than {FEWEST}.")


def _marked(cell: str, of: Found, name: str) -> str:
    return cell if enough(of, name) else f"{cell} ({len(of[name])})"


def _share(measure: str) -> Cell:
    def cell(of: Found, name: str) -> str:
        seeds = common(of, [name, RANDOM])
        return number(100 * MEASURES[measure](regrets(of, name, seeds)) / scale(of, seeds)) if seeds else ""

    return cell


def _stuck(of: Found, name: str) -> str:
    count, total = stuck(of, name, [*of[name]])
    return f"{count} of {total}"


def _average(what: str) -> Cell:
    return lambda of, name: number(statistics.fmean(getattr(one, what) for one in of[name].values()))
