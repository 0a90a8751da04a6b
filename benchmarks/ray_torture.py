"""Sweeps on a Ray cluster, and what befalls its hosts: all must end as if untouched.

The hosts are three network namespaces of this machine, each with temporary files of its own. None sees the folder of
the sweep but the first one, where it is launched, and which has the head and no cores. What happens: the orchestrator
is killed, or an actor, an agent's worker, a raylet, or a whole host, which comes back after a while; or a host is cut
off for 1 to 60 seconds. What the sweeps leave is compared with what a sweep left that ran in worker processes of this
machine, and that nobody touched. `torture.py --executor ray` begins it, as root.
"""

import itertools
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

import psutil
import torture
from ray_hosts import Hosts, await_ray
from rich.console import Console
from rich.markup import escape
from torture import KINDS, LAUNCH, MARK_OF_LAUNCH, NAME, SAID, Kill, Kind, Launch, Report, Sweep

HEAD, *OTHERS = "ray0", "ray1", "ray2"
ADDRESS = f"{Hosts.network}.10:6379"
SEEN_BY_HEAD, SEEN_BY_ALL = Path("/var/tmp"), Path("/srv")  # noqa: S108 - folders; see `Hosts`
NOTES = "TORTURE_NOTES"  # the variable that names the file of notes, which all hosts see
LONGEST_OUTAGE = 15.0  # seconds, of a host
SHORTEST_CUT, LONGEST_CUT = 1.0, 60.0
SECONDS_FOR_ACTORS = 60.0  # to end with their orchestrator
MOST_KILLS = 10  # of a sweep
FUNCTIONS = KINDS["functions"]
KIND = Kind(
    f"executor: {{ray: {{address: '{ADDRESS}'}}}}\n{FUNCTIONS.text}",
    FUNCTIONS.witness,
    {"orchestrator": 0.25, "actor": 0.2, "worker": 0.1, "raylet": 0.1, "host": 0.15, "cut": 0.2},
    FUNCTIONS.marks,
)


class RayLaunch(Launch):
    """A launch on the host of the head."""

    def __init__(self, folder: Path, hosts: Hosts) -> None:
        self._folder, self._hosts = folder, hosts
        name, value = MARK_OF_LAUNCH, f"{time.time_ns()}"
        self._mark = f"{name}={value}".encode()
        self.since = time.time()
        file = folder / f"{NAME}.yaml"  # actors and their agents have the mark, too: by the launch's own runtime_env
        marked = f"{{address: '{ADDRESS}', runtime_env: {{env_vars: {{{name}: '{value}'}}}}}}"
        file.write_text(re.sub("^executor: .*$", f"executor: {{ray: {marked}}}", file.read_text(), flags=re.MULTILINE))
        inside = [*hosts.inside(HEAD), "sh", "-c"]
        command = f"cd {quote(str(folder))} && exec {' '.join(map(quote, LAUNCH))}"
        own = {name: value, NOTES: str(SEEN_BY_ALL / folder.parent.name / f"{folder.name}.txt")}
        with (folder / SAID).open("ab") as log:
            self.process = subprocess.Popen(
                [*inside, command], env={**os.environ, **own}, stdout=subprocess.DEVNULL, stderr=log
            )

    def orphans(self) -> list[int]:
        deadline = time.monotonic() + SECONDS_FOR_ACTORS
        while (alive := self.pids()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return alive

    def strike(self, target: str, rng: random.Random) -> bool:
        if target == "orchestrator":
            return super().strike(target, rng)
        host = rng.choice(OTHERS)
        match target:
            case "host":
                self._hosts.kill(host)
                self._return(host, rng)
                return True
            case "cut":
                self._hosts.cut(host)
                self.pause(rng.uniform(SHORTEST_CUT, LONGEST_CUT))
                self._hosts.cut(host, off=False)
                return True
        words = {"actor": "AgentHost", "worker": "--multiprocessing-fork", "raylet": "raylet/raylet"}
        found = [process for process in self._hosts.processes(host) if words[target] in _line(process)]
        if not found:
            return False
        rng.choice(found).kill()
        if target == "raylet":  # what it has started is for itself to end
            self.pause(rng.uniform(0.0, LONGEST_OUTAGE))
            self._hosts.kill(host)
            self._return(host, rng)
        return True

    def _return(self, host: str, rng: random.Random) -> None:
        self.pause(rng.uniform(0.0, LONGEST_OUTAGE))
        self._hosts.start(host, cpus=1, head=HEAD)


def _line(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


@dataclass
class RaySweep(Sweep):
    """A sweep that is launched on the hosts."""

    hosts: Hosts | None = None

    def _launched(self) -> Launch:
        assert self.hosts is not None  # noqa: S101
        notes = SEEN_BY_ALL / self.folder.parent.name / f"{self.folder.name}.txt"
        if not notes.exists():
            notes.parent.mkdir(exist_ok=True)
            notes.touch()
            (self.folder / "notes.txt").symlink_to(notes)
        return RayLaunch(self.folder, self.hosts)

    def _wait(self, launch: Launch, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Wait, while hosts come back whose Ray has ended by itself, since the head had given them up."""
        hosts = self.hosts
        assert hosts is not None  # noqa: S101

        def is_over() -> bool:
            for host in OTHERS:
                if hosts.has_ended(host):
                    hosts.kill(host)
                    hosts.start(host, cpus=1, head=HEAD)
            return until()

        super()._wait(launch, seconds, is_over)


def run(kills: int, seed: int, console: Console) -> int:
    """Torture sweeps on a cluster until so many kills have been made; the exit status."""
    if os.geteuid() or not shutil.which("ip"):
        console.print("namespaces need root, and `ip`")
        return 2
    folder = Path(tempfile.mkdtemp(prefix="ray-torture-", dir=SEEN_BY_HEAD))
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).resolve().parent.parent), *sys.path])
    with Hosts(1 + len(OTHERS)) as hosts:
        hosts.start(HEAD, cpus=0)
        await_ray(ADDRESS, hosts.on(HEAD))
        for host in OTHERS:
            hosts.start(host, cpus=1, head=HEAD)
        report = _tortured(folder, hosts, kills, random.Random(seed), console)
    console.print(report.table())
    shutil.rmtree(SEEN_BY_ALL / folder.name, ignore_errors=True)
    if report.violations:
        console.print(f"what the sweeps with violations have left is under {folder}")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


def _tortured(folder: Path, hosts: Hosts, kills: int, rng: random.Random, console: Console) -> Report:
    of_processes = torture.untouched(folder / "untouched", "functions", console)
    report = Report("Ray", of_processes.untouched, of_processes.seconds_untouched)
    for number in itertools.count(1):
        before = len(report.kills)
        if before >= kills or len(report.violations) >= torture.MOST_VIOLATIONS:
            return report
        sweep = RaySweep(folder / f"sweep-{number}", KIND, hosts=hosts)
        left = sweep.run(rng, min(MOST_KILLS, kills - before), _telling(console, sweep, number, before, kills))
        lines = report.take(sweep, left)
        console.print(f"sweep {number} has ended after {len(sweep.kills)} kills: {len(lines)} violations")
        for line in lines:
            console.print(f"[red]sweep {number}, {escape(line)}")
        if not lines:
            shutil.rmtree(sweep.folder)
    return report


def _telling(console: Console, sweep: Sweep, number: int, before: int, kills: int) -> Callable[[Kill], None]:
    def tell(kill: Kill) -> None:
        made = before + len(sweep.kills)
        console.print(f"{time.strftime('%H:%M:%S')} {made}/{kills} sweep {number}: {kill.target}, {kill.phase}")

    return tell
