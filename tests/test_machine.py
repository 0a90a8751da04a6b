import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from reading import children

from orchestrator import functions
from orchestrator.divergence import DivergenceRule
from orchestrator.executors.contract import Setup
from orchestrator.system import machine
from orchestrator.system.interrupt import Interrupt
from orchestrator.system.machine import Resources, Shares, lacking, share
from orchestrator.trial import Trial

GIB = 2**30


@pytest.fixture(autouse=True)
def of_eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_cores", lambda: 8)
    monkeypatch.setattr(machine, "_gpus", tuple)
    monkeypatch.setattr(machine, "_memory", lambda: 64 * GIB)


@pytest.mark.parametrize(
    ("trials", "workers", "shares"),
    [
        (100, None, Shares(8, 1, ())),
        (3, None, Shares(3, 2, ())),
        (1, None, Shares(1, 8, ())),
        (100, 4, Shares(4, 2, ())),
        (100, 16, Shares(16, 1, ())),
    ],
)
def test_cores_are_shared_by_as_many_workers_as_can_be_busy(trials: int, workers: int | None, shares: Shares) -> None:
    assert share(trials, workers) == shares


@pytest.mark.parametrize(("asked", "threads"), [("1", 1), ("3", 3), ("0", 2), ("", 2), ("4,2", 2)])
def test_a_worker_has_the_threads_that_the_environment_asks_for(
    monkeypatch: pytest.MonkeyPatch, asked: str, threads: int
) -> None:
    monkeypatch.setattr(machine, "ASKED", asked)
    assert share(100, 4) == Shares(4, threads, ())


def test_the_environment_is_read_as_the_launch_begins() -> None:
    code = "from orchestrator.system import machine; print(machine.share(1, 1).threads)"
    environment = {**os.environ, "OMP_NUM_THREADS": "5"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "5\n"


@pytest.mark.parametrize(
    ("asked", "gpus", "resources", "threads"),
    [
        ("", (), Resources(), {"fp32": 8, "bf16": 1}),
        ("", ("a",), Resources(gpus=0), {"fp32": 8, "bf16": 1}),
        ("", (), Resources(cpus=4), {"fp32": 4, "bf16": 4}),
        ("3", (), Resources(), {"fp32": 3, "bf16": 3}),
        ("", ("a",), Resources(), {"fp32": 8, "bf16": 8}),
    ],
)
def test_a_trial_has_one_thread_where_its_function_wants_that_and_nobody_says_how_many(
    monkeypatch: pytest.MonkeyPatch,
    asked: str,
    gpus: tuple[str, ...],
    resources: Resources,
    threads: dict[str, int],
) -> None:
    monkeypatch.setattr(machine, "ASKED", asked)
    monkeypatch.setattr(machine, "_gpus", lambda: gpus)
    function = functions.default_trial()
    setup = Setup(function, DivergenceRule(), Interrupt(), Path("log"), stacks=1, pending=1, resources=resources)
    shares = share(1, None, resources)
    trials = [Trial(function.name, 1, {**function.defaults, "precision": name}, name) for name in threads]
    assert {trial.label: setup.task(trial, Path(), setup.threads(trial, shares)).threads for trial in trials} == threads


@pytest.mark.slow
def test_the_vae_trains_in_bf16_with_one_thread(
    monkeypatch: pytest.MonkeyPatch,
    store: str,
    write: Callable[..., Path],
    sweep: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    monkeypatch.setattr(machine, "_cores", lambda: 2)
    path = write("parameters: {dataset: digits, num_layers: 1, epochs: 1, precision: {values: [fp32, bf16]}}\n")
    done = sweep("launch", path, "--workers", "1")
    assert done.returncode == 0, done.stderr
    threads = {run.data.params["precision"]: run.data.tags["threads"] for run in children(store, "toy")}
    assert threads == {"fp32": "2", "bf16": "1"}
    assert "in its folder" not in done.stdout  # its checkpoints are its own


def test_there_are_no_more_workers_than_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_memory", lambda: 4 * GIB)
    assert share(100, None) == Shares(3, 2, ())
    monkeypatch.setattr(machine, "_memory", lambda: GIB // 2)
    assert share(100, None) == Shares(1, 8, ())


def test_a_container_has_the_memory_that_it_may_use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(machine, "MEMORY_LIMIT", tmp_path / "memory.max")
    whole = machine._memory()
    (tmp_path / "memory.max").write_text("12345678\n")
    assert machine._memory() == 12345678 < whole
    (tmp_path / "memory.max").write_text("max\n")
    assert machine._memory() == whole


def test_each_gpu_has_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_gpus", lambda: ("a", "b"))
    assert share(100, None) == Shares(2, 4, ("a", "b"))


@pytest.mark.parametrize(
    ("resources", "workers", "shares"),
    [
        (Resources(cpus=4), None, Shares(2, 4, ())),
        (Resources(cpus=3), None, Shares(2, 3, ())),
        (Resources(cpus=3), 16, Shares(2, 3, ())),
        (Resources(cpus=3), 1, Shares(1, 3, ())),
        (Resources(cpus=9), None, Shares(1, 9, ())),  # it is refused elsewhere
        (Resources(gpus=0), None, Shares(8, 1, ("",))),
        (Resources(gpus=0), 16, Shares(16, 1, ("",))),
    ],
)
def test_no_more_workers_than_fit_by_what_a_trial_takes(
    resources: Resources, workers: int | None, shares: Shares
) -> None:
    assert share(100, workers, resources) == shares


@pytest.mark.parametrize(
    ("resources", "workers", "shares"),
    [
        (Resources(cpus=1), None, Shares(5, 1, ("a", "b", "c", "d", "e"))),
        (Resources(cpus=4), None, Shares(2, 4, ("a", "b", "c", "d", "e"))),
        (Resources(gpus=1), None, Shares(5, 1, ("a", "b", "c", "d", "e"))),
        (Resources(gpus=2), None, Shares(2, 4, ("a,b", "c,d"))),
        (Resources(gpus=2, cpus=3), 16, Shares(2, 3, ("a,b", "c,d"))),
        (Resources(gpus=2), 1, Shares(1, 8, ("a,b", "c,d"))),
        (Resources(gpus=3), None, Shares(1, 8, ("a,b,c",))),
        (Resources(gpus=0, cpus=2), None, Shares(4, 2, ("",))),
        (Resources(gpus=0.5), None, Shares(8, 1, ("a", "b", "c", "d", "e"))),
        (Resources(gpus=0.5), 16, Shares(10, 1, ("a", "b", "c", "d", "e"))),
        (Resources(gpus=0.4), 16, Shares(10, 1, ("a", "b", "c", "d", "e"))),
    ],
)
def test_gpus_are_given_out_by_what_a_trial_takes(
    monkeypatch: pytest.MonkeyPatch, resources: Resources, workers: int | None, shares: Shares
) -> None:
    monkeypatch.setattr(machine, "_gpus", lambda: ("a", "b", "c", "d", "e"))
    assert share(100, workers, resources) == shares


@pytest.mark.parametrize("gpus", [0.2, 0.25, 0.5, 1, 2, 3, 4])
def test_no_gpu_is_given_to_more_trials_than_fit_on_it(monkeypatch: pytest.MonkeyPatch, gpus: float) -> None:
    monkeypatch.setattr(machine, "_gpus", lambda: ("a", "b", "c", "d"))
    shares = share(100, 100, Resources(gpus=gpus))
    given = ",".join(shares.gpus[i % len(shares.gpus)] for i in range(shares.workers)).split(",")
    assert {given.count(gpu) * gpus if gpus < 1 else given.count(gpu) for gpu in given} == {1}


def test_the_environment_says_how_many_threads_a_trial_has_whatever_cores_it_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "ASKED", "1")
    assert share(100, None, Resources(cpus=4)) == Shares(2, 1, ())


def test_what_a_trial_takes_is_held_against_what_the_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lacking(Resources()) == lacking(Resources(cpus=8, gpus=0)) == {}
    assert lacking(Resources(cpus=9, gpus=0.5)) == {
        "cpus": "a trial takes 9 cores, and this machine has 8",
        "gpus": "a trial takes 0.5 GPUs, and this machine has none",
    }
    monkeypatch.setattr(machine, "_gpus", lambda: ("a", "b"))
    assert lacking(Resources(gpus=2)) == {}
    assert lacking(Resources(gpus=3)) == {"gpus": "a trial takes 3 GPUs, and this machine has 2"}


@pytest.mark.parametrize(
    ("content", "cores"), [("250000 100000\n", 2), ("50000 100000", 1), ("max 100000", 8), (None, 8)]
)
def test_a_container_has_the_cores_that_it_may_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None, cores: int
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(8))
    monkeypatch.setattr(machine, "CPU_QUOTA", tmp_path / "cpu.max")
    if content is not None:
        (tmp_path / "cpu.max").write_text(content)
    assert machine._cores() == cores


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_glibc_takes_the_settings() -> None:
    assert machine.keep_freed_memory()


def test_threads_that_wait_give_way_unless_the_environment_says_how_they_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in machine.WAIT_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in (("GOMP_SPINCOUNT", "10"), ("OMP_WAIT_POLICY", "active")):
        with monkeypatch.context() as said:
            said.setenv(name, value)
            machine.wait_passively()
            assert {os.environ.get(known) for known in machine.WAIT_VARIABLES} == {None, value}
    monkeypatch.setenv("OMP_WAIT_POLICY", "")  # is put back after the test
    monkeypatch.delenv("OMP_WAIT_POLICY")
    machine.wait_passively()
    assert os.environ["OMP_WAIT_POLICY"] == "passive"
