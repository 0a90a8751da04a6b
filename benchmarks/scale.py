"""How time and memory grow with the number of trials: of a launch, and of the commands that read what it left.

python benchmarks/scale.py [--quick] [--json FILE]
"""

import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import commands
import measuring
from commands import SWEEP
from measuring import MEGABYTE, Goal, Table, Topic, number

SIZES, QUICK_SIZES = (100, 1_000, 10_000), (10, 60)
SEARCHED, QUICK_SEARCHED = 1_000, 20
REPETITIONS, QUICK_REPETITIONS = 3, 1


def measured(folder: Path, trials: int, repetitions: int, method: str = "grid") -> dict[str, float]:
    """One sweep of so many trials, and what one may ask about it afterwards."""
    measuring.say(f"{trials} trials, {method}")
    launched = commands.launch(folder, trials, terminal=True, method=method)
    commands.landed(folder, trials)
    asked = {
        "plan": [SWEEP, "plan", "idle.yaml"],
        "status": [SWEEP, "status", "idle.yaml"],
        "resume": [SWEEP, "launch", "idle.yaml", "--workers", str(commands.WORKERS)],
    }
    seconds = {
        name: statistics.median(commands.run(command, folder).seconds for _ in range(repetitions))
        for name, command in asked.items()
    }
    return {"launch": launched.seconds, "peak": launched.peak, **seconds}


def row(name: str, trials: int, of: Mapping[str, float], floor: float, start_up: float) -> list[str]:
    return [
        name,
        number(of["launch"]),
        number(1000 * of["launch"] / trials),
        number(1000 * (of["launch"] - start_up) / trials),
        number(1000 * floor / trials),
        number(of["peak"] / MEGABYTE),
        number(of["plan"]),
        number(of["status"]),
        number(of["resume"]),
    ]


def table(rows: list[list[str]], start_up: float) -> Table:
    columns = ["trials", "launch, s", "ms a trial", "without start-up", "the floor, ms a trial", "peak memory, MB"]
    note = (
        f"The sweeps of the table before, with the live view on; start-up is a sweep of one trial ({start_up:.1f} s). "
        "The floor is MLflow alone, its start-up included. The memory is the orchestrator's. Resume is a launch "
        "that finds everything done, and prints the table of all trials. The last row is a search over one parameter "
        "by TPE, which proposes each trial from all before it."
    )
    return Table("Scale", [*columns, "plan, s", "status, s", "resume, s"], rows, note)


def measure(quick: bool) -> Topic:
    sizes, repetitions = (QUICK_SIZES, QUICK_REPETITIONS) if quick else (SIZES, REPETITIONS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        empty = commands.empty_store(folder)

        def place(name: str) -> Path:
            return commands.furnish(folder / name, empty)

        start_up = statistics.median(
            commands.launch(place(f"one-{i}"), 1, terminal=True).seconds for i in range(repetitions)
        )
        figures, floor = {}, {}
        for trials in sizes:
            figures[trials] = measured(place(f"sweep-{trials}"), trials, repetitions)
            floor[trials] = commands.write_alone(place(f"floor-{trials}"), trials).seconds
        searched = QUICK_SEARCHED if quick else SEARCHED
        search = measured(place("search"), searched, repetitions, "tpe")
        search_floor = commands.write_alone(place("search-floor"), searched).seconds
    rows = [row(f"{trials:,}", trials, of, floor[trials], start_up) for trials, of in figures.items()]
    rows.append(row(f"{searched:,}, searched", searched, search, search_floor, start_up))
    kept: dict[str, Any] = {"sweeps": figures, "floor": floor, "search": search, "start_up": start_up}
    return Topic(kept, [table(rows, start_up)], [_goal(figures, start_up)])


def _goal(figures: Mapping[int, Mapping[str, float]], start_up: float) -> Goal:
    few, many = min(figures), max(figures)
    whole = {trials: of["launch"] / trials for trials, of in figures.items()}
    less = {trials: (of["launch"] - start_up) / trials for trials, of in figures.items()}
    return Goal(
        f"time of a trial among {many:,}, start-up included (without it)",
        f"at most 1.25 x that among {few:,}",
        f"{whole[many] / whole[few]:.2f} ({less[many] / less[few]:.2f})",
    )


if __name__ == "__main__":
    measuring.main(measure)
