"""What it costs to have a program run as a trial, beside the bare program, and how soon what it logs is seen.

python benchmarks/programs.py [--quick] [--json FILE]
"""

import os
import shlex
import shutil
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import commands
import measuring
from commands import BENCHMARKS, SWEEP, Ended
from measuring import ROOT, Goal, Table, Topic, number, spread

from orchestrator.events import Event, Progress
from orchestrator.launching import launch
from orchestrator.progress.live import LiveProgress
from orchestrator.settings import Settings
from orchestrator.spec import SweepSpec, load
from orchestrator.terminal.display import Display
from orchestrator.trial import Trial

PROGRAM = BENCHMARKS / "logging_program.py"
GUILD = ROOT / "build" / "guild" / "bin" / "guild"
BARE, BARE_OF_GUILD, OURS, GUILDS = "bare", "bare, by Guild's Python", "sweep launch", "guild run"
LOGGING = {"wandb": "wandb.log", "print": "printed lines"}
WAYS = ("wandb", "print", "mlflow", "TensorBoard")
EPOCHS = 50
SECONDS_OF_WORK = 0.2  # in an epoch, which makes a program of ten seconds
SECONDS_OF_REST = 1.5  # in an epoch whose way is timed: the next one does not make it whole
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"  # so all have the same Python

Run = Callable[[Path, int], Ended]


class Compared(NamedTuple):
    """Ways to run trials of a program; how many trials to try each with, and how often."""

    runs: Mapping[str, Run]
    sizes: tuple[int, int]
    rounds: int


def bare(folder: Path, trials: int, python: str, program: Path, options: str) -> Ended:
    """Run a program so often, in a loop of a shell."""
    call = f"{shlex.quote(python)} {shlex.quote(program.name)} --x $x {options}"
    shutil.copy(program, folder)
    return commands.run(["sh", "-ec", f"for x in $(seq {trials}); do {call}; done"], folder)


def launched(folder: Path, trials: int, program: Path, parameters: Mapping[str, object]) -> Ended:
    """Run a program so often, in a sweep on one worker."""
    name = sweep(folder, trials, program, parameters)
    return commands.run(["env", f"PATH={PATH}", SWEEP, "launch", name, "--workers", "1"], folder)


def sweep(folder: Path, trials: int, program: Path, parameters: Mapping[str, object]) -> str:
    """Write a sweep of a program; the name of its file."""
    shutil.copy(program, folder)
    lines = "".join(f"  {name}: {value}\n" for name, value in parameters.items())
    (folder / "sweep.yaml").write_text(
        f"name: programs\nprogram: {program.name}\nmetric: {{name: loss}}\nparameters:\n{lines}"
        f"  x: {{values: [{', '.join(map(str, range(trials)))}]}}\n"
    )
    return "sweep.yaml"


def by_guild(folder: Path, trials: int, program: Path) -> Ended:
    """Run a program so often, with Guild, in a folder with nothing else: it copies what it finds there."""
    code, home = folder / "code", folder / "guild"
    code.mkdir()
    home.mkdir()
    shutil.copy(program, code)
    values = f"x=[{','.join(map(str, range(trials)))}]"
    return commands.run(["env", f"GUILD_HOME={home}", str(GUILD), "run", "-y", program.name, values], code)


def logging_programs(quick: bool) -> Compared:
    """A program that computes and logs."""
    given = {"epochs": EPOCHS, "work": SECONDS_OF_WORK / (4 if quick else 1)}
    options = " ".join(f"--{name} {value}" for name, value in given.items())
    runs: dict[str, Run] = {BARE: partial(bare, python=sys.executable, program=PROGRAM, options=options)}
    for way, called in [*LOGGING.items()][: 1 if quick else None]:
        runs[f"{OURS}, {called}"] = partial(launched, program=PROGRAM, parameters=fixed({"way": way, **given}))
    return Compared(runs, (1, 2) if quick else (1, 4), 1 if quick else 3)


def idle_programs(quick: bool, program: Path) -> Compared:
    """A program that does nothing."""
    runs: dict[str, Run] = {
        BARE: partial(bare, python=sys.executable, program=program, options=""),
        OURS: partial(launched, program=program, parameters={}),
    }
    if GUILD.exists():
        python = str(GUILD.with_name("python"))
        runs |= {BARE_OF_GUILD: partial(bare, python=python, program=program, options="")}
        runs |= {GUILDS: partial(by_guild, program=program)}
    return Compared(runs, (4, 16) if quick else (8, 40), 1 if quick else 5)


def fixed(values: Mapping[str, object]) -> dict[str, str]:
    """Parameters of a sweep that have one value each."""
    return {name: f"{{value: {value}}}" for name, value in values.items()}


def timed(compared: Compared, empty: Path, folder: Path) -> dict[str, dict[int, list[float]]]:
    """Seconds of whole commands, by what runs and by number of trials, taking turns."""
    seconds: dict[str, dict[int, list[float]]] = defaultdict(lambda: {size: [] for size in compared.sizes})
    for turn in range(compared.rounds):
        for title, run in compared.runs.items():
            for size in compared.sizes:
                measuring.say(f"{title}, {size} trials, round {turn + 1} of {compared.rounds}")
                place = commands.furnish(Path(tempfile.mkdtemp(dir=folder)), empty)
                seconds[title][size].append(run(place, size).seconds)
    return dict(seconds)


def further(seconds: Mapping[int, list[float]]) -> float:
    """Seconds of a further trial."""
    (few, less), (many, more) = sorted(seconds.items())
    return (statistics.median(more) - statistics.median(less)) / (many - few)


def table(title: str, seconds: Mapping[str, Mapping[int, list[float]]], note: str) -> Table:
    rows = []
    for name, by_size in seconds.items():
        of, beside = further(by_size), further(seconds[BARE_OF_GUILD if name in (GUILDS, BARE_OF_GUILD) else BARE])
        whole = [f"{size}: {spread(samples)}" for size, samples in sorted(by_size.items())]
        rows.append([name, *whole, number(1000 * of), number(1000 * (of - beside)), f"{of / beside:.3f}"])
    columns = ["", "trials: seconds", "trials: seconds", "ms for a further trial", "ms more than bare", "x bare"]
    return Table(title, columns, rows, note)


class Seen(Display):
    """When the launch has taken in each epoch, in seconds since 1970, by the way that it was logged and its number."""

    def __init__(self, spec: SweepSpec) -> None:
        super().__init__(LiveProgress(spec.name, spec.objectives[0]))
        self.epochs: dict[tuple[str, int], float] = {}

    def take(self, trial: Trial, event: Event) -> None:
        super().take(trial, event)
        if isinstance(event, Progress):
            self.epochs.setdefault((str(trial.params["way"]), event.epoch), time.time())


def delays(epochs: int, empty: Path, folder: Path) -> dict[str, list[float]]:
    """Seconds from when an epoch was logged until the launch had it, by way; all of them at once."""
    measuring.say(f"{epochs} epochs of {SECONDS_OF_REST} s, in {len(WAYS)} ways at once")
    place = commands.furnish(folder / "delays", empty)
    parameters = {"way": f"{{values: [{', '.join(WAYS)}]}}", **fixed({"epochs": epochs, "rest": SECONDS_OF_REST})}
    spec = load(place / sweep(place, 1, PROGRAM, parameters))
    seen = Seen(spec)
    os.environ["PATH"] = PATH
    launch(spec, Settings(f"sqlite:///{commands.store(place)}", workers=len(WAYS)), seen)
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    for line in (place / "logged.txt").read_text().splitlines():
        way, epoch, at = line.split()
        found[way].append(seen.epochs[way, int(epoch)] - float(at))
    return found


def delay_table(found: Mapping[str, list[float]]) -> Table:
    rows = [
        [way, number(1000 * statistics.median(samples)), number(1000 * max(samples)), str(len(samples))]
        for way, samples in found.items()
    ]
    note = (
        f"From the call that logs an epoch to the event at the launch; epochs of {SECONDS_OF_REST} seconds. An epoch "
        "is taken as whole when it has been quiet for a second, or the next one begins: what is more is of the way."
    )
    return Table("How soon an epoch is seen", ["logged by", "ms, median", "ms, worst", "epochs"], rows, note)


def measure(quick: bool) -> Topic:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        empty = commands.empty_store(folder)
        program = folder / "nothing.py"
        program.write_text("x = 0\n")  # Guild's parameters are the globals of a script
        logging = timed(logging_programs(quick), empty, folder)
        idle = timed(idle_programs(quick, program), empty, folder)
        seen = delays(5 if quick else EPOCHS, empty, folder)
    ours = [further(by_size) / further(logging[BARE]) for title, by_size in logging.items() if title != BARE]
    more = 1000 * (further(idle[OURS]) - further(idle[BARE]))
    guild = 1000 * (further(idle[GUILDS]) - further(idle[BARE_OF_GUILD])) if GUILDS in idle else None
    goals = [
        Goal(
            f"a program that logs {EPOCHS} epochs, for each further trial on one worker",
            "at most 1.05 x bare",
            ", ".join(f"{ratio:.3f}" for ratio in ours),
        ),
        Goal(
            "a program that does nothing, for each further trial on one worker",
            "at most 100 ms more than bare",
            f"{number(more)} ms" + ("" if guild is None else f" (Guild: {number(guild)} ms)"),
        ),
    ]
    one_worker = "One worker beside a loop in a shell. A further trial is the difference of the two sizes."
    titles = f"Programs that log {EPOCHS} epochs", "Programs that do nothing"
    tables = [table(title, seconds, one_worker) for title, seconds in zip(titles, (logging, idle), strict=True)]
    return Topic({"logging": logging, "idle": idle, "delays": seen}, [*tables, delay_table(seen)], goals)


if __name__ == "__main__":
    measuring.main(measure)
