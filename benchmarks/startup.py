"""How long the command takes to answer, beside what Python and its libraries need for themselves.

python benchmarks/startup.py [--quick] [--json FILE]
"""

import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

import commands
import measuring
from commands import SWEEP
from measuring import ROOT, Table, Topic, in_turn, number, spread

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "python -c 'import pydantic'": [sys.executable, "-c", "import pydantic"],
    "python -c 'import typer, rich'": [sys.executable, "-c", "import typer, rich"],
    "python -c 'import pydantic, typer, rich'": [sys.executable, "-c", "import pydantic, typer, rich"],
    "sweep --help": [SWEEP, "--help"],
    "sweep plan sweeps/report/var.yaml": [SWEEP, "plan", "sweeps/report/var.yaml"],
}
ROUNDS, QUICK_ROUNDS = 15, 3


def measure(quick: bool) -> Topic:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)  # where there is no store that `plan` would read
        shutil.copytree(ROOT / "sweeps", folder / "sweeps")
        contenders = {title: partial(commands.run, command, folder) for title, command in COMMANDS.items()}
        ended = in_turn(contenders, QUICK_ROUNDS if quick else ROUNDS, warm_up=True)
    seconds = {title: [one.seconds for one in all_of_it] for title, all_of_it in ended.items()}
    rows = [
        [f"`{title}`", number(1000 * of.median), f"{number(1000 * of.low)} - {number(1000 * of.high)}"]
        for title, of in ((title, spread(samples)) for title, samples in seconds.items())
    ]
    note = "The first four are the limit: what any command of these libraries takes. There is no store to be read."
    return Topic({"seconds": seconds}, [Table("Start-up", ["command", "ms, median", "least - greatest"], rows, note)])


if __name__ == "__main__":
    measuring.main(measure)
