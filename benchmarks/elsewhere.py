"""What trials cost on a Ray cluster, beside worker processes and Ray Tune; in memory; and where checkpoints travel.

Trials that do nothing but yield 50 epochs of 4 metrics, as in `overhead.py`: whole commands, by turns, on a cluster of
this machine alone, whose folder they see. Then a launch of many more of them, whose memory is watched. Then, as root,
trials on a host that sees no folder of the launch: with a checkpoint of 2 MB in each epoch, and with none, what they
take of the processor on both sides. Ray Tune runs where `make bench-peers` has installed it.

    build/clusters/bin/python benchmarks/elsewhere.py [--quick] [--json FILE]
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import commands
import measuring
import psutil
import ray_hosts
from commands import BENCHMARKS, EPOCHS, METRICS, SWEEP, WORKERS
from measuring import MEGABYTE, Goal, Table, Topic, number, spread
from ray_hosts import Head, Hosts, await_ray

DOCUMENT, COMMAND = measuring.ROOT / "docs" / "scale.md", "benchmarks/elsewhere.py"
PYTHON_WITH_TUNE = measuring.ROOT / "build" / "peers" / "bin" / "python"
PROCESS, RAY, TUNE = "process", "ray", "Ray Tune + MLflow"
SIZES, QUICK_SIZES, SIZES_OF_TUNE = (64, 192), (8, 24), (8, 32)
ROUNDS, QUICK_ROUNDS = 3, 1
MANY, QUICK_MANY = 1000, 60
LAUNCH, GATEWAY, AGENTS = "the launch", "its connection with Ray", "agents"
ROLES = LAUNCH, GATEWAY, AGENTS
WORDS = {LAUNCH: "launch idle.yaml", AGENTS: "executors.remote.agent"}  # of their command lines
CARRIED = 2_000_000  # bytes of a checkpoint
CARRYING_EPOCHS, QUICK_CARRYING_EPOCHS = 100, 10
EPOCH_OF_THE_REPORT = 5.96  # seconds; docs/performance.md, bf16, one process of two threads

Seconds = Mapping[str, Mapping[int, list[float]]]


def of_ours(executor: Sequence[str], place: Path, trials: int) -> float:
    """Seconds of a whole launch."""
    file = commands.idle_sweep(place, trials, "grid")
    return commands.run([SWEEP, "launch", file, "--workers", str(WORKERS), "--quiet", *executor], place).seconds


def of_tune(place: Path, trials: int) -> float:
    """The same of Ray Tune, which starts Ray itself."""
    script = str(BENCHMARKS / "peers" / "ray_tune.py")
    counts = map(str, (trials, EPOCHS, METRICS, WORKERS))
    return commands.run([str(PYTHON_WITH_TUNE), script, *counts], place).seconds


def on(head: Head) -> list[str]:
    return ["--executor", "ray", "--set-executor", f"address={head.address}"]


def by_turns(head: Head, folder: Path, empty: Path, sizes: tuple[int, int], rounds: int) -> Seconds:
    """Seconds of whole commands, by way and number of trials; Ray Tune once, since it takes minutes."""
    ways: dict[str, tuple[Callable[[Path, int], float], tuple[int, int], int]] = {
        PROCESS: (partial(of_ours, []), sizes, rounds),
        RAY: (partial(of_ours, on(head)), sizes, rounds),
    }
    if PYTHON_WITH_TUNE.exists():
        ways[TUNE] = (of_tune, SIZES_OF_TUNE, 1)
    taken: dict[str, dict[int, list[float]]] = {way: {size: [] for size in of} for way, (_, of, _) in ways.items()}
    for turn in range(rounds):
        for way, (run, of, turns) in ways.items():
            for size in of if turn < turns else ():
                measuring.say(f"{way}, {size} trials, round {turn + 1}")
                place = commands.furnish(folder / f"{way}-{size}-{turn}", empty)
                taken[way][size].append(run(place, size))
                commands.landed(place, size)
    return taken


def further(seconds: Mapping[int, list[float]]) -> float:
    """Milliseconds of a further trial."""
    (few, least), (many, most) = ((size, statistics.median(of)) for size, of in seconds.items())
    return 1000 * (most - least) / (many - few)


def costs(taken: Seconds) -> tuple[Table, list[Goal]]:
    ours = {way: further(seconds) for way, seconds in taken.items()}
    rows = [
        [way, *(f"{size}: {spread(of)}" for size, of in taken[way].items()), number(ms), number(ms / ours[PROCESS])]
        for way, ms in ours.items()
    ]
    columns = ["trials on", "few: seconds", "many: seconds", "a further trial, ms", "x process"]
    note = f"Trials of {EPOCHS} epochs with {METRICS} metrics that do nothing, {WORKERS} at a time; whole commands."
    goals = [
        Goal("a further trial on Ray, beside a worker process", "at most 1.5 x", f"{ours[RAY] / ours[PROCESS]:.2f} x")
    ]
    if TUNE in ours:
        goals.append(Goal("the same beside Ray Tune", "at most a tenth", f"{ours[RAY] / ours[TUNE]:.3f}"))
    return Table("What a trial costs on Ray", columns, rows, note), goals


def watched(process: "subprocess.Popen[bytes]") -> list[tuple[float, dict[str, int]]]:
    """Bytes of memory by role, about four times a second, until a launch has ended."""
    seen, began = [], time.perf_counter()
    while process.poll() is None:
        held = dict.fromkeys(ROLES, 0)
        for other in psutil.process_iter(["cmdline", "memory_info", "ppid"]):
            line, memory = " ".join(other.info["cmdline"] or ()), other.info["memory_info"]
            roles = [role for role, words in WORDS.items() if words in line]
            roles += [GATEWAY] if other.info["ppid"] == process.pid else []
            for role in roles if memory else ():
                held[role] += memory.rss
        seen.append((time.perf_counter() - began, held))
        time.sleep(0.25)
    return seen


def held(executor: Sequence[str], place: Path, trials: int) -> tuple[dict[str, list[float]], float]:
    """MB that each role holds early and late in the time in which a launch has trials; and seconds of the whole."""
    file = commands.idle_sweep(place, trials, "grid")
    command = [SWEEP, "launch", file, "--workers", str(WORKERS), "--quiet", *executor]
    process = subprocess.Popen(command, cwd=place, env=commands.ENVIRONMENT, stdout=subprocess.DEVNULL)
    seen = watched(process)
    commands.landed(place, trials)
    with_trials = [one for _, one in seen if one[AGENTS] or (not executor and one[GATEWAY])]
    tenth = max(1, len(with_trials) // 10)
    early, late = with_trials[2 * tenth : 3 * tenth], with_trials[-2 * tenth : -tenth]
    medians = {
        role: [statistics.median(one[role] for one in part) / MEGABYTE for part in (early, late)] for role in ROLES
    }
    return medians, seen[-1][0]


def memory(head: Head, folder: Path, empty: Path, trials: int) -> tuple[Table, list[Goal]]:
    """What a launch of many trials holds early and late, on Ray and in worker processes."""
    found = {}
    for way, executor in ((RAY, on(head)), (PROCESS, [])):
        measuring.say(f"memory of {trials} trials, {way}")
        found[way] = held(executor, commands.furnish(folder / f"many-{way}", empty), trials)
    (on_ray, seconds), (here, _) = found[RAY], found[PROCESS]
    rows = [[role, *map(number, on_ray[role])] for role in ROLES]
    rows.append(["the same launch, in worker processes", *map(number, here[LAUNCH])])
    grown = {way: late - early for way, (early, late) in ((RAY, on_ray[LAUNCH]), (PROCESS, here[LAUNCH]))}
    of_ray = sum(late - early for early, late in (on_ray[GATEWAY], on_ray[AGENTS]))
    note = (
        f"A launch of {trials:,} such trials, {number(seconds)} s on Ray; medians of a tenth each of the time in which "
        "it has trials. What it holds grows with what waits to be recorded, and by what it knows of each trial."
    )
    columns = ["MB of", "a fifth of the way", "near the end"]
    goals = [
        Goal(f"growth of memory of actors and connection, {trials:,} trials", "none", f"{of_ray:+.1f} MB"),
        Goal("growth of the launch", "as in processes", f"{grown[RAY]:+.0f} MB beside {grown[PROCESS]:+.0f} MB"),
    ]
    return Table("Memory on Ray", columns, rows, note), goals


def carried(hosts: Hosts, place: Path, size: int, epochs: int) -> float:
    """Seconds of the processor that a trial takes, on its host but for its worker, and at the launch."""
    place.mkdir()
    shutil.copy(BENCHMARKS / "carried.py", place)
    (place / "carried.yaml").write_text(
        f"trial: carried:train\nparameters: {{size: {size}, epochs: {epochs}}}\n"
        f"executor: {{ray: {{address: '{hosts.address('ray0')}:6379'}}}}\nrecord_code: false\n"
    )
    inside = ["nsenter", "--target", str(hosts.running["ray0"].pid), "--net", "--mount", "sh", "-c"]
    command = f"cd {place} && exec {sys.executable} -m orchestrator launch carried.yaml --quiet"
    process = subprocess.Popen([*inside, command], env=commands.ENVIRONMENT, stdout=subprocess.DEVNULL)
    taken: dict[int, float] = {}
    while process.poll() is None:
        for other in psutil.process_iter(["cmdline"]):
            line = " ".join(other.info["cmdline"] or ())
            if "launch carried.yaml" in line or WORDS[AGENTS] in line:
                with suppress(psutil.Error):
                    times = other.cpu_times()
                    taken[other.pid] = times.user + times.system
        time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"the launch in {place} ended with {process.returncode}")
    return sum(taken.values())


def carrying(epochs: int, rounds: int) -> tuple[Table, Goal]:
    """What a checkpoint costs that travels with each epoch."""
    sizes = (0, CARRIED)
    taken: dict[int, list[float]] = {size: [] for size in sizes}
    place = Path(tempfile.mkdtemp(prefix="carrying-", dir="/var/tmp"))
    try:
        with Hosts(2) as hosts:
            hosts.start("ray0", cpus=0)
            await_ray(f"{hosts.address('ray0')}:6379", hosts.on("ray0"))
            hosts.start("ray1", cpus=1, head="ray0")
            for turn in range(rounds):
                for size in sizes:
                    measuring.say(f"checkpoints of {size:,} bytes, round {turn + 1}")
                    taken[size].append(carried(hosts, place / f"{size}-{turn}", size, epochs))
    finally:
        shutil.rmtree(place)
    of_an_epoch = (statistics.median(taken[CARRIED]) - statistics.median(taken[0])) / epochs
    rows = [[f"{size:,}", str(spread(of))] for size, of in taken.items()]
    share = of_an_epoch / EPOCH_OF_THE_REPORT
    note = (
        f"{epochs} epochs of half a second, on a host that sees no folder of the launch. The difference is "
        f"{1000 * of_an_epoch:.1f} ms an epoch; an epoch of the report's model takes {EPOCH_OF_THE_REPORT} s "
        "([performance.md](performance.md), bf16)."
    )
    columns = ["checkpoint, bytes", "processor of launch and agent, s"]
    goal = Goal("to carry 2 MB an epoch, of an epoch of the report's model", "under 1%", f"{share:.2%}")
    return Table("What it costs to carry a checkpoint", columns, rows, note), goal


def measure(quick: bool) -> Topic:
    sizes, rounds = (QUICK_SIZES, QUICK_ROUNDS) if quick else (SIZES, ROUNDS)
    many, epochs = (QUICK_MANY, QUICK_CARRYING_EPOCHS) if quick else (MANY, CARRYING_EPOCHS)
    with Head.of_this_machine(cpus=os.cpu_count() or WORKERS) as head, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "empty").mkdir()
        empty = commands.empty_store(folder / "empty")
        taken = by_turns(head, folder, empty, sizes, rounds)
        of_memory, growth = memory(head, folder, empty, many)
    table, goals = costs(taken)
    found, tables = {way: dict(of) for way, of in taken.items()}, [table, of_memory]
    goals += growth
    if not ray_hosts.lacking():
        of_carrying, goal = carrying(epochs, rounds)
        tables.append(of_carrying)
        goals.append(goal)
    return Topic(found, tables, goals)


if __name__ == "__main__":
    measuring.main(measure, DOCUMENT, COMMAND)
