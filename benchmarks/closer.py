"""Searches beside a cliff on further seeds, where another method of ours was as soon as `auto`, or sooner.

python benchmarks/closer.py            # renews its part of docs/search.md; ten minutes on two cores
python benchmarks/closer.py --quick    # a look: fewer seeds; printed only
"""

import multiprocessing
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

import cliffs
import measuring
import numpy as np
import search
from measuring import ROOT, Goal, Table, Topic, number
from search import OURS, Search

from orchestrator.system import machine

DOCUMENT, COMMAND = ROOT / "docs" / "search.md", "python benchmarks/closer.py"
PROBLEMS = ("inside", "vae")
OTHERS = ("ours, gp", "ours, cmaes")
FIRST_SEED, SEEDS, QUICK_SEEDS = search.FIRST_SEED + search.SEEDS, 80, 4  # after those of `search.py`
RESAMPLES = 10_000


def until(searches: Sequence[Search]) -> list[int]:
    """Trials until within 1% of the optimum, by seed; one more than there were where that never was."""
    return [search.TRIALS + 1 if one.until is None else one.until for one in searches]


def apart(mine: Sequence[int], theirs: Sequence[int]) -> tuple[float, float, float]:
    """How many more trials ours took by seed, on average, and a 95% interval of that (bootstrap over seeds)."""
    by_seed = np.subtract(mine, theirs)
    means = np.random.default_rng(0).choice(by_seed, (RESAMPLES, len(by_seed))).mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(by_seed.mean()), float(low), float(high)


def measure(quick: bool) -> Topic:
    machine.limit_threads(1)  # for the processes to inherit
    seeds = range(FIRST_SEED, FIRST_SEED + (QUICK_SEEDS if quick else SEEDS))
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(mp_context=spawn, initializer=search.begin) as processes:
        cliffs.prepare(processes)
        jobs = [(problem, name, seed) for problem in PROBLEMS for name in (OURS, *OTHERS) for seed in seeds]
        results = processes.map(search.searched, *zip(*jobs, strict=True))
        found = {
            (problem, name): until([next(results) for _ in seeds]) for problem in PROBLEMS for name in (OURS, *OTHERS)
        }
    rows, goals = [], []
    for problem in PROBLEMS:
        title, mine = cliffs.PROBLEMS[problem].title, found[problem, OURS]
        for name in OTHERS:
            theirs = found[problem, name]
            mean, low, high = apart(mine, theirs)
            means = [number(statistics.fmean(one)) for one in (mine, theirs)]
            rows.append([title, name, str(len(seeds)), *means, f"{mean:+.2f} ({low:+.2f} to {high:+.2f})"])
            goals.append(
                Goal(
                    f"{title}: trials until within 1%, {OURS} beside {name}",
                    "no more, as far as can be told",
                    f"{mean:+.2f}{': missed' if low > 0 else ''}",
                )
            )
    columns = ["", "beside", "seeds", OURS, "the other", "apart, by seed"]
    figures = {f"{problem}: {name}": counts for (problem, name), counts in found.items()}
    return Topic(figures, [Table("Trials until within 1%, on further seeds", columns, rows)], goals)


if __name__ == "__main__":
    measuring.main(measure, DOCUMENT, COMMAND)
