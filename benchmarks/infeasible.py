"""A model's width with the memory's edge unknown: searches, and how often they ask for what cannot be trained.

python benchmarks/infeasible.py            # renews its part of docs/search.md; about five minutes on two cores
python benchmarks/infeasible.py --quick    # a look, in a minute: fewer seeds; printed only
"""

import math
import multiprocessing
import random
import statistics
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial

import measuring
import optuna
from measuring import ROOT, Goal, Table, Topic, number
from optuna.samplers import RandomSampler, TPESampler
from optuna.trial import TrialState

from orchestrator import samplers, spec
from orchestrator.events import Infeasibility
from orchestrator.system import machine
from orchestrator.trial import Outcome, Params
from orchestrator.trials.observation import Observation

DOCUMENT, COMMAND = ROOT / "docs" / "search.md", "make bench-infeasible"
SEEDS, QUICK_SEEDS = 20, 4
FIRST_SEED = 7000  # settings were chosen on seeds 0 to 9
TRIALS, LAST, MOST = 40, 20, 2
WIDTHS, RATES = (16, 4096), (1e-4, 1e-1)
FILE = f"""
method: {{method}}
metric: {{{{name: val_ssim, goal: maximize}}}}
run_cap: {TRIALS}
seed: {{seed}}
parameters:
  latent_dim: {{{{min: {WIDTHS[0]}, max: {WIDTHS[1]}, distribution: q_log_uniform_values, q: 1}}}}
  lr: {{{{min: {RATES[0]}, max: {RATES[1]}, distribution: log_uniform_values}}}}
"""  # only the names and ranges of the parameters are taken from the trial


@dataclass(frozen=True)
class Instance:
    """A model whose score rises with its width, flatter and flatter, and has a best learning rate.

    Args:
        widest: that has room in memory.
        best_rate: the learning rate.
        seed: of the noise.
        rises: whether wider is always better; else a width has the best score, most often below the edge.
    """

    widest: float
    best_rate: float
    best_width: float
    seed: int

    @classmethod
    def of(cls, seed: int, rises: bool) -> "Instance":
        rng = random.Random(seed)
        low, high = map(math.log10, WIDTHS)
        widest = 10 ** (low + (high - low) * rng.uniform(0.3, 0.9))
        best_width = WIDTHS[1] * 4 if rises else widest * 10 ** rng.uniform(-0.8, 0.1)
        return cls(widest, 10 ** rng.uniform(-3.5, -1.5), best_width, seed)

    def beyond(self, width: float) -> float:
        """How far a width is beyond the memory, which it takes by its square; in powers of ten."""
        return 2 * math.log10(width / self.widest)

    def score(self, width: float, rate: float) -> float:
        """Without noise."""
        of_width = math.log10(width / self.best_width)
        return 0.9 - 0.03 * of_width**2 - 0.05 * math.log10(rate / self.best_rate) ** 2

    def noisy(self, width: float, rate: float, trial: int) -> float:
        """With the noise of a trial."""
        return self.score(width, rate) + random.Random(f"{self.seed}:{trial}").gauss(0, 0.001)

    @property
    def best(self) -> float:
        """The best score of a width that can be trained."""
        return self.score(min(self.best_width, math.floor(self.widest)), self.best_rate)


@dataclass(frozen=True)
class Search:
    """What came of one search."""

    late: int  # infeasible trials among the last
    infeasible: int
    regret: float  # of the best trial, by its score without noise


Tried = list[tuple[float, float]]  # width and learning rate
Run = Callable[[Instance, int], Tried]


def ours(instance: Instance, seed: int, *, method: str = "auto", tells_margin: bool = False) -> Tried:
    """A sweep file, asked and told as a launch does it."""
    sampler = samplers.of(spec.load(ROOT / "infeasible.yaml", text=FILE.format(method=method, seed=seed)))
    tried: Tried = []
    while trial := sampler.ask():
        sampler.tell(trial, _observed(instance, trial.params, len(tried), tells_margin))
        tried.append((trial.params["latent_dim"], trial.params["lr"]))
    return tried


def _observed(instance: Instance, params: Params, number: int, tells_margin: bool) -> Observation:
    beyond = instance.beyond(params["latent_dim"])
    if beyond > 0:
        return Observation(
            Outcome.INFEASIBLE, infeasible=Infeasibility("memory", max(beyond, 0.01) if tells_margin else None)
        )
    return Observation(Outcome.COMPLETED, (instance.noisy(params["latent_dim"], params["lr"], number),), -1.0)


def optunas(instance: Instance, seed: int, *, sampler: type[TPESampler | RandomSampler], constrained: bool) -> Tried:
    """Optuna's own loop: what cannot be trained is a failed trial, or one that breaks a constraint."""
    study = optuna.create_study(direction="maximize", sampler=sampler(seed=seed))
    tried: Tried = []
    for i in range(TRIALS):
        trial = study.ask()
        width, rate = trial.suggest_int("width", *WIDTHS, log=True), trial.suggest_float("lr", *RATES, log=True)
        beyond = instance.beyond(width)
        if constrained:
            trial.set_constraint("memory", beyond)
        if beyond > 0:
            study.tell(trial, state=TrialState.PRUNED if constrained else TrialState.FAIL)
        else:
            study.tell(trial, instance.noisy(width, rate, i))
        tried.append((width, rate))
    return tried


OURS = "ours, auto"
THEIRS = "Optuna, TPE, FAIL"
CONTENDERS: Mapping[str, Run] = {
    OURS: ours,
    "ours, auto, margin told": partial(ours, tells_margin=True),
    "ours, tpe": partial(ours, method="tpe"),
    THEIRS: partial(optunas, sampler=TPESampler, constrained=False),
    "Optuna, TPE, constraint with margin": partial(optunas, sampler=TPESampler, constrained=True),
    "random search": partial(optunas, sampler=RandomSampler, constrained=False),
}
PROBLEMS = {"wider is better": True, "a width is best": False}


def searched(problem: str, contender: str, seed: int) -> Search:
    """Let a contender loose on a problem's instance."""
    instance = Instance.of(seed, PROBLEMS[problem])
    tried = CONTENDERS[contender](instance, seed)
    cannot = [instance.beyond(width) > 0 for width, _ in tried]
    found = [instance.score(*one) for one, lacks in zip(tried, cannot, strict=True) if not lacks]
    return Search(sum(cannot[-LAST:]), sum(cannot), instance.best - max(found, default=0.0))


def row(name: str, searches: Sequence[Search]) -> list[str]:
    late = [one.late for one in searches]
    within = sum(count <= MOST for count in late)
    everywhere = statistics.fmean(one.infeasible for one in searches)
    regret = statistics.median(one.regret for one in searches)
    shown = [number(statistics.fmean(late)), str(max(late)), f"{within} of {len(late)}", number(everywhere)]
    return [name, *shown, f"{regret:.4f}"]


def measure(quick: bool) -> Topic:
    machine.limit_threads(1)  # for the processes to inherit
    seeds = QUICK_SEEDS if quick else SEEDS
    jobs = [(p, name, FIRST_SEED + i) for p in PROBLEMS for name in CONTENDERS for i in range(seeds)]
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn"), initializer=_begin) as processes:
        results = iter(list(processes.map(searched, *zip(*jobs, strict=True))))
    found = {p: {name: [next(results) for _ in range(seeds)] for name in CONTENDERS} for p in PROBLEMS}
    late = f"infeasible, last {LAST}"
    columns = ["", late, "most", f"at most {MOST}", f"of all {TRIALS}", "regret (median)"]
    tables = [Table(f"Memory's edge: {p}", columns, [row(*one) for one in of.items()]) for p, of in found.items()]
    goals = []
    for problem, of in found.items():
        counts = [one.late for one in of[OURS]]
        mean, theirs = statistics.fmean(counts), statistics.fmean(one.late for one in of[THEIRS])
        kept = sum(count <= MOST for count in counts)
        said = f"{number(mean)} on average, {kept} of {len(counts)} searches; {number(theirs)} of {THEIRS}"
        goals.append(Goal(f"{problem}: {late}, {OURS}", f"at most {MOST}", said))
    figures = {p: {name: [asdict(one) for one in all_] for name, all_ in of.items()} for p, of in found.items()}
    return Topic(figures, tables, goals)


def _begin() -> None:
    machine.limit_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")


if __name__ == "__main__":
    measuring.main(measure, DOCUMENT, COMMAND)
