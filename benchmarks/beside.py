"""How fast trainings go alone, and where two launches share a machine: with one thread each, and with all of its cores.

python benchmarks/beside.py [--quick] [--json FILE]
"""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import measuring
import textbook
import training
from crew import Crew
from measuring import Goal, Table, Topic, in_turn, spread

from orchestrator.system import machine

PRECISIONS = ("fp32", "bf16")
ROUNDS, QUICK_ROUNDS = 5, 1
STEPS = 4  # of a round; those that wait for each other take seconds
ONE_TRIAL = 1  # of a launch


class Contender(NamedTuple):
    """So many launches of a trial each, with this precision and so many threads."""

    precision: str
    threads: int
    launches: int


def contenders() -> list[Contender]:
    """Every precision, alone and twice, with a thread and with those of a single trial that has all cores."""
    threads = sorted({1, machine.share(ONE_TRIAL, None).threads})
    return [Contender(name, count, launches) for name in PRECISIONS for count in threads for launches in (1, 2)]


def rates(rounds: int) -> dict[Contender, list[float]]:
    """Images per second of a trial, in each round; all take turns."""
    machine.wait_passively()  # as workers do; these inherit it
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        training.furnish(folder, training.Size(STEPS * textbook.BATCH_SIZE, 0.0, rounds))
        found = in_turn(
            {
                one: stack.enter_context(
                    Crew(training.ours, one.precision, folder, processes=one.launches, threads=one.threads)
                ).round
                for one in contenders()
            },
            rounds,
            warm_up=True,
        )
    return {one: [epoch.rate for epochs in of for epoch in epochs] for one, of in found.items()}


def table(found: dict[Contender, list[float]]) -> Table:
    rows = []
    for alone in (one for one in found if one.launches == 1):
        single, beside = spread(found[alone]), spread(found[alone._replace(launches=2)])
        rows.append(
            [alone.precision, str(alone.threads), str(single), str(beside), f"{beside.median / single.median:.2f}"]
        )
    note = (
        f"Images per second of a trial: median (least - greatest); the report's model, batches of "
        f"{textbook.BATCH_SIZE:,}. Of two launches that share the cores fairly, each has half of what it has alone "
        "where that takes them all. `sweep launch` gives bf16 one thread, unless `resources` or OMP_NUM_THREADS says "
        "how many."
    )
    columns = ["precision", "threads", "alone", "each of two launches at once", "of alone"]
    return Table("Trainings alone, and side by side", columns, rows, note)


def goal(found: dict[Contender, list[float]]) -> Goal:
    one = Contender("bf16", 1, 2)
    beside, alone = (spread(found[one._replace(launches=launches)]).median for launches in (2, 1))
    return Goal("bf16 beside another launch, of its rate alone", "at least half", f"{beside / alone:.2f}")


def measure(quick: bool) -> Topic:
    found = rates(QUICK_ROUNDS if quick else ROUNDS)
    figures = {" ".join(map(str, one)): of for one, of in found.items()}
    return Topic(figures, [table(found)], [goal(found)])


if __name__ == "__main__":
    measuring.main(measure)
