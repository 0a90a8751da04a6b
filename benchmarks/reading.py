"""How time and memory of the commands that read a sweep grow with its trials, MLflow's import apart.

python benchmarks/reading.py [--quick] [--json FILE]
"""

import statistics
import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import commands
import measuring
from commands import BENCHMARKS, SWEEP, WIDE, Ended
from measuring import MEGABYTE, Goal, Table, Topic, number

SIZES, QUICK_SIZES = (100, 1_000, 10_000), (20, 60)
REPETITIONS, QUICK_REPETITIONS = 3, 1
OFTENER = 3  # times as often, what has a goal
OPENED = "from mlflow import MlflowClient; MlflowClient('sqlite:///empty.db').search_experiments(max_results=1)"
ASKED = {
    "status": ["status", WIDE],
    "plan": ["plan", WIDE],
    "best": ["best", WIDE],
    "logs": ["logs", WIDE, "1"],
    "launch": ["launch", WIDE, "--quiet"],
    "report": ["report", WIDE, "--out", "report"],
}
OF_THE_GOAL = ("status", "plan", "best")
SECONDS, MEGABYTES = 2, 200

Figures = Mapping[str, Ended]


def median(samples: list[Ended]) -> Ended:
    return Ended(*map(statistics.median, zip(*samples, strict=True)))


def measured(folder: Path, empty: Path, trials: int, repetitions: int) -> Figures:
    """What each command takes beyond a process that imports MLflow, and asks a store that has nothing."""
    measuring.say(f"{trials} trials")
    # in a process of its own: what a command is said to take at its peak is at least what its parent holds
    commands.run([sys.executable, str(BENCHMARKS / "grown.py"), str(trials)], commands.furnish(folder, empty))
    (folder / "empty.db").symlink_to(empty)
    contenders = {"MLflow": [sys.executable, "-c", OPENED]} | {name: [SWEEP, *call] for name, call in ASKED.items()}
    found: dict[str, Ended] = {}
    of_goal = ("MLflow", *OF_THE_GOAL)
    for names, times in ((of_goal, OFTENER * repetitions), (ASKED.keys() - of_goal, repetitions)):
        runs = {name: partial(commands.run, contenders[name], folder) for name in sorted(names)}
        found |= {name: median(taken) for name, taken in measuring.in_turn(runs, times).items()}
    floor = found["MLflow"]
    return {"MLflow": floor} | {
        name: Ended(*(more - less for more, less in zip(found[name], floor, strict=True))) for name in ASKED
    }


def tables(figures: Mapping[int, Figures], floor: Ended) -> list[Table]:
    columns = ["trials", *(f"`sweep {name}`" for name in ASKED)]
    seconds = [[f"{size:,}", *(number(of[name].seconds) for name in ASKED)] for size, of in figures.items()]
    memory = [[f"{size:,}", *(number(of[name].peak / MEGABYTE) for name in ASKED)] for size, of in figures.items()]
    note = (
        "Trials of twenty parameters, eight epochs and three metrics, in SQLite; all have their result, so that the "
        "launch runs none, and prints the table of all. The figures are what a command takes more than a process that "
        f"imports MLflow and opens a store ({number(floor.seconds)} s, {number(floor.peak / MEGABYTE)} MB)."
    )
    processor = [[f"{size:,}", *(number(of[name].processor) for name in ASKED)] for size, of in figures.items()]
    return [
        Table("Reading a sweep: seconds", columns, seconds, note),
        Table("Reading a sweep: seconds of the processor", columns, processor),
        Table("Reading a sweep: MB at the peak", columns, memory),
    ]


def measure(quick: bool) -> Topic:
    sizes, repetitions = (QUICK_SIZES, QUICK_REPETITIONS) if quick else (SIZES, REPETITIONS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        empty = commands.empty_store(folder)
        figures = {trials: measured(folder / f"trials-{trials}", empty, trials, repetitions) for trials in sizes}
    most = figures[max(sizes)]
    seconds, peak, processor = (max(column) for column in zip(*(most[name] for name in OF_THE_GOAL), strict=True))
    goal = Goal(
        f"status, plan and best of {max(sizes):,} trials, MLflow's import apart",
        f"under {SECONDS} s and {MEGABYTES} MB each",
        f"at most {number(seconds)} s ({number(processor)} s of the processor), {number(peak / MEGABYTE)} MB",
    )
    kept = {trials: {name: ended._asdict() for name, ended in of.items()} for trials, of in figures.items()}
    return Topic(kept, tables(figures, most["MLflow"]), [goal])


if __name__ == "__main__":
    measuring.main(measure)
