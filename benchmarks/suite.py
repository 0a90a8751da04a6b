"""Searches on many problems, beside Optuna's own samplers and random search; goes on where it was stopped.

python benchmarks/suite.py                  # 40 seeds that nobody has tuned on; hours, mostly of Gaussian processes
python benchmarks/suite.py --seeds 8        # the first 8 of them, and then the tables in docs/search.md
python benchmarks/suite.py --seeds 0        # only the tables, from what there is
python benchmarks/suite.py --tune --seeds 4 # on seeds for tuning; printed only, kept in build/

Every result is a line of benchmarks/suite.csv. Seeds are the outermost loop, so that what there is is balanced.
"""

import argparse
import csv
import itertools
import math
import multiprocessing
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import measuring
import optuna
import standings
from measuring import ROOT
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, RandomSampler, TPESampler
from problems import JUDGING, PROBLEMS, STUCK, TUNING, Instance, Number, Problem, Space

from orchestrator import samplers, spec
from orchestrator.system import machine
from orchestrator.trial import Outcome, Params
from orchestrator.trials.observation import Observation

RESULTS, TUNED = ROOT / "benchmarks" / "suite.csv", ROOT / "build" / "suite_tuning.csv"
DOCUMENT, COMMAND = ROOT / "docs" / "search.md", "make bench-suite"
WITHIN = 0.05  # of the quality of the best
BAD = 0.0  # what an objective returns that has broken its constraint; below all that is seen
HEAD = """
trial: problems:train
method: {method}
metric: {{name: score, goal: maximize}}
run_cap: {trials}
seed: {seed}
parameters:
"""

Seen = tuple[Params, Observation]
Run = Callable[[Problem, Instance, int], list[Seen]]


@dataclass(frozen=True)
class Result:
    """What came of one search; a line of the file."""

    problem: str
    contender: str
    seed: int
    regret: float  # what the trial that looked best lacks of the best quality, 1
    stuck: bool
    explosions: int
    late: int  # explosions in the second half
    until: int  # trials until within 5% of the best; one more than there were where it never was
    seconds: float


def ours(method: str) -> Run:
    """A sweep file with that method and nothing set, asked and told as a launch does it."""

    def run(problem: Problem, instance: Instance, seed: int) -> list[Seen]:
        text = HEAD.format(method=method, trials=problem.trials, seed=seed) + "\n".join(_lines(problem.space))
        space = problem.space
        sampler = samplers.of(spec.load(ROOT / "benchmarks" / "suite.yaml", text=text))
        found = []
        while trial := sampler.ask():
            params = {name: trial.params[name] for name in space if _varies(space, name, trial.params)}
            seen = instance.observe(params)
            sampler.tell(trial, seen)
            found.append((params, seen))
        return found

    return run


def optunas(sampler: Callable[..., BaseSampler], *, prunes: bool = False, constrains: bool = False) -> Run:
    """Optuna's own: an objective that returns NaN where training explodes, or prunes there, or sets a constraint."""

    def run(problem: Problem, instance: Instance, seed: int) -> list[Seen]:
        found = []

        def objective(trial: optuna.Trial) -> float:
            params: dict[str, float | str] = {}
            for name in problem.space:
                if _varies(problem.space, name, params):
                    params[name] = _suggested(trial, name, problem.space)
            seen = instance.observe(params)
            found.append((params, seen))
            if seen.outcome is Outcome.FAILED:
                raise RuntimeError
            exploded = seen.outcome is Outcome.EXPLODED
            if constrains:
                trial.set_constraint("explosion", seen.margin or (1.0 if exploded else -1.0))
            if exploded and prunes:
                raise optuna.TrialPruned
            if exploded:
                return BAD if constrains else math.nan
            assert seen.values  # noqa: S101
            return seen.values[0]

        study = optuna.create_study(direction="maximize", sampler=sampler(seed=seed))
        study.optimize(objective, n_trials=problem.trials, catch=RuntimeError)
        return found

    return run


def searched(job: tuple[str, str, int]) -> Result:
    """Let a contender loose on a problem's instance."""
    name, contender, seed = job
    problem = PROBLEMS[name]
    instance, started = problem.instance(seed), time.perf_counter()
    found = CONTENDERS[contender](problem, instance, seed)
    seconds = time.perf_counter() - started
    best, regrets = -math.inf, []
    for params, seen in found:
        if seen.outcome is Outcome.COMPLETED and seen.values and seen.values[0] > best:
            best, regret = seen.values[0], 1 - instance.quality(params)
        regrets.append(1.0 if best == -math.inf else regret)
    exploded = [seen.outcome is Outcome.EXPLODED for _, seen in found]
    until = next((i for i, regret in enumerate(regrets, 1) if regret <= WITHIN), problem.trials + 1)
    late = sum(exploded[problem.trials // 2 :])
    last = regrets[-1]
    return Result(name, contender, seed, round(last, 6), last > STUCK, sum(exploded), late, until, round(seconds, 2))


def line(job: tuple[str, str, int]) -> dict[str, object]:
    """The same as a line of the file, since a sweep file's modules hide ours: none of our classes can be sent back."""
    return asdict(searched(job))


CONTENDERS: Mapping[str, Run] = {
    "auto": ours("auto"),
    "tpe": ours("tpe"),
    "random": optunas(RandomSampler),
    "Optuna TPE": optunas(TPESampler),
    "Optuna TPE, pruned": optunas(TPESampler, prunes=True),
    "Optuna TPE, constraint": optunas(TPESampler, constrains=True),
    "Optuna CMA-ES": optunas(CmaEsSampler),
    "gp": ours("gp"),
    "Optuna GP": optunas(GPSampler),
    "Optuna GP, constraint": optunas(GPSampler, constrains=True),
}
ONLY_WITH_EXPLOSIONS = ("pruned", "constraint")  # else these are what they are without it


def jobs(names: Sequence[str], problems: Sequence[str], seeds: Iterable[int]) -> Iterator[tuple[str, str, int]]:
    """All searches, seed by seed."""
    for seed, problem, name in itertools.product(seeds, problems, names):
        if PROBLEMS[problem].explodes or not name.endswith(ONLY_WITH_EXPLOSIONS):
            yield problem, name, seed


def kept(path: Path) -> list[Result]:
    """The results in a file."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [_result(line) for line in csv.DictReader(file)]


def run(path: Path, wanted: Sequence[tuple[str, str, int]], processes: int) -> None:
    """Run what a file does not have yet, and add each result to it."""
    known = {(result.problem, result.contender, result.seed) for result in kept(path)}
    missing = [job for job in wanted if job not in known]
    if not missing:
        return
    path.parent.mkdir(exist_ok=True)
    if not path.exists():
        path.write_text(",".join(field.name for field in fields(Result)) + "\n")
    machine.limit_threads(1)  # for the processes to inherit
    with path.open("a", newline="") as file, multiprocessing.get_context("spawn").Pool(processes, _begin) as pool:
        writer = csv.DictWriter(file, [field.name for field in fields(Result)], lineterminator="\n")
        for i, result in enumerate(pool.imap(line, missing), 1):
            writer.writerow(result)
            file.flush()
            if i % 100 == 0:
                measuring.say(f"{i} of {len(missing)} searches")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=len(JUDGING), help="how many of them, from the first")
    parser.add_argument("--tune", action="store_true", help="on seeds for tuning; printed only")
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=[*CONTENDERS], metavar="NAME")
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=[*PROBLEMS], metavar="NAME")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--results", type=Path, help="another file for them")
    arguments = parser.parse_args()
    path = arguments.results or (TUNED if arguments.tune else RESULTS)
    seeds = (TUNING if arguments.tune else JUDGING)[: arguments.seeds]
    before = measuring.occasion()
    run(path, [*jobs(arguments.contenders, arguments.problems, seeds)], arguments.processes)
    topic = standings.topic(kept(path))
    if arguments.tune or arguments.results:
        print("\n\n".join(table.markdown() for table in topic.tables))
    else:
        measuring.renew(DOCUMENT, COMMAND, measuring.page({**before, "measured": asdict(topic)}, ["measured"]))


def _begin() -> None:
    machine.limit_threads(1)
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    warnings.simplefilter("ignore")


def _result(line: Mapping[str, str]) -> Result:
    names = "explosions", "late", "until", "seed"
    numbers = {name: int(line[name]) for name in names}
    regret, seconds, stuck = float(line["regret"]), float(line["seconds"]), line["stuck"] == "True"
    return Result(line["problem"], line["contender"], regret=regret, stuck=stuck, seconds=seconds, **numbers)


def _lines(space: Space) -> Iterator[str]:
    """The parameters as a sweep file has them."""
    for name, axis in space.items():
        if not isinstance(axis, Number):
            yield f"  {name}: {{values: [{', '.join(axis.values)}]}}"
            continue
        scale = "log_uniform_values" if axis.log else "uniform"
        kind = f"q_{scale}, q: 1" if axis.integer else scale
        when = "" if axis.when is None else f", when: {{{axis.when[0]}: {axis.when[1]}}}"
        yield f"  {name}: {{min: {axis.low}, max: {axis.high}, distribution: {kind}{when}}}"


def _varies(space: Space, name: str, params: Params) -> bool:
    axis = space[name]
    when = axis.when if isinstance(axis, Number) else None
    return when is None or params[when[0]] == when[1]


def _suggested(trial: optuna.Trial, name: str, space: Space) -> float | str:
    axis = space[name]
    if not isinstance(axis, Number):
        return trial.suggest_categorical(name, axis.values)
    if axis.integer:
        return trial.suggest_int(name, int(axis.low), int(axis.high), log=axis.log)
    return trial.suggest_float(name, axis.low, axis.high, log=axis.log)


if __name__ == "__main__":
    main()
