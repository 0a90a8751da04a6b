"""Trials in jobs of a real Slurm: what jobs, Slurm and launches do to each other."""

import os
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import driving
import pytest
from driving import attempts, drive, epochs, final, trial
from local_jobs import KEEPING, run
from reading import children, outcomes, steps
from same_numbers import DIGITS, numbers
from slurm_cluster import Cluster

from orchestrator import executors
from orchestrator.errors import InputError, SweepError
from orchestrator.events import Event, Progress
from orchestrator.executors import Place
from orchestrator.executors.remote.greeting import Address
from orchestrator.executors.slurm import commands, jobs
from orchestrator.executors.slurm.clock import seconds_of
from orchestrator.executors.slurm.door import Door
from orchestrator.executors.slurm.executor import SlurmExecutor
from orchestrator.places import Places
from orchestrator.progress.live import LiveProgress
from orchestrator.progress.status import Running, Status
from orchestrator.spec.executor_forms import SlurmForm
from orchestrator.system.interrupt import Interrupt
from orchestrator.system.machine import Resources
from orchestrator.terminal.view import facts
from orchestrator.trial import Outcome
from orchestrator.worker import journal

on_slurm = pytest.mark.cluster
Open = Callable[..., SlurmExecutor]
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("59:54", 3594), ("1:02:03", 3723), ("2-01:02:03", 176523), ("UNLIMITED", float("inf")), ("", None)],
)
def test_the_time_that_a_job_has_left_is_read_as_slurm_writes_it(written: str, seconds: float | None) -> None:
    assert seconds_of(written) == seconds


def test_what_a_job_takes_is_said_in_the_options_of_sbatch() -> None:
    block = SlurmForm(partition="gpu", time="4h", mem="16G", options=["--qos=long"])
    takes = Place("slurm", block).takes(Resources(cpus=4, gpus=2))
    wanted = "--partition=gpu --gpus=2 --cpus-per-task=4 --time=4:00:00 --mem=16G --qos=long"
    assert block.of_sbatch(takes)[2:] == wanted.split()
    own = SlurmForm(cpus=2, gpus=1.0, time="90.5")
    takes = Place("slurm", own).takes(Resources(cpus=4, gpus=2))
    assert own.of_sbatch(takes)[2:] == ["--gpus=1", "--cpus-per-task=2", "--time=0:01:31"]


@pytest.mark.parametrize(
    ("block", "resources", "seen"),
    [
        (SlurmForm(options=["--gpus=a100:2"]), Resources(), None),
        (SlurmForm(options=["--gres=gpu:1"]), Resources(gpus=1), None),
        (SlurmForm(), Resources(gpus=0), ""),
        (SlurmForm(gpus=0), Resources(gpus=1), ""),
    ],
)
def test_a_trial_sees_the_gpus_of_its_job_unless_it_is_to_have_none(
    block: SlurmForm, resources: Resources, seen: str | None, folder: Path, interrupt: Interrupt
) -> None:
    setup = driving.setup("toys:train", interrupt, limits={}, resources=resources, log=folder / "workers.log")
    executor = executors.create(Place("slurm", block), setup)
    assert isinstance(executor, SlurmExecutor)
    assert executor._serving().around.gpus == seen


def test_what_slurm_refuses_is_told_in_its_words_and_in_a_line() -> None:
    said = "sbatch: error: invalid partition: no\nsbatch: error: Batch job submission failed: Invalid partition\n"
    assert commands.why(said) == "invalid partition: no; Invalid partition"


def test_sweeps_of_one_name_in_two_places_have_jobs_of_two_names(tmp_path: Path) -> None:
    names = {jobs.job_name("a, b|c", tmp_path / place) for place in ("here", "there")}
    assert len(names) == 2
    assert all("," not in name and "|" not in name and " " not in name for name in names)


def test_nobody_else_can_read_where_jobs_find_their_orchestrator(tmp_path: Path) -> None:
    door = Door.of(Address("", 4711, "aa"))
    door.write(tmp_path)
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert Door.read(tmp_path) == door
    Door.of(Address("", 4712, "bb")).remove(tmp_path)  # of a launch that has ended since
    assert Door.read(tmp_path) == door
    door.remove(tmp_path)
    assert Door.read(tmp_path) is None


def test_trials_that_wait_for_a_place_are_told_from_those_that_run() -> None:
    places = Places(ready=1, awaited=3, reason="Priority", waiting=1)
    status = Status("toy", 10, running=[Running("x=1"), Running("x=2")], places=places)
    said = [fact.plain for fact in facts(status)]
    assert "1 running" in said
    assert "1 of 4 places, the others are waited for (Priority)" in said


@pytest.mark.parametrize(("ready", "left"), [(1, 33), (3, 11), (0, None)])
def test_the_time_left_is_that_of_the_places_that_there_are(ready: int, left: int | None) -> None:
    trials = [trial(x=float(x), epochs=3) for x in (1, 2, 3, 4)]
    live = LiveProgress("toy", None)
    live.begin(4, trials, {})
    live.start(trials[0])
    live.take(trials[0], Progress(1, {"train_loss": 1.0}, 0.0, seconds=3.0))
    live.take_places(Places(ready, 3 - ready))
    found = live.status().seconds_left
    assert (None if found is None else round(found)) == left


# On a cluster


@pytest.fixture
def open_(slurm: Cluster, folder: Path, interrupt: Interrupt, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    (folder / "keeping.py").write_text(KEEPING)
    with ExitStack() as opened:

        def open_(workers: int = 1, **block: Any) -> SlurmExecutor:
            ours = {key: block.pop(key) for key in ("awaits_verdicts",) if key in block}
            setup = driving.setup(
                "keeping:train", interrupt, limits={}, workers=workers, log=folder / "launch" / "workers.log", **ours
            )
            made = executors.create(Place("slurm", SlurmForm(**block)), setup)
            assert isinstance(made, SlurmExecutor)
            return opened.enter_context(made)

        yield open_


def left(cluster: Cluster) -> list[str]:
    """Jobs that wait or run; what has ended may be completing for a while."""
    return cluster.run("squeue", "--noheader", "--array", "--states=RUNNING,PENDING", "--format=%i").split()


def running(cluster: Cluster) -> list[str]:
    return cluster.run("squeue", "--noheader", "--array", "--states=RUNNING", "--format=%i").split()


@on_slurm
def test_no_job_is_left_when_the_launch_has_ended(open_: Open, slurm: Cluster, folder: Path) -> None:
    executor = open_(workers=3)
    for events in drive(executor, [trial(x=float(x)) for x in range(1, 6)], folder).values():
        assert final(events).outcome is Outcome.COMPLETED
    executor.__exit__(None, None, None)
    assert left(slurm) == []
    assert not (folder / "launch" / "slurm").exists()


@on_slurm
@pytest.mark.parametrize(
    "how",
    [
        "scancel",
        "kill",
        pytest.param("requeue", marks=[pytest.mark.slow, pytest.mark.timeout(400)]),  # Slurm waits for two minutes
    ],
)
def test_a_trial_whose_job_is_ended_goes_on_in_another_one(open_: Open, slurm: Cluster, folder: Path, how: str) -> None:
    executor = open_()
    acts = {
        "scancel": lambda: slurm.run("scancel", *running(slurm)),
        "requeue": lambda: slurm.run("scontrol", "requeue", *running(slurm)),
        "kill": lambda: slurm.run("scancel", "--signal=KILL", "--full", *running(slurm)),
    }
    events = run(executor, folder, 3, acts[how], epochs=8, pause=0.2)
    assert final(events).outcome is Outcome.COMPLETED
    assert sorted(set(epochs(events))) == [*range(1, 9)]
    assert len(attempts(events)) == 2
    assert len(journal.read(folder / "trial")) >= 10
    until(lambda: executor._wait(()) is None and len(left(slurm)) == 1)  # once the queue has been looked at


@on_slurm
@pytest.mark.slow
def test_a_trial_of_a_job_whose_time_is_over_ends_after_its_epoch_and_goes_on_in_another_one(
    open_: Open, folder: Path
) -> None:
    executor = open_(partition="short", time="1m")
    events = run(executor, folder, -1, lambda: None, epochs=70, pause=1.0)
    assert final(events).outcome is Outcome.COMPLETED
    again = len(epochs(events)) - 70
    assert sorted({*epochs(events)}) == [*range(1, 71)]
    assert again <= 1  # the one whose checkpoint was not kept yet
    assert len(attempts(events)) == 2


@on_slurm
@pytest.mark.slow
def test_a_trial_whose_job_is_preempted_goes_on_once_there_is_room(open_: Open, slurm: Cluster, folder: Path) -> None:
    executor = open_(partition="low", cpus=8)

    def preempt() -> None:
        slurm.run("sbatch", "--partition=high", "--cpus-per-task=8", "--wrap=sleep 5", f"--output={folder}/other")

    events = run(executor, folder, 3, preempt, epochs=150, pause=0.2)
    assert final(events).outcome is Outcome.COMPLETED
    assert len(attempts(events)) == 2


@on_slurm
def test_a_connection_that_is_cut_costs_nothing(open_: Open, folder: Path) -> None:
    executor = open_()
    events = run(executor, folder, 3, lambda: executor._slots[0].link.detach(), epochs=20, pause=0.2)
    assert epochs(events) == [*range(1, 21)]
    assert len(attempts(events)) == 1


@on_slurm
def test_a_trial_waits_for_its_verdict_across_a_cut(open_: Open, folder: Path) -> None:
    executor = open_(awaits_verdicts=True)
    events = run(executor, folder, 3, lambda: executor._slots[0].link.detach(), epochs=6, pause=0.1)
    assert epochs(events) == [*range(1, 7)]


@on_slurm
def test_jobs_that_cannot_begin_end_the_launch_with_what_they_said(open_: Open) -> None:
    executor = open_(setup=["echo no such module >&2", "exit 3"])
    with pytest.raises(
        SweepError, match=r"3 jobs in a row ended before they could run a trial, the last on \S+: no such module"
    ):
        executor.prepare([{}])


@on_slurm
def test_jobs_whose_log_cannot_be_opened_end_the_launch(open_: Open) -> None:
    executor = open_(options=["--output=/nowhere/job-%A_%a.log"])
    with pytest.raises(SweepError, match="left no log, 3 times in a row: do the nodes see"):
        executor.prepare([{}])


@on_slurm
@pytest.mark.parametrize(
    ("block", "said"),
    [
        ({"partition": "none"}, "invalid partition specified: none"),
        ({"gpus": 9.0}, "Requested node configuration is not available"),
        ({"mem": "9T"}, "configuration is not available"),
        ({"partition": "short", "time": "2h"}, "Requested time limit is invalid"),
        ({"options": ["--no-such-option"]}, "no-such-option"),
    ],
)
def test_what_slurm_refuses_is_bad_input(open_: Open, block: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=f"Slurm does not take the jobs: .*{said}"):
        open_(**block)


def runs(folder: Path) -> list[str]:
    """The ids of all runs in the store of a folder."""
    with closing(sqlite3.connect(folder / "mlruns" / "mlflow.db")) as store:
        return [run for (run,) in store.execute("SELECT run_uuid FROM runs")]


@on_slurm
def test_what_slurm_refuses_is_said_in_a_line_before_anything_is_marked_as_running(
    slurm: Cluster, folder: Path, write: Callable[[str], Path], command: Command
) -> None:
    write(
        "trial: toys:train\nmetric: {name: score}\nparameters: {x: {values: [1, 2]}}\n"
        "executor: {slurm: {partition: main, gpus: 9, workers: 2}}\n"
    )
    refused = command("launch", "toy.yaml")
    assert refused.returncode == 2
    assert refused.stderr == "sweep: Slurm does not take the jobs: Requested node configuration is not available\n"
    assert runs(folder) == []
    done = command("launch", "toy.yaml", "--set-executor", "gpus=1", "--quiet")
    assert done.returncode == 0, done.stderr
    assert len(runs(folder)) == 3


@on_slurm
def test_more_jobs_than_an_array_may_have_are_refused_before_anything_is_marked_as_running(
    slurm: Cluster, folder: Path, write: Callable[[str], Path], command: Command
) -> None:
    write("trial: toys:train\nparameters: {x: {min: 1.0, max: 2.0}}\nmethod: random\nrun_cap: 3000\n")
    refused = command("launch", "toy.yaml", "--executor", "slurm", "--set-executor", "workers=2500")
    assert refused.returncode == 2
    assert refused.stderr == "sweep: Slurm does not take the jobs: Invalid job array specification\n"
    assert runs(folder) == []


@on_slurm
@pytest.mark.slow
def test_the_vae_comes_to_the_numbers_that_it_has_in_worker_processes(
    slurm: Cluster, folder: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    (folder / "toy.yaml").write_text(DIGITS)
    found = []
    for place in ("slurm", "process"):
        store = f"sqlite:///{folder / f'{place}.db'}"
        done = command("launch", "toy.yaml", "--executor", place, "--workers", "2", "--tracking-uri", store)
        assert done.returncode == 0, done.stderr
        found.append(numbers(store))
    in_jobs, here = found
    assert len(here) == 6
    assert in_jobs == here


SWEEP = """
trial: keeping:train
metric: {name: train_loss, goal: minimize}
parameters: {x: {values: [1, 2, 3]}, pause: 0.2, epochs: 60}
"""


@pytest.fixture
def launched(folder: Path, store: str) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Begin a launch of three trials in two jobs."""
    (folder / "keeping.py").write_text(KEEPING)
    (folder / "toy.yaml").write_text(SWEEP)
    command = [sys.executable, "-m", "orchestrator", "launch", "toy.yaml", "--executor", "slurm", "--workers", "2"]
    begun: list[subprocess.Popen[bytes]] = []

    def launched() -> subprocess.Popen[bytes]:
        begun.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
        return begun[-1]

    yield launched
    for process in begun:
        process.kill()
        process.wait()


def entries(folder: Path) -> list[list[Event]]:
    return [[entry.event for entry in journal.read(path.parent)] for path in folder.glob("mlruns/work/toy/*/journal.*")]


def until(is_so: Callable[[], bool], seconds: float = 200.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@on_slurm
@pytest.mark.slow
def test_jobs_outlive_a_launch_that_is_killed_and_the_next_one_takes_them_over(
    slurm: Cluster, folder: Path, store: str, launched: Callable[[], subprocess.Popen[bytes]]
) -> None:
    first = launched()
    until(lambda: len(entries(folder)) == 2 and all(len(epochs(heard)) > 3 for heard in entries(folder)))
    first.kill()
    first.wait()
    before = [len(epochs(heard)) for heard in entries(folder)]
    until(lambda: all(len(epochs(heard)) > 10 + n for heard, n in zip(entries(folder), before, strict=True)))
    again = launched()
    assert again.wait(200) == 0
    assert outcomes(store, "toy") == {f"x={x}": "completed" for x in (1, 2, 3)}
    for found in children(store, "toy"):
        assert steps(store, found, "train_loss") == [*range(1, 61)]
    assert left(slurm) == []


@on_slurm
@pytest.mark.slow
def test_a_launch_that_runs_its_trials_elsewhere_first_ends_the_jobs_of_one_that_was_killed(
    slurm: Cluster, folder: Path, store: str, launched: Callable[[], subprocess.Popen[bytes]], command: Command
) -> None:
    (folder / "toy.yaml").write_text(SWEEP.replace("60", "20"))
    first = launched()
    until(lambda: len(entries(folder)) == 2 and all(len(epochs(heard)) > 3 for heard in entries(folder)))
    first.kill()
    first.wait()
    assert command("launch", "toy.yaml", "--executor", "process", "--workers", "2").returncode == 0
    assert left(slurm) == []
    assert outcomes(store, "toy") == {f"x={x}": "completed" for x in (1, 2, 3)}
    for found in children(store, "toy"):
        assert steps(store, found, "train_loss") == [*range(1, 21)]
    assert not (folder / "mlruns" / "work" / "toy" / "slurm").exists()


@on_slurm
@pytest.mark.slow
@pytest.mark.parametrize("pruner", ["", "early_terminate: {type: hyperband, min_iter: 10}\n"])
def test_jobs_end_that_no_launch_comes_back_for(
    slurm: Cluster, folder: Path, launched: Callable[[], subprocess.Popen[bytes]], pruner: str
) -> None:
    block = "executor: {slurm: {idle: 5s}}\n"
    (folder / "toy.yaml").write_text(SWEEP.replace("60", "20") + pruner + block)
    first = launched()
    until(lambda: len(entries(folder)) == 2 and all(len(epochs(heard)) > 3 for heard in entries(folder)))
    first.kill()
    until(lambda: not left(slurm))
    assert all((len(epochs(heard)) < 20) if pruner else (len(epochs(heard)) == 20) for heard in entries(folder))
