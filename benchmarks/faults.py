"""How much longer short trials take into a server of which a quarter of all requests fail, are late or are cut.

python benchmarks/faults.py [--quick] [--json FILE]
"""

import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import commands
import measuring
from commands import SWEEP
from faulty import proxied, seeded
from measuring import Goal, Spread, Table, Topic, number, spread
from serving import served

TRIALS, QUICK_TRIALS = 30, 5
ROUNDS, QUICK_ROUNDS = 3, 1
SHARE = 0.25  # of the requests
MOST = 3.0  # times what it takes without
WITHOUT, WITH = "none", "a quarter"


def seconds(trials: int, share: float, seed: int) -> float:
    """Of a launch of trials that do nothing, into a server of its own behind a proxy."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = commands.idle_sweep(folder, trials, "grid")
        store = served(f"sqlite:///{folder}/served.db", folder / "artifacts")
        with store as server, proxied(server, seeded(seed, share)) as proxy:
            launch = [SWEEP, "launch", file, "--workers", "2", "--quiet", "--tracking-uri", proxy.url]
            return commands.run(launch, folder).seconds


def table(found: Mapping[str, Spread], trials: int) -> Table:
    least = found[WITHOUT].median
    rows = [[name, str(of), number(of.median / least)] for name, of in found.items()]
    note = f"{trials} trials of 50 epochs that do nothing, into a server on SQLite; whole commands."
    return Table("Into a faulty server", ["requests that fail", "seconds", "x those of none"], rows, note)


def measure(quick: bool) -> Topic:
    trials, rounds = (QUICK_TRIALS, QUICK_ROUNDS) if quick else (TRIALS, ROUNDS)
    seeds = iter(range(2 * rounds))
    samples = measuring.in_turn(
        {
            WITHOUT: partial(seconds, trials, 0.0, 0),
            WITH: lambda: seconds(trials, SHARE, next(seeds)),
        },
        rounds,
    )
    found = {name: spread(taken) for name, taken in samples.items()}
    ratio = found[WITH].median / found[WITHOUT].median
    goal = Goal(
        f"{trials} short trials with a quarter of all requests failing, beside none",
        f"at most {MOST:g} x",
        f"{number(ratio)} x",
    )
    return Topic({name: [*taken] for name, taken in samples.items()}, [table(found, trials)], [goal])


if __name__ == "__main__":
    measuring.main(measure)
