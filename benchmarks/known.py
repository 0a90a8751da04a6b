"""What a search gains by a prior: trials of the same landscape, of one beside it, and of one that misleads.

python benchmarks/known.py            # renews docs/searching.md; two minutes on one core
python benchmarks/known.py --quick    # a look: fewer seeds; printed only
"""

import math
import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import measuring
from measuring import ROOT, Goal, Table, Topic

from orchestrator import samplers, spec
from orchestrator.samplers.prior import NOTHING, Prior, prior_of
from orchestrator.spec.sweep_spec import PriorSource
from orchestrator.system import machine
from orchestrator.trial import Outcome, Params
from orchestrator.trials.observation import Observation
from orchestrator.trials.prior_trial import PriorTrial

DOCUMENT, COMMAND = ROOT / "docs" / "searching.md", "python benchmarks/known.py"
FIRST_SEED = 4000  # after how many results other constants are forgotten was chosen on seeds 0 to 9
SEEDS, QUICK_SEEDS = 24, 6
KNOWN, TRIALS, LOOKS = 30, 30, (3, 5, 10, 20, 30)
RANGES = {"lr": (1e-4, 1e-1), "var": (0.01, 1.0), "kl_weight": (0.1, 10.0)}
NOISE = 0.01  # between trials
WITHOUT, WITH = "tpe", "tpe with the prior"
FILE = """
program: train.py
method: tpe
metric: {{name: val_ssim, goal: maximize}}
run_cap: {trials}
seed: {seed}
parameters: {{epochs: 50, {ranges}}}
"""
HERE, THERE = 50, 20  # epochs


@dataclass(frozen=True)
class Landscape:
    """A metric over the cube of the parameters, and its greatest value."""

    best_at: Sequence[float]
    height: float

    def at(self, params: Params) -> float:
        """Without noise."""
        distance = sum((own - best) ** 2 for own, best in zip(place(params), self.best_at, strict=True))
        return self.height * math.exp(-2 * distance)

    def seen(self, params: Params, rng: random.Random) -> Observation:
        return Observation(Outcome.COMPLETED, (self.at(params) + rng.gauss(0, NOISE),), -1.0)


@dataclass(frozen=True)
class Relation:
    """What the prior's landscape has to do with that of the search."""

    title: str
    epochs: int
    height: float
    moved: float  # of each axis, at most; 1: the best is anywhere


RELATIONS = {
    "same": Relation("The prior is of the same landscape", HERE, 0.9, 0.0),
    "beside": Relation(
        "Of another constant: higher by 0.2, the best moved by up to 0.1 of each range", THERE, 1.1, 0.1
    ),
    "lower": Relation("Of another constant: lower by 0.2, the best moved by up to 0.1 of each range", THERE, 0.7, 0.1),
    "misleading": Relation("Of another constant: higher by 0.2, the best anywhere", THERE, 1.1, 1.0),
}


def place(params: Params) -> list[float]:
    """Of a configuration, between 0 and 1 on each axis."""
    return [math.log(params[name] / low) / math.log(high / low) for name, (low, high) in RANGES.items()]


def params_at(spot: Sequence[float]) -> dict[str, float]:
    return {name: low * (high / low) ** share for (name, (low, high)), share in zip(RANGES.items(), spot, strict=True)}


def searched(relation: Relation, knows: bool, seed: int) -> list[float]:
    """The regret of a search after each of its trials, by the values without noise."""
    rng = random.Random(seed)
    best_at = [rng.uniform(0.1, 0.9) for _ in RANGES]
    here = Landscape(best_at, 0.9)
    moved = [min(max(at + rng.uniform(-1, 1) * relation.moved, 0.0), 1.0) for at in best_at]
    there = Landscape(moved, relation.height)
    ranges = ", ".join(
        f"{name}: {{min: {low}, max: {high}, distribution: log_uniform_values}}" for name, (low, high) in RANGES.items()
    )
    text = FILE.format(trials=TRIALS, seed=seed, ranges=ranges)
    file = spec.load(ROOT / "known.yaml", text=text)
    prior = prior_from(file, there, relation.epochs, rng) if knows else NOTHING
    sampler, regrets, best = samplers.of(file, prior), [], 0.0
    while trial := sampler.ask():
        sampler.tell(trial, here.seen(trial.params, rng))
        best = max(best, here.at(trial.params))
        regrets.append(here.height - best)
    return regrets


def prior_from(file: spec.SweepSpec, landscape: Landscape, epochs: int, rng: random.Random) -> Prior:
    """Random trials of a landscape."""
    trials = []
    for _ in range(KNOWN):
        params = params_at([rng.random() for _ in RANGES])
        trials.append(PriorTrial({**params, "epochs": epochs}, landscape.seen(params, rng)))
    return prior_of(file, [(PriorSource("before", 0, sweep="before"), trials)])


def table(relation: Relation, found: Mapping[str, Sequence[Sequence[float]]]) -> Table:
    columns = ["", *(f"after {look} trials" for look in LOOKS)]
    rows = [
        [name, *(f"{statistics.median(one[look - 1] for one in regrets):.4f}" for look in LOOKS)]
        for name, regrets in found.items()
    ]
    return Table(relation.title, columns, rows)


def goal(relation: Relation, found: Mapping[str, Sequence[Sequence[float]]]) -> Goal:
    """Soon a prior is to help; one that misleads is not to harm for long."""
    misleads = relation.moved == 1
    look = TRIALS if misleads else LOOKS[1]
    own, other = (statistics.median(one[look - 1] for one in found[name]) for name in (WITH, WITHOUT))
    is_met = own <= other + 0.01 if misleads else own < other / 2
    wanted = "no more than 0.01 above that without" if misleads else "less than half of that without"
    what = f"{relation.title}: median regret after {look} trials"
    return Goal(what, wanted, f"{own:.4f} against {other:.4f}{'' if is_met else ': missed'}")


def measure(quick: bool) -> Topic:
    machine.limit_threads(1)
    seeds = range(FIRST_SEED, FIRST_SEED + (QUICK_SEEDS if quick else SEEDS))
    measuring.say(WITHOUT)
    without = [searched(RELATIONS["same"], False, seed) for seed in seeds]
    found: dict[str, dict[str, list[list[float]]]] = {}
    for name, relation in RELATIONS.items():
        measuring.say(relation.title)
        found[name] = {WITHOUT: without, WITH: [searched(relation, True, seed) for seed in seeds]}
    tables = [table(RELATIONS[name], of) for name, of in found.items()]
    return Topic({"regrets": found}, tables, [goal(RELATIONS[name], of) for name, of in found.items()])


if __name__ == "__main__":
    measuring.main(measure, DOCUMENT, COMMAND)
