"""How often the interval of the best configuration covers its mean: the plain one, and the one that `best` corrects.

python benchmarks/winner.py             # renews docs/ranking.md, in about five minutes
python benchmarks/winner.py --quick     # a look; leaves the document alone
"""

import itertools
import multiprocessing
import statistics
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial

import measuring
import numpy as np
from measuring import ROOT, Goal, Table, Topic

from orchestrator.comparison.intervals import half_width
from orchestrator.comparison.winner import corrected
from orchestrator.system import machine

DOCUMENT = ROOT / "docs" / "ranking.md"
COMMAND = "python benchmarks/winner.py"
ROUNDS, QUICK_ROUNDS = 1000, 50
SEEDS = 3, 4, 5
COUNTS = 8, 30
FIRST_SEED = 100  # 0 was looked at while the interval was chosen
LEAST = 0.93  # of coverage that is aimed at

Array = np.ndarray
Rng = np.random.Generator

# what the configurations truly come to, in standard deviations of a seed
TRUTHS: Mapping[str, Callable[[int, Rng], Array]] = {
    "equal": lambda count, _: np.zeros(count),
    "one is ahead by 1": lambda count, _: np.r_[1.0, np.zeros(count - 1)],
    "scattered by 1": lambda count, rng: rng.standard_normal(count),
}


def _normal(rng: Rng, shape: tuple[int, int]) -> Array:
    return rng.standard_normal(shape)


def _unlike(rng: Rng, shape: tuple[int, int]) -> Array:
    return np.exp(0.5 * rng.standard_normal((shape[0], 1))) * rng.standard_normal(shape)


def _heavy(rng: Rng, shape: tuple[int, int]) -> Array:
    scales = np.exp(rng.standard_normal((shape[0], 1)))
    values: Array = scales * rng.standard_t(3, shape) / np.sqrt(3)
    return values


def _shared(correlation: float, rng: Rng, shape: tuple[int, int]) -> Array:
    own, common = rng.standard_normal(shape), rng.standard_normal((1, shape[1]))
    values: Array = np.sqrt(1 - correlation) * own + np.sqrt(correlation) * common
    return values


NOISES: Mapping[str, Callable[[Rng, tuple[int, int]], Array]] = {
    "normal, alike": _normal,
    "normal, scales differ by half as much again": _unlike,
    "heavy tails (t of 3), scales differ threefold": _heavy,
    "normal, seeds shared (correlation 0.8)": partial(_shared, 0.8),
    "normal, seeds shared (correlation 0.97)": partial(_shared, 0.97),
}


@dataclass(frozen=True)
class Setting:
    """What is drawn again and again: so many configurations, of so many seeds each."""

    count: int
    seeds: int
    truth: str
    noise: str


@dataclass(frozen=True)
class Covered:
    """How often each interval covered the winner's mean, and how wide the corrected one was beside the plain one."""

    plain: float
    corrected: float
    width: float


def cover(setting: Setting, rounds: int, number: int) -> Covered:
    """Draw results, take the best by its mean, and look whether its intervals cover what it truly comes to."""
    rng = np.random.default_rng((FIRST_SEED, number))
    plain = fully = 0
    widths = []
    for _ in range(rounds):
        means = TRUTHS[setting.truth](setting.count, rng)
        drawn = means[:, None] + NOISES[setting.noise](rng, (setting.count, setting.seeds))
        best = int(drawn.mean(axis=1).argmax())
        samples = [list(map(float, row)) for row in (drawn[best], *np.delete(drawn, best, axis=0))]
        half = half_width(samples[0]) or 0.0
        low, high = corrected(samples, 1) or (np.nan, np.nan)
        plain += abs(statistics.fmean(samples[0]) - means[best]) <= half
        fully += bool(low <= means[best] <= high)
        widths.append((high - low) / (2 * half))
    return Covered(plain / rounds, fully / rounds, statistics.median(widths))


def measure(quick: bool) -> Topic:
    rounds = QUICK_ROUNDS if quick else ROUNDS
    settings = [Setting(*one) for one in itertools.product(COUNTS, SEEDS, TRUTHS, NOISES)]
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn"), machine.limit_threads, (1,)) as processes:
        results = processes.map(cover, settings, [rounds] * len(settings), range(len(settings)))
        found = dict(zip(settings, results, strict=True))
    figures = {"settings": [asdict(setting) | asdict(of) for setting, of in found.items()]}
    return Topic(figures, [table(count, found, rounds) for count in COUNTS], goals(found))


def table(count: int, found: Mapping[Setting, Covered], rounds: int) -> Table:
    """Of so many configurations, a row for what is true of them."""
    rows = []
    for truth, noise in itertools.product(TRUTHS, NOISES):
        those = [found[Setting(count, seeds, truth, noise)] for seeds in SEEDS]
        plain = " / ".join(f"{one.plain:.0%}" for one in those)
        fully = " / ".join(f"{one.corrected:.0%}" for one in those)
        widths = " / ".join(f"{one.width:.2f}" for one in those)
        rows.append([truth, noise, plain, fully, widths])
    columns = ["true means", "noise of seeds", "plain interval", "corrected interval", "its width / the plain one's"]
    what = " / ".join(map(str, SEEDS))
    return Table(f"The best of {count}", columns, rows, f"Of {what} seeds each; {rounds} draws a figure.")


def goals(found: Mapping[Setting, Covered]) -> list[Goal]:
    """The least coverage at each number of configurations."""
    stated = []
    for count in COUNTS:
        those = [of for setting, of in found.items() if setting.count == count]
        least, before = min(one.corrected for one in those), min(one.plain for one in those)
        missed = "" if least >= LEAST else ": missed"
        told = f"{least:.1%} at least; the plain one {before:.1%}{missed}"
        stated.append(Goal(f"coverage of the corrected 95% interval, best of {count}", f"{LEAST:.0%} everywhere", told))
    return stated


if __name__ == "__main__":
    measuring.main(measure, DOCUMENT, COMMAND)
