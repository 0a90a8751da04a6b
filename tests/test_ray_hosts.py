"""Trials on a Ray cluster of two hosts that share no folder: hosts are lost, cut off, and started again."""

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import ray_hosts
from ray_hosts import Hosts, await_ray
from same_numbers import DIGITS, numbers

from orchestrator.trackers import Store
from orchestrator.trial import Outcome

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

# Keeps a checkpoint of 300 kB, and says on which host it runs: that has the address.
FUNCTION = """
import os, socket, subprocess, time
from dataclasses import dataclass
from pathlib import Path

@dataclass(frozen=True)
class Config:
    x: float = 1.0
    epochs: int = 30
    pause: float = 0.5

def train(config: Config, workdir: Path):
    kept = workdir / "checkpoint"
    first, total = 1, 0.0
    if kept.exists():
        epoch, total = kept.read_text().split()[:2]
        first, total = int(epoch) + 1, float(total)
    for epoch in range(first, config.epochs + 1):
        time.sleep(config.pause)
        total = total * 1.1 + config.x / epoch
        print("epoch", epoch, "on", os.popen("hostname -I").read().strip())
        yield {"epoch": epoch, "loss": 1 / epoch, "total": total}
        new = workdir / "checkpoint.new"
        new.write_text(f"{epoch} {total!r} " + "x" * 300_000)
        new.replace(kept)
    (workdir / "artifacts").mkdir(exist_ok=True)
    (workdir / "artifacts" / "note.txt").write_text("kept")
    return {"final": total}
"""
SWEEP = """
trial: slow:train
parameters:
  x: {values: [1.0, 2.0, 3.0, 4.0]}
executor: {ray: {address: "10.77.0.10:6379"}}
record_code: false
"""


@pytest.fixture
def hosts(request: pytest.FixtureRequest) -> Iterator[Hosts]:
    if lack := ray_hosts.lacking():
        if os.environ.get("SWEEP_CLUSTERS") == "needed":
            pytest.fail(f"{lack}, and these tests were to run")
        pytest.skip(lack)
    with Hosts(3, are_sharing=getattr(request, "param", "") == "sharing") as hosts:
        hosts.start("ray0", cpus=0)
        await_ray("10.77.0.10:6379", hosts.on("ray0"))
        hosts.start("ray1", cpus=2, head="ray0")
        hosts.start("ray2", cpus=2, head="ray0")
        yield hosts


Launch = Callable[[], "subprocess.Popen[str]"]


@pytest.fixture
def place(empty_store: Path) -> Iterator[Path]:
    """A folder that the host of the head sees, and the others do not."""
    place = Path(tempfile.mkdtemp(dir="/var/tmp"))
    (place / "slow.py").write_text(FUNCTION)
    (place / "toy.yaml").write_text(SWEEP)
    (place / "mlruns").mkdir()
    shutil.copy(empty_store, place / "mlruns" / "mlflow.db")
    yield place
    shutil.rmtree(place)


@pytest.fixture
def launch(hosts: Hosts, place: Path) -> Iterator[Launch]:
    """Launch the sweep on the host of the head."""
    started: list[subprocess.Popen[str]] = []

    def launch() -> "subprocess.Popen[str]":
        while not any(process.name() == "raylet" for process in hosts.processes("ray0")):
            time.sleep(0.2)
        started.append(
            subprocess.Popen(
                [
                    *hosts.inside("ray0"),
                    "sh",
                    "-c",
                    f"cd {place} && exec {sys.executable} -m orchestrator launch toy.yaml",
                ],
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), "HOME": "/root"},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        return started[-1]

    yield launch
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()


def untouched(x: float) -> list[float]:
    totals = [0.0]
    for epoch in range(1, 31):
        totals.append(totals[-1] * 1.1 + x / epoch)
    return totals[1:]


def check(place: Path) -> None:
    """Each trial has its numbers, to the bit, and each epoch once."""
    reader = Store(f"sqlite:///{place / 'mlruns' / 'mlflow.db'}")
    records = reader.records("toy")
    assert sorted(record.params["x"] for record in records) == [1.0, 2.0, 3.0, 4.0]
    for record in records:
        assert record.outcome is Outcome.COMPLETED
        curve = reader.client.get_metric_history(record.run_id, "total")
        assert [(point.step, point.value) for point in curve] == [*enumerate(untouched(record.params["x"]), start=1)]
        assert record.metrics["final"] == untouched(record.params["x"])[-1]
        assert [file.path for file in reader.client.list_artifacts(record.run_id)].count("note.txt") == 1
    assert not any((place / "mlruns" / "work" / "toy").glob("*/checkpoint"))


def await_epoch(place: Path, epoch: int, trials: int = 4) -> None:
    """Wait until so many trials have a checkpoint of this epoch or a later one here."""
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        checkpoints = (place / "mlruns" / "work" / "toy").glob("*/checkpoint")
        if sum(int(path.read_text().split()[0]) >= epoch for path in checkpoints) >= trials:
            return
        time.sleep(0.1)
    raise TimeoutError(f"no {trials} checkpoints of epoch {epoch}")


def agents(hosts: Hosts) -> list[psutil.Process]:
    found = []
    for name in hosts.names:
        for process in hosts.processes(name):
            with suppress(psutil.Error):
                if "orchestrator.executors.remote.agent" in process.cmdline():
                    found.append(process)
    return found


def await_no_agent(hosts: Hosts) -> None:
    deadline = time.monotonic() + 60
    while agents(hosts):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def ended(launched: "subprocess.Popen[str]", status: int = 0) -> str:
    said, _ = launched.communicate(timeout=240)
    assert launched.returncode == status, said
    return said


def test_trials_run_on_hosts_that_share_no_folder(hosts: Hosts, launch: Launch, place: Path) -> None:
    launched = launch()
    await_epoch(place, 2)
    logs = "".join(path.read_text() for path in (place / "mlruns" / "work" / "toy").glob("*/log.txt"))
    assert hosts.address("ray1") in logs
    assert hosts.address("ray2") in logs
    ended(launched)
    check(place)
    assert agents(hosts) == []


def test_the_vae_comes_to_the_numbers_that_it_has_in_worker_processes(
    launch: Launch, place: Path, folder: Path
) -> None:
    cluster = "executor: {ray: {address: '10.77.0.10:6379'}}\n"
    (place / "toy.yaml").write_text(DIGITS + cluster)
    (folder / "toy.yaml").write_text(DIGITS)
    ended(launch())
    subprocess.run([sys.executable, "-m", "orchestrator", "launch", "toy.yaml", "--quiet"], check=True)
    on_hosts, here = (numbers(f"sqlite:///{of / 'mlruns' / 'mlflow.db'}") for of in (place, folder))
    assert len(here) == 6
    assert on_hosts == here


def test_a_host_that_is_lost_costs_its_trials_the_time_since_their_last_epoch(
    hosts: Hosts, launch: Launch, place: Path
) -> None:
    with (place / "toy.yaml").open("a") as file:
        file.write("retries: 0\n")
    launched = launch()
    await_epoch(place, 2)
    hosts.kill("ray1")
    time.sleep(5)
    hosts.start("ray1", cpus=2, head="ray0")
    ended(launched)
    check(place)


def test_a_raylet_that_dies_alone_takes_along_what_it_has_started(hosts: Hosts, launch: Launch, place: Path) -> None:
    with (place / "toy.yaml").open("a") as file:
        file.write("retries: 0\n")
    launched = launch()
    await_epoch(place, 2)
    there = [agent for agent in agents(hosts) if agent in hosts.processes("ray1")]
    assert there
    next(process for process in hosts.processes("ray1") if process.name() == "raylet").kill()
    _, alive = psutil.wait_procs(there, timeout=60)
    assert alive == []
    hosts.kill("ray1")
    hosts.start("ray1", cpus=2, head="ray0")
    ended(launched)
    check(place)


@pytest.mark.parametrize("seconds", [3, 40])
def test_a_host_that_is_cut_off_for_a_while_loses_nothing(
    hosts: Hosts, launch: Launch, place: Path, seconds: float
) -> None:
    with (place / "toy.yaml").open("a") as file:
        file.write("retries: 0\n")
    launched = launch()
    await_epoch(place, 2)
    hosts.cut("ray2")
    time.sleep(seconds)
    hosts.cut("ray2", off=False)
    ended(launched)
    check(place)


@pytest.mark.parametrize("hosts", ["sharing"], indirect=True)
@pytest.mark.parametrize("how", ["actor", "cut"])
def test_a_trial_never_runs_on_two_hosts_at_once_where_they_share_its_folder(
    hosts: Hosts, launch: Launch, place: Path, how: str
) -> None:
    with (place / "toy.yaml").open("a") as file:
        file.write("retries: 0\n")
    traced = FUNCTION.replace(".strip())", f".strip(), file=open(f'{place}/trace-{{config.x}}', 'a'))")
    (place / "slow.py").write_text(traced)
    launched = launch()
    await_epoch(place, 2)
    if how == "actor":
        for process in hosts.processes("ray2"):
            with suppress(psutil.Error):
                if "AgentHost" in process.name() + " ".join(process.cmdline()[:1]):
                    process.kill()
    else:
        hosts.cut("ray2")
    ended(launched)
    hosts.cut("ray2", off=False)
    await_no_agent(hosts)
    check(place)
    moved = 0
    for x in (1.0, 2.0, 3.0, 4.0):
        traces = [line.split() for line in (place / f"trace-{x}").read_text().splitlines()]
        told = [int(epoch) for _, epoch, *_ in traces]
        again = [epoch for before, epoch in itertools.pairwise(told) if epoch <= before]
        assert len(again) <= 1  # what was lost of one epoch: nobody was at another one meanwhile
        moved += len({host for *_, host in traces}) - 1
    assert moved or how == "actor"  # else it may have begun on the same host again


def test_a_launch_that_is_killed_leaves_no_agent_and_goes_on_when_launched_again(
    hosts: Hosts, launch: Launch, place: Path
) -> None:
    launched = launch()
    await_epoch(place, 2)
    launched.kill()
    launched.wait()
    await_no_agent(hosts)
    ended(launch())
    check(place)


def test_a_head_that_is_started_again_ends_the_launch_with_a_line(hosts: Hosts, launch: Launch, place: Path) -> None:
    with (place / "toy.yaml").open("a") as file:
        file.write("configs: [{pause: 4.0}]\n")  # what ends within Ray's own patience of a minute ends well
    launched = launch()
    await_epoch(place, 2)
    for process in hosts.processes("ray0"):
        with suppress(psutil.Error):
            if process.pid != launched.pid and launched.pid not in [parent.pid for parent in process.parents()]:
                process.kill()
    said = ended(launched, 1)
    assert said.count("launch again to go on") == 1
    assert "Traceback" not in said
    for name in hosts.names:
        hosts.kill(name)
    hosts.start("ray0", cpus=0)
    await_ray("10.77.0.10:6379", hosts.on("ray0"))
    hosts.start("ray1", cpus=2, head="ray0")
    ended(launch())
    check(place)
