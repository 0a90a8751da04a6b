"""What a further trial costs on a Ray cluster of this machine alone, beside one in a worker process, by turns.

    build/clusters/bin/python benchmarks/elsewhere.py [--rounds 3] [--sizes 32 128]

Trials that do nothing but yield 50 epochs of 4 metrics, as in `overhead.py`; whole commands. The folder is the same for
both, so that nothing is carried.
"""

import argparse
import os
import statistics
import tempfile
from pathlib import Path

import commands
from commands import SWEEP, WORKERS
from ray_hosts import Head
from rich.console import Console
from rich.table import Table


def seconds(folder: Path, empty: Path, trials: int, executor: list[str]) -> float:
    """Of a whole launch."""
    place = commands.furnish(folder, empty)
    file = commands.idle_sweep(place, trials, "grid")
    taken = commands.run([SWEEP, "launch", file, "--workers", str(WORKERS), "--quiet", *executor], place).seconds
    commands.landed(place, trials)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs=2, default=[32, 128])
    asked = parser.parse_args()
    few, many = asked.sizes
    console = Console()
    with Head.of_this_machine(cpus=os.cpu_count() or 2) as head, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "empty").mkdir()
        empty = commands.empty_store(folder / "empty")
        ways = {"process": [], "ray": ["--executor", "ray", "--set-executor", f"address={head.address}"]}
        taken: dict[str, dict[int, list[float]]] = {way: {few: [], many: []} for way in ways}
        for turn in range(asked.rounds):
            for way, executor in ways.items():
                for size in asked.sizes:
                    taken[way][size].append(seconds(folder / f"{way}-{size}-{turn}", empty, size, executor))
                    console.print(f"round {turn + 1}: {way}, {size} trials: {taken[way][size][-1]:.1f} s")
    table = Table("executor", f"{few} trials, s", f"{many} trials, s", "ms for a further trial", "x process")
    further = {
        way: 1000 * (statistics.median(times[many]) - statistics.median(times[few])) / (many - few)
        for way, times in taken.items()
    }
    for way, times in taken.items():
        medians = [f"{statistics.median(times[size]):.1f}" for size in asked.sizes]
        table.add_row(way, *medians, f"{further[way]:.1f}", f"{further[way] / further['process']:.2f}")
    console.print(table)


if __name__ == "__main__":
    main()
