"""When seeds tell configurations apart: errors and costs of the rule of `replicates` and of `sweep judge`, simulated.

python benchmarks/judging.py            # renews docs/judging.md; some minutes on two cores
python benchmarks/judging.py --quick    # a look, in a minute: fewer repetitions; printed only

The rule's settings (how the error is spent, when there is no hope, what the spread of others is worth) were chosen with
2 to 12 configurations, up to 4, 6, 8, 10 or 16 seeds, the same kinds of noise, correlations of 0, 0.5, 0.8, 0.9, leads
of 0, 1, 2, 3 and 20, and the generator's seeds 0 to 5. The cases here are others, but for the one that the rule of
before is known by.
"""

import csv
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

import measuring
import numpy as np
from measuring import ROOT, Goal, Table, Topic
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from orchestrator import samplers
from orchestrator.comparison.intervals import Interval
from orchestrator.comparison.paired import BORROWED, HOPELESS, Difference, Looks, Standing
from orchestrator.spec import SweepSpec, load
from orchestrator.trial import Outcome
from orchestrator.trials.observation import Observation

DOCUMENT, COMMAND = ROOT / "docs" / "judging.md", "make bench-judging"
REPEATS, QUICK_REPEATS = 2000, 200
CHECKED = 2  # repetitions of a case that the sampler itself runs, too
FIRST_SEED = 5000  # of the generators
RUNS = ROOT / "docs" / "reproduction" / "runs.csv"
SETTING = {"precision": "bf16", "architecture": "conv", "num_layers": "3", "latent_dim": "20", "batch_size": "1024"}
FILE = """
trial: models.train:train
metric: {{name: val_ssim, goal: maximize}}
parameters: {{latent_dim: {{values: [{configurations}]}}}}
seeds: [0, 1]
replicates: {{max: {most}, indifferent: {indifferent}}}
"""

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
Rng = np.random.Generator


def heavy(rng: Rng, shape: tuple[int, ...]) -> Array:
    """Student's t of 3 degrees of freedom, scaled to a standard deviation of 1."""
    return rng.standard_t(3, shape) / math.sqrt(3)


def skewed(rng: Rng, shape: tuple[int, ...]) -> Array:
    """Mostly a little above the mean, now and then far below it."""
    return 1 - rng.exponential(1, shape)


NOISES: Mapping[str, Callable[[Rng, tuple[int, ...]], Array]] = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "heavy tails": heavy,
    "skewed": skewed,
}


class Case(NamedTuple):
    """Configurations, of which the first leads, and how their seeds scatter, by 1."""

    configurations: int
    most: int
    lead: float = 0.0
    shared: float = 0.0  # correlation of two configurations at a seed
    noise: str = "normal"
    step: float = 0.0  # that values are rounded to
    unlike: bool = False  # whether every other configuration scatters seven times as much
    indifferent: float = 0.0

    @property
    def title(self) -> str:
        parts = [f"{self.configurations} configurations, up to {self.most} seeds"]
        parts += [self.noise] * (self.noise != "normal") + [f"steps of {self.step:g}"] * (self.step > 0)
        parts += ["every other one scatters seven times as much"] * self.unlike
        return ", ".join([*parts, f"correlation {self.shared:g}"])

    def values(self, rng: Rng, repeats: int) -> Array:
        """By repetition, configuration and seed."""
        draw = NOISES[self.noise]
        own = math.sqrt(1 - self.shared) * draw(rng, (repeats, self.configurations, self.most))
        if self.unlike:
            own[:, 1::2] *= 7
        found = math.sqrt(self.shared) * draw(rng, (repeats, 1, self.most)) + own
        found[:, 0] += self.lead
        return np.round(found / self.step) * self.step if self.step else found


class Ended(NamedTuple):
    """How races ended, by repetition."""

    is_separated: NDArray[np.bool_]  # whether the best is told from all others
    is_right: NDArray[np.bool_]  # and is the one that leads
    discards: NDArray[np.bool_]  # whether the one that leads is told to be worse than another
    tells_any: NDArray[np.bool_]  # whether any is told from the best
    trials: Counts

    @property
    def shares(self) -> dict[str, float]:
        """On average over the repetitions."""
        return {what: float(np.mean(of)) for what, of in self._asdict().items()}

    @classmethod
    def of(cls, best: Counts, apart: NDArray[np.bool_], trials: Counts) -> "Ended":
        """From the best of each repetition, and from which configurations it is told to be apart."""
        others = np.arange(apart.shape[1]) != best[:, None]
        is_separated = (apart | ~others).all(axis=1)
        return cls(is_separated, is_separated & (best == 0), (best != 0) & apart[:, 0], apart.any(axis=1), trials)


EQUAL = (
    *(Case(k, most, shared=shared) for k in (2, 3, 6, 10, 20) for most in (5, 12) for shared in (0.0, 0.8)),
    *(Case(k, 12, shared=0.4, noise=noise) for k in (2, 6) for noise in ("heavy tails", "skewed")),
    *(Case(k, 12, shared=0.4, step=step) for k in (2, 6) for step in (0.4, 1.5)),
    *(Case(k, 12, shared=0.4, unlike=True) for k in (2, 3, 6)),
)
KNOWN = Case(8, 8, 1.0, 0.0)  # of the rule of before: 61 of 64 trials, and 2% separate
LED = (
    *(Case(k, 12, lead, shared) for k in (2, 6) for lead in (0.8, 2.5) for shared in (0.0, 0.3, 0.6, 0.9)),
    *(Case(8, 8, 1.0, shared) for shared in (0.0, 0.5, 0.9)),
    *(Case(10, 6, 15.0, shared) for shared in (0.0, 0.9)),
)
CLOSE = tuple(Case(6, 16, lead, 0.9, indifferent=i) for lead in (0.0, 0.2) for i in (0.0, 0.4, 0.8))


Look = Callable[[Array, Counts, Array, Counts], tuple[NDArray[np.bool_], NDArray[np.bool_]]]
"""What a rule says at a look, of each configuration: whether it is told to be worse than the best, and whether it needs
a further seed; from the values, how many seeds each has, their means, and which is the best."""


def _raced(values: Array, look: Look) -> Ended:
    """All repetitions at once, each until its rule asks for no further seed: one at a time, where there are fewest."""
    repeats, k, most = values.shape
    seeds, is_running = np.full((repeats, k), 2), np.ones(repeats, bool)
    ended_best, ended_apart = np.zeros(repeats, np.int64), np.zeros((repeats, k), bool)
    while is_running.any():
        at = np.flatnonzero(is_running)
        x, n = values[at], seeds[at]
        means = _until(np.cumsum(x, axis=2), n) / n
        best = means.argmax(axis=1)
        ended_best[at], (ended_apart[at], waiting) = best, look(x, n, means, best)
        waiting &= n < most
        order = np.argsort(np.argsort(-means, axis=1), axis=1)
        chosen = np.where(waiting, n * k + order, np.iinfo(np.int64).max).argmin(axis=1)
        is_waiting = waiting.any(axis=1)
        is_running[at] = is_waiting
        seeds[at[is_waiting], chosen[is_waiting]] += 1
    return Ended.of(ended_best, ended_apart, seeds.sum(axis=1))


def paired(case: Case, values: Array) -> Ended:
    """The rule of `replicates`; `check` holds it to the sampler itself."""
    k, most = values.shape[1:]
    looks = Looks(case.most, 2, case.configurations - 1)
    borrowed = BORROWED if k > 2 else 0  # where there is one pair, it has no other to learn from
    quantiles = np.array([np.nan, np.nan, *(looks.quantile(n, n - 1 + borrowed) for n in range(2, most + 1))])

    def look(x: Array, n: Counts, means: Array, best: Counts) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        rows = np.arange(len(x))
        shared = np.minimum(n, n[rows, best][:, None])
        others = np.arange(k) != best[:, None]
        difference, alone = _differences(x, best, shared)
        variances = np.where(others, alone**2 / (1 - 2 / (9 * (shared - 1))) ** 3, np.nan)
        typical = np.nanmedian(variances, axis=1)[:, None]
        freedom = shared - 1 + borrowed
        spread = np.sqrt((borrowed * typical + (shared - 1) * alone**2) / freedom) * (alone > 0)
        half_width = quantiles[shared] * spread / np.sqrt(shared)
        apart = np.abs(difference) > half_width
        alike = np.abs(difference) + half_width <= case.indifferent
        hopeful = _chance(difference, spread, shared, freedom, quantiles[most], case) >= HOPELESS
        may_gain = (n < most) | (n[rows, best][:, None] < n)
        undecided = others & ~apart & ~alike & hopeful & (shared < most) & may_gain
        leads_by_few = n[rows, best] < np.where(others, n, 0).max(axis=1)
        goes_on = undecided.any(axis=1) | leads_by_few
        return apart & others & (difference > 0), (undecided | ~others) & goes_on[:, None]

    return _raced(values, look)


def _until(sums: Array, n: Counts) -> Array:
    """The sums over the first n seeds."""
    return np.take_along_axis(sums, n[:, :, None] - 1, axis=2)[:, :, 0]


def _differences(x: Array, best: Counts, shared: Counts) -> tuple[Array, Array]:
    """Of the best of each repetition from each configuration: the mean, and the standard deviation at a seed."""
    own = x[np.arange(len(x)), best][:, None, :]
    d = own - x
    mean = _until(np.cumsum(d, axis=2), shared) / shared
    is_shared = np.arange(x.shape[2]) < shared[:, :, None]
    squares = np.where(is_shared, (d - mean[:, :, None]) ** 2, 0).sum(axis=2)
    both = np.concatenate(
        [np.where(is_shared, x, np.inf), np.where(is_shared, np.broadcast_to(own, x.shape), np.inf)], 2
    )
    both.sort(axis=2)
    with np.errstate(invalid="ignore"):
        gaps = np.diff(both, axis=2)
    gap = np.where(np.isfinite(gaps) & (gaps > 1e-6), gaps, np.inf).min(axis=2)
    rounding = np.where(np.isfinite(gap), gap, 0) / math.sqrt(6)
    return mean, np.maximum(np.sqrt(squares / (shared - 1)), rounding)


def _chance(difference: Array, spread: Array, shared: Counts, freedom: Counts, quantile: float, case: Case) -> Array:
    least = np.maximum(quantile * spread / math.sqrt(case.most), case.indifferent)
    with np.errstate(divide="ignore", invalid="ignore"):
        ahead = spread * np.sqrt(1 / shared - 1 / case.most)
        chance = stdtr(freedom, (difference - least) / ahead) + stdtr(freedom, (-least - difference) / ahead)
    return np.nan_to_num(np.asarray(chance))


def overlapping(case: Case, values: Array) -> Ended:
    """The rule of before: one more seed for the best and for all whose 95% intervals overlap its own."""
    k, most = values.shape[1:]
    quantiles = np.array([np.nan, np.nan, *stdtrit(np.arange(1, most), 0.975)])

    def look(x: Array, n: Counts, means: Array, best: Counts) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        rows = np.arange(len(x))
        variances = np.maximum(_until(np.cumsum(x**2, axis=2), n) - n * means**2, 0) / (n - 1)
        half_widths = quantiles[n] * np.sqrt(variances / n)
        others = np.arange(k) != best[:, None]
        reach = half_widths + half_widths[rows, best][:, None]
        near = others & (means[rows, best][:, None] - means <= reach)
        return others & ~near, (near | ~others) & near.any(axis=1)[:, None]

    return _raced(values, look)


def every_look(case: Case, values: Array) -> Ended:
    """Paired t at 5% after every seed, as people do by hand; stops as soon as the best is apart from all others."""
    return _plain(values, range(2, case.most + 1), 1)


def fixed(case: Case, values: Array) -> Ended:
    """Paired t at 5%, shared among the others, once, after all seeds."""
    return _plain(values, [case.most], case.configurations - 1)


def _plain(values: Array, looks: Sequence[int], comparisons: int) -> Ended:
    repeats, k, _ = values.shape
    best_of, apart_of, trials = np.zeros(repeats, np.int64), np.zeros((repeats, k), bool), np.zeros(repeats, np.int64)
    is_running = np.ones(repeats, bool)
    for n in looks:
        at = np.flatnonzero(is_running)
        x = values[at, :, :n]
        best = x.mean(axis=2).argmax(axis=1)
        mean, spread = _differences(x, best, np.full((len(at), k), n))
        others = np.arange(k) != best[:, None]
        apart = others & (mean > Looks(n, n, comparisons).quantile(n, n - 1) * spread / math.sqrt(n))
        best_of[at], apart_of[at], trials[at] = best, apart, n * k
        is_running[at] = ~(apart | ~others).all(axis=1)
    return Ended.of(best_of, apart_of, trials)


RULES: Mapping[str, Callable[[Case, Array], Ended]] = {
    "by seed": paired,
    "overlap, of before": overlapping,
    "paired t at 5%, every look": every_look,
    "paired t, all seeds": fixed,
}
Found = Mapping[Case, Mapping[str, Ended]]


def by_rules(case: Case, repeats: int) -> dict[str, Ended]:
    """All rules on the same values."""
    rng = np.random.default_rng([FIRST_SEED, *str(case).encode()])
    values = case.values(rng, repeats)
    found = {name: rule(case, values) for name, rule in RULES.items()}
    if not case.step:  # where many values are the same, whose turn it is depends on names
        check(case, values, found["by seed"])
    return found


def check(case: Case, values: Array, ended: Ended) -> None:
    """See that the sampler of `replicates`, asked and told as a launch does it, spends the same trials."""
    names = ", ".join(str(1 + i) for i in range(case.configurations))
    text = FILE.format(configurations=names, most=case.most, indifferent=case.indifferent)
    spec = load(ROOT / "judging.yaml", text=text)
    for repeat in range(CHECKED):
        spent = _asked(spec, values[repeat])
        if spent != ended.trials[repeat]:
            raise SystemExit(f"{case}: the sampler spends {spent} trials, and the simulation {ended.trials[repeat]}")


def _asked(spec: SweepSpec, values: Array) -> int:
    sampler, count = samplers.of(spec), 0
    while trial := sampler.ask():
        value = float(values[trial.params["latent_dim"] - 1, trial.params["seed"]])
        sampler.tell(trial, Observation(Outcome.COMPLETED, (value,)))
        count += 1
    return count


def percent(share: "np.floating[object] | float") -> str:
    return f"{100 * float(share):.1f}%"


def equal_table(found: Found) -> Table:
    rows = []
    for case in EQUAL:
        cells = [percent(found[case][name].is_separated.mean()) for name in RULES]
        rows.append([case.title, *cells, percent(found[case]["by seed"].tells_any.mean())])
    return Table(
        "All configurations are equally good: how often one is told to be the best",
        ["", *RULES, "by seed: any told apart"],
        rows,
        "The last column counts also where the best is told from some of the others, and not from all. Then a "
        "configuration that is as good gets no further seeds, which does no harm.",
    )


def led_table(found: Found) -> Table:
    rows = []
    for case in LED:
        budget = case.configurations * case.most
        for name, ended in found[case].items():
            cells = [percent(ended.is_right.mean()), percent(ended.discards.mean())]
            title = f"{case.title}, lead {case.lead:g}" if name == "by seed" else ""
            rows.append([title, name, *cells, f"{ended.trials.mean():.1f} of {budget}"])
    columns = ["", "rule", "it is told from all others", "it is thrown out", "trials"]
    return Table("One leads, by so many standard deviations of a seed", columns, rows)


def close_table(found: Found) -> Table:
    rows = []
    for case in CLOSE:
        spent = [found[case][name].trials.mean() for name in ("by seed", "overlap, of before")]
        budget = case.configurations * case.most
        rows.append([f"lead {case.lead:g}", f"{case.indifferent:g}", f"{spent[0]:.1f} of {budget}", f"{spent[1]:.1f}"])
    title = "Six configurations that lie close, up to 16 seeds, correlation 0.9: trials that are spent"
    return Table(title, ["", "`indifferent`", "by seed", "overlap, of before"], rows)


def runs() -> dict[str, dict[int, float]]:
    """Our own runs of 50 epochs at five variances, bf16: SSIM by variance and seed."""
    found: dict[str, dict[int, float]] = {}
    with RUNS.open() as file:
        for row in csv.DictReader(file):
            if row["ssim"] and all(row[name] == value for name, value in SETTING.items()) and row["lr"] == "0.005":
                found.setdefault(row["var"], {})[int(row["seed"])] = float(row["ssim"])
    return {var: seeds for var, seeds in found.items() if len(seeds) > 1}


def pairs() -> Iterator[tuple[str, str, Difference, Interval, Interval]]:
    """Each two of them, the better one first, with their difference by seed and their intervals."""
    known = runs()
    ordered = sorted(known, key=lambda var: fmean(known[var].values()), reverse=True)
    for one, other in itertools.combinations(ordered, 2):
        difference = Difference.of(known[one], known[other], 1)
        if difference is not None:
            yield one, other, difference, Interval.of([*known[one].values()]), Interval.of([*known[other].values()])


def overlap(one: Interval, other: Interval) -> bool:
    """Whether two intervals meet: so the rule of before saw that configurations may be as good."""
    return abs(one.mean - other.mean) <= (one.half_width or math.inf) + (other.half_width or math.inf)


def own_table() -> Table:
    once, looks = Looks(3, 3), Looks(8)
    rows = []
    for one, other, difference, mean, against in pairs():
        cells = [f"± {mean.half_width:.4f} and ± {against.half_width:.4f}", "no" if overlap(mean, against) else "yes"]
        for rule in (once, looks):
            is_apart = difference.standing(rule) is Standing.APART
            cells += [f"± {difference.half_width(rule):.4f}", "yes" if is_apart else "no"]
        rows.append([f"{one} against {other}", f"{difference.mean:.4f}", *cells])
    columns = ["var", "SSIM apart", "each alone", "apart", "by seed, one look", "apart", "by seed, up to 8", "apart"]
    note = (
        "Each has three seeds. One look is a plain paired t at 95%. Where up to 8 seeds may be looked at, three are an "
        "early look, which has a small share of the error."
    )
    return Table("Our own runs (reproduction/runs.csv)", columns, rows, note)


def goals(found: Found) -> list[Goal]:
    told = max(EQUAL, key=lambda case: float(found[case]["by seed"].is_separated.mean()))
    out = max(LED, key=lambda case: float(found[case]["by seed"].discards.mean()))
    compared = [*pairs()]
    missed = [difference for _, _, difference, mean, against in compared if overlap(mean, against)]
    mended = sum(difference.standing(Looks(3, 3)) is Standing.APART for difference in missed)
    spent = [found[KNOWN][name].trials.mean() for name in ("by seed", "overlap, of before")]
    rates = percent(found[told]["by seed"].is_separated.mean()), percent(found[out]["by seed"].discards.mean())
    return [
        Goal(
            "all are equally good: one is told to be the best", "in 5% at most", f"in {rates[0]} at most: {told.title}"
        ),
        Goal("one leads: it is thrown out", "in 5% at most", f"in {rates[1]}: {out.title}, lead {out.lead:g}"),
        Goal("pairs of our own runs that overlap, and are apart by seed", "4 of 10", f"{mended} of {len(compared)}"),
        Goal(
            "8 configurations, one leads by a standard deviation: trials of 64",
            "fewer than 61",
            f"{spent[0]:.0f}, and {spent[1]:.0f} by the rule of before",
        ),
    ]


def measure(quick: bool) -> Topic:
    repeats, found = QUICK_REPEATS if quick else REPEATS, {}
    for case in dict.fromkeys([*EQUAL, *LED, *CLOSE]):
        measuring.say(f"{case.title}, lead {case.lead:g}")
        found[case] = by_rules(case, repeats)
    figures = {
        str(case): {
            name: {what: float(np.mean(of)) for what, of in ended._asdict().items()} for name, ended in all_.items()
        }
        for case, all_ in found.items()
    }
    tables = [equal_table(found), led_table(found), close_table(found), own_table()]
    return Topic({"repeats": repeats, **figures}, tables, goals(found))


if __name__ == "__main__":
    measuring.main(measure, DOCUMENT, COMMAND)
