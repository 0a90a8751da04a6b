"""What orchestration costs: trials that do nothing but tell their metrics, all of it landing in MLflow on SQLite.

The limit is MLflow itself: for each trial one run created, one batch written, the run ended, in one process.

    python benchmarks/overhead.py [--quick] [--json FILE]
"""

import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import commands
import measuring
from commands import BENCHMARKS, EPOCHS, METRICS, WORKERS, Ended
from measuring import ROOT, Goal, Spread, Table, Topic, number, spread

PYTHON_WITH_RAY = ROOT / "build" / "peers" / "bin" / "python"
FLOOR, LIVE, PIPED = "MLflow alone (the floor)", "sweep launch, live view", "sweep launch, piped"
WARM = "sweep launch, live view, `warm: true`"  # trials of a worker in one process; else each begins afresh
OPTUNA, RAY = "Optuna + MLflow, two processes", "Ray Tune + MLflow"


class Contender(NamedTuple):
    """A way to have trials run and recorded; how many trials to try it with, and how often."""

    run: Callable[[Path, int], Ended]
    sizes: tuple[int, int]
    rounds: int


class Cost(NamedTuple):
    """What a contender takes, in seconds: for few trials, for many, for each further one, before the first."""

    few: Spread
    many: Spread
    further: float
    start_up: float


def contenders(quick: bool) -> dict[str, Contender]:
    """All that can run here; Ray Tune where `make bench-peers` has installed it."""
    live, piped = partial(commands.launch, terminal=True), partial(commands.launch, terminal=False)
    warm = partial(commands.launch, terminal=True, warm=True)
    optuna = partial(_peer, sys.executable, "optuna_mlflow")
    ray = partial(_peer, str(PYTHON_WITH_RAY), "ray_tune")
    if quick:
        return {
            FLOOR: Contender(commands.write_alone, (8, 40), 1),
            LIVE: Contender(live, (8, 40), 1),
            WARM: Contender(warm, (8, 40), 1),
            OPTUNA: Contender(optuna, (4, 16), 1),
        }
    return {
        FLOOR: Contender(commands.write_alone, (64, 256), 5),
        LIVE: Contender(live, (64, 256), 5),
        WARM: Contender(warm, (64, 256), 5),
        PIPED: Contender(piped, (64, 256), 5),
        OPTUNA: Contender(optuna, (64, 128), 3),
        **({RAY: Contender(ray, (8, 32), 1)} if PYTHON_WITH_RAY.exists() else {}),
    }


def _peer(python: str, script: str, folder: Path, trials: int) -> Ended:
    path = BENCHMARKS / "peers" / f"{script}.py"
    return commands.run([python, str(path), *map(str, (trials, EPOCHS, METRICS, WORKERS))], folder)


def timed(contenders: Mapping[str, Contender]) -> dict[str, dict[int, list[float]]]:
    """Seconds of whole commands, by contender and number of trials, the contenders taking turns."""
    seconds: dict[str, dict[int, list[float]]] = {
        name: {size: [] for size in contender.sizes} for name, contender in contenders.items()
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        empty = commands.empty_store(folder)
        for turn in range(max(contender.rounds for contender in contenders.values())):
            for title, contender in contenders.items():
                for size in contender.sizes if turn < contender.rounds else ():
                    measuring.say(f"{title}, {size} trials, round {turn + 1} of {contender.rounds}")
                    place = commands.furnish(folder / f"{title}-{size}-{turn}", empty)
                    seconds[title][size].append(contender.run(place, size).seconds)
                    commands.landed(place, size)
    return seconds


def cost(seconds: Mapping[int, list[float]]) -> Cost:
    """Tell what a further trial takes from what comes before the first."""
    (few, less), (many, more) = sorted(seconds.items())
    further = (statistics.median(more) - statistics.median(less)) / (many - few)
    return Cost(spread(less), spread(more), further, statistics.median(less) - few * further)


def table(seconds: Mapping[str, Mapping[int, list[float]]]) -> Table:
    costs = {name: cost(by_size) for name, by_size in seconds.items()}
    floor = costs[FLOOR]
    rows = [
        [
            name,
            f"{min(seconds[name])}: {of.few}",
            f"{max(seconds[name])}: {of.many}",
            number(of.start_up),
            number(1000 * of.further),
            f"{of.further / floor.further:.2f}",
            f"{_of_a_trial(of.many, seconds[name]) / _of_a_trial(floor.many, seconds[FLOOR]):.2f}",
        ]
        for name, of in costs.items()
    ]
    columns = ["", "trials: seconds", "trials: seconds", "start-up, s", "ms for a further trial"]
    note = (
        f"Trials of {EPOCHS} epochs with {METRICS} metrics; {WORKERS} workers, but for the floor: that is one process. "
        "In a launch each trial begins from the state after the imports, in a process of its own, unless it is warm. "
        "Seconds are of whole commands, imports included, as median (least - greatest), into a store whose schema is "
        "there already. A further trial is the difference of the two sizes; start-up is what is left. The last column "
        "is the whole command of the larger size, for each trial."
    )
    return Table("Orchestration", [*columns, "x the floor", "x the floor, whole"], rows, note)


def _of_a_trial(whole: Spread, by_size: Mapping[int, object]) -> float:
    return whole.median / max(by_size)


def measure(quick: bool) -> Topic:
    seconds = timed(contenders(quick))
    floor, live = cost(seconds[FLOOR]), cost(seconds[LIVE])
    goal = Goal(
        "orchestration with the live view on, for each further trial (whole commands)",
        "at most 1.3 x the floor",
        f"{live.further / floor.further:.2f} ({live.many.median / floor.many.median:.2f})",
    )
    return Topic({"seconds": seconds}, [table(seconds)], [goal])


if __name__ == "__main__":
    measuring.main(measure)
