"""How often the interval of a boundary covers, and how often what is said to be safe is, on curves that are known.

python benchmarks/boundaries.py            # renews docs/boundary.md; half an hour of a core
python benchmarks/boundaries.py --seeds 60 # the first 60 of them, and then the tables
python benchmarks/boundaries.py --quick    # a look, on other seeds: printed only

Every simulated sweep is kept in benchmarks/boundaries.csv, so that the command goes on where it was stopped.
"""

import argparse
import csv
import random
import statistics
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import measuring
from measuring import ROOT, Goal, Table, Topic
from one_edge import OneEdge
from rates import JUDGED, KINDS, Rate, rate_of

from orchestrator import spec
from orchestrator.samplers.boundary import BoundarySampler
from orchestrator.trial import Outcome
from orchestrator.trials.observation import Observation

DOCUMENT, COMMAND = ROOT / "docs" / "boundary.md", "make bench-boundaries"
KEPT = ROOT / "benchmarks" / "boundaries.csv"
TRIALS, SEEDS, QUICK_SEEDS = 40, 200, 10
DECIMALS = 4  # of a width
RISKS = 0.05, 0.2
COVERED, BROKEN = 0.9, 0.05
TOY = (
    "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Config:\n    x: float = 0.5\n    seed: int = 0\n"
)
TOY += "def train(config: Config):\n    return {}\n"
FILE = f"trial: toy_of_rates:train\nmethod: boundary\nrun_cap: {TRIALS}\nparameters: {{x: {{min: 0.0, max: 1.0}}}}\n"

Regions = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Simulated:
    """What came of one sweep along a curve."""

    kind: str
    model: str
    seed: int
    covers: int  # whether the intervals have every edge
    is_of_shape: int  # whether as many edges were found as there are
    width: float  # of the first edge's interval, as a share of the range
    events: int
    promises: int  # whether a region was said to be below the first risk, and whether it is not; then of the second
    broken: int
    promises_2: int
    broken_2: int


def judged(kind: str, model: str, seed: int, events: int, intervals: Regions, safe: Sequence[Regions]) -> Simulated:
    """Hold what was found against the curve."""
    rate = rate_of(kind, seed)
    is_of_shape = len(intervals) == len(rate.edges)
    covers = is_of_shape and all(low <= at <= high for at, (low, high) in zip(rate.edges, intervals, strict=True))
    told = []
    for regions, risk in zip(safe, RISKS, strict=True):
        told += [bool(regions), any(rate.most(*region) >= risk for region in regions)]
    width = round(intervals[0][1] - intervals[0][0], DECIMALS)
    return Simulated(kind, model, seed, covers, is_of_shape, width, events, *told)


def ours(kind: str, seed: int) -> Simulated:
    """A sweep file with that method and nothing set, asked and told as a launch does it."""
    sampler, happens = BoundarySampler(_spec()), _chance(rate_of(kind, seed), seed)
    while trial := sampler.ask():
        explodes = happens(trial.params["x"])
        sampler.tell(trial, Observation(Outcome.EXPLODED if explodes else Outcome.COMPLETED))
    (curve,) = sampler.curves
    intervals = [(edge.low, edge.high) for edge in curve.posterior.edges]
    safe = [curve.posterior.estimate(risk).safe for risk in RISKS]
    return judged(kind, "ours", seed, sum(happened for _, happened in curve.points), intervals, safe)


def former(kind: str, seed: int) -> Simulated:
    """The same by the model of before."""
    model, happens, events = OneEdge(), _chance(rate_of(kind, seed), seed), 0
    for _ in range(TRIALS):
        position = model.next()
        happened = happens(position)
        events += happened
        model.observe(position, happened)
    return judged(kind, "before", seed, events, [model.interval()], [model.safe(risk) for risk in RISKS])


def _chance(rate: Rate, seed: int) -> Callable[[float], bool]:
    rng = random.Random(seed)
    return lambda position: rng.random() < rate.at(position)


def _spec() -> spec.SweepSpec:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "toy_of_rates.py").write_text(TOY)
        path = Path(folder) / "rates.yaml"
        path.write_text(FILE)
        return spec.load(path)


def _simulated(job: tuple[str, str, int]) -> Simulated:
    kind, model, seed = job
    return (ours if model == "ours" else former)(kind, seed)


def simulate(jobs: Iterable[tuple[str, str, int]], kept: Path | None, processes: int | None) -> list[Simulated]:
    """The sweeps of these curves, models and seeds; those that were kept are not run again."""
    known = {(one.kind, one.model, one.seed): one for one in _read(kept)}
    missing = [job for job in jobs if job not in known]
    with ProcessPoolExecutor(processes) as pool:
        for done, one in enumerate(pool.map(_simulated, missing, chunksize=4), 1):
            known[one.kind, one.model, one.seed] = one
            if kept:
                _append(kept, one)
            if done % 100 == 0:
                measuring.say(f"{done} of {len(missing)} sweeps")
    return [known[job] for job in jobs]


def _read(kept: Path | None) -> list[Simulated]:
    if kept is None or not kept.exists():
        return []
    kinds = {field.name: field.type for field in fields(Simulated)}
    with kept.open() as lines:
        return [Simulated(**{name: kinds[name](text) for name, text in row.items()}) for row in csv.DictReader(lines)]


def _append(kept: Path, one: Simulated) -> None:
    is_new = not kept.exists()
    row = {name: int(value) if isinstance(value, bool) else value for name, value in asdict(one).items()}
    with kept.open("a", newline="") as lines:
        writer = csv.DictWriter(lines, row)
        if is_new:
            writer.writeheader()
        writer.writerow(row)


def share(found: Sequence[Simulated], trait: str) -> float:
    return statistics.fmean(getattr(one, trait) for one in found)


def width(found: Sequence[Simulated]) -> str:
    return f"{statistics.median(one.width for one in found):.2f}"


def tables(found: Sequence[Simulated]) -> list[Table]:
    """Coverage by kind of curve, and what was promised."""
    covered, promised = [], []
    for kind in KINDS:
        new, old = ([one for one in found if (one.kind, one.model) == (kind, model)] for model in ("ours", "before"))
        if not new:
            continue
        if rate_of(kind, 0).edges:
            cells = [f"{share(new, 'covers'):.2f}", f"{share(old, 'covers'):.2f}", width(new), width(old)]
            covered.append([kind, *cells, f"{share(new, 'is_of_shape'):.2f}", str(len(new))])
        row = [f"{sum(getattr(one, trait) for one in of)}" for of in (new, old) for trait in ("promises", "broken")]
        row += [str(sum(getattr(one, trait) for one in new)) for trait in ("promises_2", "broken_2")]
        promised.append([kind, *row, str(len(new))])
    first, second = (f"{risk:.2g}" for risk in RISKS)
    return [
        Table(
            "How often the 95% interval covers the threshold",
            ["curve", "covered", "before", "width", "before", "edges counted right", "sweeps"],
            covered,
            "The width is the median, as a share of the range. With two edges, both intervals must cover. Before: one "
            "edge between fixed asymptotes of 1% and 99%, which looked nowhere first.",
        ),
        Table(
            "How often values are called safe, and how often that is wrong",
            ["curve", f"below {first}", "wrong", "before", "wrong", f"below {second}", "wrong", "sweeps"],
            promised,
            "Wrong: somewhere in what is called safe, the true rate is not below the risk.",
        ),
    ]


def measure(seeds: Iterable[int], kept: Path | None, processes: int | None = None) -> Topic:
    """Simulate the sweeps of these seeds, those that are not kept."""
    jobs = [(kind, model, seed) for seed in seeds for kind in KINDS for model in ("ours", "before")]
    found = simulate(jobs, kept, processes)
    edged = {kind: [one for one in found if one.kind == kind and one.model == "ours"] for kind in KINDS}
    least = min((share(of, "covers"), kind) for kind, of in edged.items() if rate_of(kind, 0).edges)
    most = max((share(of, "broken"), kind) for kind, of in edged.items())
    covered = f"{least[0]:.2f} at least ({least[1]}){'' if least[0] >= COVERED else ': missed'}"
    broken = f"{most[0]:.2f} at most ({most[1]}){'' if most[0] <= BROKEN else ': missed'}"
    goals = [
        Goal("the interval covers", f"at least {COVERED} of each kind", covered),
        Goal("a promise is broken", f"in at most {BROKEN} of each kind", broken),
    ]
    return Topic({"sweeps": [asdict(one) for one in found]}, tables(found), goals)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a look, on other seeds: printed only")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many of them, from the first")
    parser.add_argument("--processes", type=int, help="at the same time; as many as there are cores")
    arguments = parser.parse_args()
    before = measuring.occasion()
    seeds = range(QUICK_SEEDS) if arguments.quick else range(JUDGED, JUDGED + arguments.seeds)
    topic = measure(seeds, None if arguments.quick else KEPT, arguments.processes)
    print("\n\n".join(table.markdown() for table in topic.tables), flush=True)
    if not arguments.quick:
        measuring.renew(DOCUMENT, COMMAND, measuring.page({**before, "measured": asdict(topic)}, ["measured"]))


if __name__ == "__main__":
    main()
