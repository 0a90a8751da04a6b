"""What worker processes of this machine do beyond the contract of executors: who runs what, and dies of what."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import driving
import psutil
import pytest
from driving import drive, epochs, final, stackable, stacks, trial
from processes import alive, all_gone

from orchestrator import executors
from orchestrator.divergence import DivergenceRule
from orchestrator.events import Event, Finished, Heartbeat, Infeasibility, Progress, Started
from orchestrator.executors.limits import ActiveTrial, Limits, WorkerLoss
from orchestrator.executors.process import ProcessExecutor
from orchestrator.stacking import Stacking
from orchestrator.system import machine
from orchestrator.system.interrupt import Interrupt
from orchestrator.system.machine import Resources, Shares
from orchestrator.trial import Outcome, Trial
from orchestrator.worker.runner import Task

Open = Callable[..., ProcessExecutor]


@pytest.fixture
def processes(folder: Path, interrupt: Interrupt) -> Iterator[Open]:
    """Make an executor of so many workers of one thread each, and enter its context until the test ends."""
    with ExitStack() as opened:

        def open_(workers: int = 2, stack: int = 1, function: str = "toys:train", **more: Any) -> ProcessExecutor:
            ours = {key: more.pop(key) for key in ("on_heartbeat", "awaits_verdicts", "warm") if key in more}
            gpus = more.pop("gpus", ())
            made = driving.setup(function, interrupt, stack=stack, limits=more, **ours)
            return opened.enter_context(ProcessExecutor(made, Shares(workers, 1, gpus)))

        yield open_


@pytest.mark.slow
def test_a_warm_process_serves_trial_after_trial(processes: Open, folder: Path) -> None:
    heard = drive(processes(workers=1, warm=True), [trial(x=float(x)) for x in range(1, 6)], folder)
    assert len({event.pid for events in heard.values() for event in events if isinstance(event, Started)}) == 1


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.parametrize("warm", [True, False])
def test_workers_print_into_the_log_of_the_launch_whatever_it_is(processes: Open, folder: Path, warm: bool) -> None:
    assert final(drive(processes(1, warm=warm), [trial()], folder)[str({})]).outcome is Outcome.COMPLETED
    assert Path(os.devnull).is_char_device()  # which is what it is here


@pytest.mark.slow
def test_trials_run_side_by_side(processes: Open, folder: Path) -> None:
    heard = drive(processes(workers=2), [trial(x=float(x), pause=0.3) for x in (1, 2)], folder)
    assert len({event.pid for events in heard.values() for event in events if isinstance(event, Started)}) == 2


@pytest.mark.slow
def test_a_worker_killed_from_outside_fails_its_trial(processes: Open, folder: Path) -> None:
    executor = processes(workers=1)
    executor.submit(trial(mode="hang"), folder / "t")
    heard: list[Event] = []
    while not executor.idle:
        for _, event in executor.events():
            heard.append(event)
            if isinstance(event, Progress):
                assert isinstance(heard[0], Started)
                os.kill(heard[0].pid, signal.SIGKILL)
    assert final(heard).reason == "its worker was killed by SIGKILL"


@pytest.mark.slow
def test_a_worker_that_died_between_trials_is_replaced(processes: Open, folder: Path) -> None:
    executor = processes(workers=1, warm=True)
    heard = drive(executor, [trial(x=1.0)], folder)
    started = next(iter(heard.values()))[0]
    assert isinstance(started, Started)
    worker = psutil.Process(started.pid).ppid()  # it dies as its child does
    os.kill(started.pid, signal.SIGKILL)
    os.waitid(os.P_PID, worker, os.WEXITED | os.WNOWAIT)
    assert final(drive(executor, [trial(x=2.0)], folder)[trial(x=2.0).label]).outcome is Outcome.COMPLETED


@pytest.mark.slow
def test_no_process_outlives_the_executor(processes: Open, folder: Path) -> None:
    with processes(workers=2, warm=True) as executor:
        heard = drive(executor, [trial(x=1.0, pause=0.2), trial(x=2.0, pause=0.2)], folder)
        pids = [event.pid for events in heard.values() for event in events if isinstance(event, Started)]
        assert all(alive(pid) for pid in pids)
    assert not any(alive(pid) for pid in pids)


SLOW_TO_IMPORT = """
import os, pathlib, time
if os.getpid() != int(os.environ["PARENT"]):
    pathlib.Path("unfinished").write_text(str(os.getpid()))
    pathlib.Path("unfinished").rename("child")
    time.sleep(100)
def work(): ...
"""
KILLED = """
import multiprocessing, os, pathlib, signal, time
os.environ["PARENT"] = str(os.getpid())
import slow
from orchestrator.worker.spawn import start
start(multiprocessing.get_context("spawn").Process(target=slow.work))
while not pathlib.Path("child").exists():
    time.sleep(0.01)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_that_still_imports_what_it_works_with_does_not_outlive_its_parent(folder: Path) -> None:
    (folder / "slow.py").write_text(SLOW_TO_IMPORT)
    (folder / "killed.py").write_text(KILLED)
    killed = subprocess.run([sys.executable, "killed.py"], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert all_gone([int(Path("child").read_text())])


@pytest.mark.slow
def test_workers_take_the_gpus_in_turn(processes: Open, folder: Path) -> None:
    (folder / "gpus.py").write_text(
        "import os, time\nfrom toys import Config\ndef train(config: Config):\n    time.sleep(1)\n"
        "    return {'gpu': float(os.environ['CUDA_VISIBLE_DEVICES'])}\n"
    )
    trials = [Trial("gpus:train", 1, {"x": x}, f"{x}") for x in (1.0, 2.0)]
    heard = drive(processes(workers=2, function="gpus:train", gpus=("5", "7")), trials, folder)
    assert {final(events).metrics["gpu"] for events in heard.values()} == {5.0, 7.0}


@pytest.mark.slow
def test_no_two_running_trials_share_a_gpu(folder: Path, interrupt: Interrupt, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "gpus.py").write_text(
        "import os, time\nfrom pathlib import Path\nfrom toys import Config\n"
        "def train(config: Config):\n    names = os.environ['CUDA_VISIBLE_DEVICES'].split(',')\n"
        "    for name in names:\n        Path('busy ' + name).touch(exist_ok=False)\n"
        "    time.sleep(0.3)\n    for name in names:\n        Path('busy ' + name).unlink()\n"
        "    return {'first': float(names[0]), 'gpus': len(names)}\n"
    )
    monkeypatch.setattr(machine, "_gpus", lambda: ("4", "5", "6", "7"))
    monkeypatch.setattr(machine, "_cores", lambda: 64)
    takes = Resources(cpus=2, gpus=2)
    made = driving.setup("gpus:train", interrupt, limits={}, resources=takes, workers=4)
    trials = [Trial("gpus:train", 1, {"x": float(x)}, f"{x}") for x in range(1, 7)]
    with executors.create(executors.HERE, made) as executor:
        heard = drive(executor, trials, folder)
    assert {final(events).outcome for events in heard.values()} == {Outcome.COMPLETED}
    assert {(final(events).metrics["first"], final(events).metrics["gpus"]) for events in heard.values()} == {
        (4.0, 2.0),
        (6.0, 2.0),
    }
    assert {event.threads for events in heard.values() for event in events if isinstance(event, Started)} == {2}


@pytest.mark.slow
def test_a_stopped_trial_ends_though_its_worker_dies_before_it_knows(processes: Open, folder: Path) -> None:
    executor = processes(workers=1, awaits_verdicts=True, retries=1)
    slow = trial(epochs=50)
    executor.submit(slow, folder / slow.trial_key)
    heard: list[Event] = []
    while not executor.idle:
        for t, event in executor.events():
            heard.append(event)
            if isinstance(event, Progress) and event.epoch == 2:
                assert isinstance(heard[0], Started)
                os.kill(heard[0].pid, signal.SIGKILL)
                executor.stop(t, "behind at 2")
    assert final(heard).outcome is Outcome.PRUNED
    assert epochs(heard) == [1, 2]


@pytest.mark.slow
def test_there_are_as_many_slots_as_were_asked_for_last(processes: Open, folder: Path) -> None:
    executor = processes(workers=1)
    submitted = [trial(x=float(x), epochs=2, pause=0.1) for x in range(1, 5)]
    executor.resize(3)
    for one in submitted[:3]:
        assert executor.has_free_slot
        executor.submit(one, folder / one.trial_key)
    assert not executor.has_free_slot
    assert {final(events).outcome for events in drive(executor, [], folder).values()} == {Outcome.COMPLETED}
    executor.resize(1)
    executor.submit(submitted[3], folder / submitted[3].trial_key)
    assert not executor.has_free_slot
    assert {final(events).outcome for events in drive(executor, [], folder).values()} == {Outcome.COMPLETED}


def test_no_more_stacks_begin_than_were_asked_for_though_they_are_of_several_shapes(
    processes: Open, folder: Path
) -> None:
    executor = processes(workers=2, stack=2)
    executor.resize(1)
    for one in (stackable(0, epochs=2, pause=0.2), stackable(1, epochs=3, pause=0.2)):
        assert executor.has_free_slot
        executor.submit(one, folder / one.trial_key)
    most = 0
    while not executor.idle:
        for _ in executor.events():
            most = max(most, sum(bool(slot.runs) for slot in executor.slots))
    assert most == 1
    assert stacks(folder) == ["1 of 2", "1 of 2"]


def test_what_loses_its_worker_while_a_sweep_is_paused_goes_on(processes: Open, folder: Path) -> None:
    executor, slow = processes(workers=1, retries=1), trial(epochs=4, pause=0.1)
    executor.submit(slow, folder / slow.trial_key)
    heard: list[Event] = []
    while not executor.idle:
        for _, event in executor.events():
            heard.append(event)
            if isinstance(event, Progress) and event.epoch == 2:
                executor.resize(0)
                if len([one for one in heard if isinstance(one, Started)]) == 1:
                    os.kill(next(one.pid for one in heard if isinstance(one, Started)), signal.SIGKILL)
    assert final(heard).outcome is Outcome.COMPLETED
    assert len([one for one in heard if isinstance(one, Started)]) == 2


def test_no_more_slots_can_be_asked_for_than_fit(processes: Open) -> None:
    executor = processes(workers=1)
    assert executor.most_slots is None
    cores = machine.share(trials=1, workers=1).threads
    executor.setup = replace(executor.setup, resources=Resources(cpus=cores))
    assert executor.most_slots == 1


@pytest.mark.slow
def test_a_stack_is_filled_with_trials_of_one_shape_and_number_of_threads(processes: Open, folder: Path) -> None:
    executor = processes(workers=1, stack=3)
    alone = [(stackable(0, x=1.0, epochs=2), 1), (stackable(1, x=2.0, epochs=2), 2), (stackable(2, x=3.0), 2)]
    for t, threads in alone:
        assert executor.has_free_slot
        executor.submit(t, folder / t.trial_key, threads)
    assert not executor.has_free_slot
    assert [final(events).outcome for events in drive(executor, [], folder).values()] == [Outcome.COMPLETED] * 3
    assert stacks(folder) == ["1 of 3"] * 3
    stacking = Stacking(3, driving.STACKED_BY)
    mixed = stacking.arranged(stackable(x=float(x), epochs=3 + x % 2) for x in range(1, 9))
    assert [t.place for t in mixed] == [0, 1, 2, 0, 0, 1, 2, 0]
    heard = drive(executor, mixed, folder)
    assert {final(events).outcome for events in heard.values()} == {Outcome.COMPLETED}
    assert stacks(folder)[3:] == ["3 of 3", "1 of 3"] * 2


@pytest.mark.slow
def test_two_trials_of_one_place_do_not_share_a_stack(processes: Open, folder: Path) -> None:
    drive(processes(workers=1, stack=2), [stackable(1, x=1.0), stackable(1, x=2.0), stackable(0, x=3.0)], folder)
    assert stacks(folder) == ["1 of 2", "2 of 2"]


@pytest.mark.slow
def test_each_trial_of_a_stack_ends_exactly_once_whatever_its_function_does(processes: Open, folder: Path) -> None:
    heard = drive(
        processes(workers=1, stack=4),
        [stackable(i, mode=mode) for i, mode in enumerate(("fine", "nan", "text"))],
        folder,
    )
    outcomes = [final(events).outcome for events in heard.values()]
    assert outcomes == [Outcome.COMPLETED, Outcome.EXPLODED, Outcome.FAILED]
    assert len({event.pid for events in heard.values() for event in events if isinstance(event, Started)}) == 1


@pytest.mark.parametrize("mode", ["exit", pytest.param("hang", marks=pytest.mark.slow)])
def test_a_trial_that_ends_its_worker_again_and_again_does_not_take_its_stack_along(
    processes: Open, folder: Path, mode: str
) -> None:
    executor = processes(workers=2, stack=3, retries=2, stall_seconds=1.0 if mode == "hang" else 120.0)
    bad, *good = drive(executor, [stackable(0, mode=mode), stackable(1, x=2.0), stackable(2, x=3.0)], folder).values()
    assert final(bad).outcome is Outcome.FAILED
    for events in good:
        assert final(events).outcome is Outcome.COMPLETED
        assert [event.epoch for event in events if isinstance(event, Progress)] == [1, 2, 3]
    assert stacks(folder) == ["3 of 3", "3 of 3", "1 of 3", "1 of 3", "1 of 3"]


@pytest.mark.slow
def test_a_stack_over_its_time_ends_all_that_have_not_ended(processes: Open, folder: Path) -> None:
    trials = [stackable(i, mode=mode) for i, mode in enumerate(("nan", "fine", "hang"))]
    (folder / trials[0].trial_key).mkdir()
    (folder / trials[0].trial_key / "epoch").write_text("1")  # so it explodes an epoch before the others hang
    heard = drive(processes(stack=3, trial_timeout=3.0), trials, folder)
    exploded, *late = [final(events) for events in heard.values()]
    assert exploded.outcome is Outcome.EXPLODED
    lack = Infeasibility("time", limit=3.0)
    said = "it ran longer than the trial timeout of 3 seconds"
    assert [replace(end, infeasible=lack) for end in late] == [
        Finished(Outcome.INFEASIBLE, reason=said, infeasible=lack)
    ] * 2
    assert {end.infeasible.limit for end in late if end.infeasible} == {3.0}


@pytest.mark.slow
def test_every_trial_of_a_stack_has_the_log_of_its_worker(processes: Open, folder: Path) -> None:
    trials = [stackable(0, mode="raise"), stackable(1, mode="fine")]
    (folder / trials[1].trial_key).mkdir()
    (folder / trials[1].trial_key / "log.txt").write_text("from before\n")
    drive(processes(workers=1, stack=2), trials, folder)
    for t in trials:
        log = (folder / t.trial_key / "log.txt").read_text()
        assert log.startswith("from before")
        assert "RuntimeError: the toy broke" in log


@pytest.mark.slow
def test_an_interrupt_ends_all_trials_of_a_stack_after_their_epoch_and_those_that_wait(
    processes: Open, interrupt: Interrupt, folder: Path
) -> None:
    executor = processes(workers=1, stack=2)
    slow = [stackable(i, x=1.0 + i, epochs=200, pause=0.1) for i in range(2)]
    waiting = stackable(epochs=3)
    heard: dict[str, list[Event]] = {}
    for t in (*slow, waiting):
        executor.submit(t, folder / t.trial_key)
    while not executor.idle:
        for t, event in executor.events():
            heard.setdefault(t.label, []).append(event)
            if isinstance(event, Progress) and event.epoch == 2 and not interrupt.requested:
                os.kill(os.getpid(), signal.SIGINT)
    assert [final(heard[t.label]).outcome for t in (*slow, waiting)] == [Outcome.INTERRUPTED] * 3
    assert [len(heard[t.label]) for t in slow] == [len(heard[slow[0].label])] * 2
    assert len(heard[waiting.label]) == 1
    assert not interrupt.at_once


@pytest.mark.slow
def test_of_a_stack_only_those_end_that_are_stopped(processes: Open, folder: Path) -> None:
    executor = processes(workers=1, stack=4, awaits_verdicts=True)
    trials = [stackable(i, x=1.0 + i, epochs=4) for i in range(4)]
    executor.submit(trials[3], folder / trials[3].trial_key)
    executor.stop(trials[3], "its others are worse")
    heard = drive(executor, trials[:3], folder, {trials[1].label: 2})
    assert stacks(folder) == ["3 of 4"]
    ended = [final(heard[t.label]).outcome for t in trials]
    assert ended == [Outcome.COMPLETED, Outcome.PRUNED, Outcome.COMPLETED, Outcome.PRUNED]
    assert [epochs(heard[t.label]) for t in trials] == [[1, 2, 3, 4], [1, 2], [1, 2, 3, 4], []]


@pytest.mark.slow
def test_heartbeats_come_about_once_a_second(processes: Open, folder: Path) -> None:
    seen: list[Heartbeat] = []
    executor = processes(function="toys:watched", on_heartbeat=lambda _, heartbeat: seen.append(heartbeat))
    drive(executor, [Trial("toys:watched", 1, {"x": 1.0}, "watched")], folder)
    assert 0 < len(seen) < 10


DIGITS = {"dataset": "digits", "architecture": "fc", "num_layers": 1, "batch_size": 64, "epochs": 4}
SHARED = {"var": 0.25, "latent_dim": 8, "seed": 0, "precision": "fp32"}


@pytest.mark.slow
def test_a_stack_whose_worker_is_killed_ends_as_one_that_was_not_to_the_bit(interrupt: Interrupt, folder: Path) -> None:
    by = ("var", "lr", "seed")
    rates = (2e-3, 1e-3, 50.0)
    trials = Stacking(3, by).arranged(
        Trial("models.train:train", 2, {**DIGITS, **SHARED, "lr": lr}, f"{lr}") for lr in rates
    )

    def ends(place: Path, kill_at: int | None) -> list[tuple[dict[int, dict[str, float]], Finished]]:
        heard: dict[str, list[Event]] = {t.label: [] for t in trials}
        made = driving.setup(trials[0].function, interrupt, stack=3, by=by, limits={"retries": 2})
        with ProcessExecutor(made, Shares(1, 1, ())) as executor:
            for t in trials:
                executor.submit(t, place / t.trial_key)
            while not executor.idle:
                for t, event in executor.events():
                    heard[t.label].append(event)
                    if kill_at and isinstance(event, Progress) and event.epoch == kill_at:
                        os.kill(next(e.pid for e in heard[t.label] if isinstance(e, Started)), signal.SIGKILL)
                        kill_at = None
        return [(curves(events), final(events)) for events in heard.values()]

    def curves(events: list[Event]) -> dict[int, dict[str, float]]:
        progress = [event for event in events if isinstance(event, Progress)]
        return {e.epoch: {k: v for k, v in e.metrics.items() if k != "images_per_second"} for e in progress}

    untouched = ends(folder / "untouched", None)
    assert [end.outcome for _, end in untouched] == [Outcome.COMPLETED, Outcome.COMPLETED, Outcome.EXPLODED]
    assert ends(folder / "killed", 2) == untouched


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (0.0, "it ran longer than the trial timeout of 0 seconds; at its end, its worker was killed by SIGKILL"),
        (60.0, "its worker was killed by SIGKILL"),
        (None, "its worker was killed by SIGKILL"),
    ],
)
def test_a_trial_that_dies_as_its_time_is_over_is_given_up_for_that(limit: float | None, said: str) -> None:
    task = Task("toys:train", {}, Path(), DivergenceRule())
    run = ActiveTrial(trial(), task, Limits(retries=9, trial_timeout=limit))
    run.begin_training()
    run.die(WorkerLoss("its worker was killed by SIGKILL"))
    assert (run.is_given_up, run.why("its worker was killed by SIGKILL")) == (limit == 0, said)
    assert run.why(run.overtime) == run.overtime
