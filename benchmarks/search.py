"""Searches beside a cliff: ours, plain Optuna and random search, on the same problems, seeds and budgets.

python benchmarks/search.py            # renews docs/search.md; about a quarter of an hour on two cores
python benchmarks/search.py --quick    # a look, in a minute: fewer seeds and no GP; printed only
"""

import math
import multiprocessing
import statistics
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import asdict, dataclass

import cliffs
import measuring
import optuna
from cliffs import PROBLEMS, Instance, Problem, Ranges
from measuring import ROOT, Goal, Table, Topic, number
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, RandomSampler, TPESampler

from orchestrator import samplers, spec
from orchestrator.system import machine

DOCUMENT, COMMAND = ROOT / "docs" / "search.md", "make bench-search"
SEEDS, QUICK_SEEDS = 40, 6
FIRST_SEED = 1000  # settings were chosen on seeds 0 to 19 and 2000 to 2099, so that the figures are of others
TRIALS, LAST = 40, 20
WITHIN = 0.01  # of the optimum
FILE = """
method: {method}
metric: {{name: val_ssim, goal: maximize}}
run_cap: {trials}
seed: {seed}
parameters: {{{ranges}}}
"""

Values = list[float | None]  # of a search's trials; None where one exploded
Run = Callable[[Instance, int], Values]


@dataclass(frozen=True)
class Search:
    """What came of one search."""

    late: int  # explosions among the last trials
    explosions: int
    regret: float  # as a share of the optimum
    until: int | None  # trials until within 1% of it


def ours(method: str) -> Run:
    """A sweep file with that method and nothing set, asked and told as a launch does it."""

    def run(instance: Instance, seed: int) -> Values:
        sampler = samplers.of(_spec(method, instance.ranges, seed))
        values: Values = []
        while trial := sampler.ask():
            seen = instance.observe(trial.params)
            sampler.tell(trial, seen)
            values.append(cliffs.value(seen))
        return values

    return run


def plain(sampler: Callable[..., BaseSampler], *, prunes: bool = False) -> Run:
    """Optuna as its documentation has it: an objective that returns NaN where training explodes, or prunes there."""

    def run(instance: Instance, seed: int) -> Values:
        values: Values = []

        def objective(trial: optuna.Trial) -> float:
            params = {name: trial.suggest_float(name, *ends, log=True) for name, ends in instance.ranges.items()}
            values.append(cliffs.value(instance.observe(params)))
            if values[-1] is None and prunes:
                raise optuna.TrialPruned
            return math.nan if values[-1] is None else values[-1]

        study = optuna.create_study(direction="maximize", sampler=sampler(seed=seed))
        study.optimize(objective, n_trials=TRIALS)
        return values

    return run


OURS, LIKE_OURS, PLAIN = "ours, auto", "ours, tpe", "plain Optuna, TPE"
SLOW = ("ours, gp", "plain Optuna, GP")
CONTENDERS: Mapping[str, Run] = {
    OURS: ours("auto"),
    LIKE_OURS: ours("tpe"),
    "ours, gp": ours("gp"),
    "ours, cmaes": ours("cmaes"),
    "ours, qmc": ours("qmc"),
    PLAIN: plain(TPESampler),
    "plain Optuna, TPE, pruned": plain(TPESampler, prunes=True),
    "plain Optuna, GP": plain(GPSampler),
    "plain Optuna, CMA-ES": plain(CmaEsSampler),
    "random search": plain(RandomSampler),
}


def searched(problem: str, contender: str, seed: int) -> Search:
    """Let a contender loose on a problem's instance."""
    instance = PROBLEMS[problem].instance(seed)
    values = CONTENDERS[contender](instance, seed)
    best, regrets = 0.0, []  # so much a search has that has found nothing
    for value in values:
        best = best if value is None else max(best, value)
        regrets.append((instance.optimum - best) / instance.optimum)
    until = next((i for i, regret in enumerate(regrets, 1) if regret <= WITHIN), None)
    return Search(values[-LAST:].count(None), values.count(None), regrets[-1], until)


def trials_until(searches: Sequence[Search]) -> float:
    """On average; who has not come near enough by the end counts as if the next trial would."""
    return statistics.fmean(TRIALS + 1 if one.until is None else one.until for one in searches)


def late(searches: Sequence[Search]) -> float:
    """Explosions among the last trials, on average."""
    return statistics.fmean(one.late for one in searches)


def row(name: str, searches: Sequence[Search]) -> list[str]:
    explosions, regret = (statistics.fmean(getattr(one, what) for one in searches) for what in ("explosions", "regret"))
    missed = sum(one.until is None for one in searches)
    cells = [number(late(searches)), number(explosions), f"{100 * regret:.2f}%", number(trials_until(searches))]
    return [name, *cells, f"{missed} of {len(searches)}"]


def table(problem: Problem, found: Mapping[str, Sequence[Search]]) -> Table:
    columns = ["", f"explosions, last {LAST}", f"of all {TRIALS}", "regret", "trials until within 1%", "never within"]
    return Table(problem.title, columns, [row(*one) for one in found.items()])


def goals(problem: Problem, found: Mapping[str, Sequence[Search]]) -> list[Goal]:
    """What was asked of the default method, beside what was found."""
    share, of = (2, "half") if problem.is_at_the_cliff else (3, "a third")
    mine, theirs = late(found[OURS]), late(found[PLAIN])
    trials = {name: trials_until(searches) for name, searches in found.items()}
    best = min((name for name in trials if name not in (OURS, LIKE_OURS)), key=trials.__getitem__)
    return [
        Goal(
            f"{problem.title}: explosions among the last {LAST}, {OURS}",
            f"less than {of} of those of {PLAIN}",
            f"{number(mine)} against {number(theirs)}{'' if mine < theirs / share else ': missed'}",
        ),
        Goal(
            f"{problem.title}: trials until within 1%, {OURS}",
            "no more than any other, but for ours, tpe",
            f"{number(trials[OURS])}, and {number(trials[best])} of {best}"
            f"{'' if trials[OURS] <= trials[best] else ': missed'}",
        ),
    ]


def run(processes: Executor, contenders: Sequence[str], seeds: int) -> dict[str, dict[str, list[Search]]]:
    """What came of every search, by problem and contender."""
    measuring.say("training the VAE")
    cliffs.prepare(processes)
    found = {}
    for problem in PROBLEMS:
        measuring.say(PROBLEMS[problem].title)
        jobs = [(problem, name, FIRST_SEED + i) for name in contenders for i in range(seeds)]
        results = processes.map(searched, *zip(*jobs, strict=True))
        found[problem] = {name: [next(results) for _ in range(seeds)] for name in contenders}
    return found


def measure(quick: bool) -> Topic:
    machine.limit_threads(1)  # for the processes to inherit
    contenders = [name for name in CONTENDERS if not (quick and name in SLOW)]
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn"), initializer=_begin) as processes:
        found = run(processes, contenders, QUICK_SEEDS if quick else SEEDS)
    tables = [table(PROBLEMS[problem], of) for problem, of in found.items()]
    asked = [goal for problem, of in found.items() for goal in goals(PROBLEMS[problem], of)]
    figures = {
        problem: {name: [asdict(one) for one in all_] for name, all_ in of.items()} for problem, of in found.items()
    }
    return Topic(figures, tables, asked)


def _begin() -> None:
    machine.limit_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")


def _spec(method: str, searched: Ranges, seed: int) -> spec.SweepSpec:
    ranges = ", ".join(
        f"{name}: {{min: {low}, max: {high}, distribution: log_uniform_values}}"
        for name, (low, high) in searched.items()
    )
    text = FILE.format(method=method, trials=TRIALS, seed=seed, ranges=ranges)
    return spec.load(ROOT / "search.yaml", text=text)


if __name__ == "__main__":
    measuring.main(measure, DOCUMENT, COMMAND)
