"""One contract for every executor, and each way for a worker to die."""

import os
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from processes import alive, all_gone

from orchestrator.divergence import DivergenceRule
from orchestrator.errors import InputError
from orchestrator.events import Event, Finished, Heartbeat, Progress, Started, decode, encode
from orchestrator.executors import Executor
from orchestrator.executors.inline import InlineExecutor
from orchestrator.executors.limits import Limits
from orchestrator.executors.process import ProcessExecutor
from orchestrator.stacking import Stacking
from orchestrator.system.interrupt import Interrupt
from orchestrator.trial import Outcome, Trial
from orchestrator.worker import journal, runner

Open = Callable[..., Executor]


def trial(**params: object) -> Trial:
    return Trial("toys:train", 1, params, str(params))


def stackable(place: int = 0, **params: object) -> Trial:
    return Trial("toys:stackable", 1, params, str(params), place=place)


def stacks(folder: Path) -> list[str]:
    """How many trials, of how many that have room, each stack of the toys has had, in the order of their beginnings."""
    return (folder / "stacks.txt").read_text().splitlines()


def drive(executor: Executor, trials: list[Trial], folder: Path) -> dict[str, list[Event]]:
    """Run the trials to their end, with those that were submitted before; what each of them told, by label."""
    waiting = list(trials)
    told: dict[str, list[Event]] = defaultdict(list, {t.label: [] for t in trials})
    while True:
        while waiting and executor.has_free_slot:
            executor.submit(waiting[0], folder / waiting.pop(0).trial_key)
        if executor.idle:
            return told
        for t, event in executor.events():
            told[t.label].append(event)


def final(events: list[Event]) -> Finished:
    ends = [event for event in events if isinstance(event, Finished)]
    assert len(ends) == 1
    assert events[-1] is ends[0]
    return ends[0]


@pytest.fixture
def interrupt() -> Iterator[Interrupt]:
    with Interrupt() as interrupt:
        yield interrupt


@pytest.fixture
def processes(folder: Path, interrupt: Interrupt) -> Iterator[Open]:
    executors: list[ProcessExecutor] = []

    def open_(workers: int = 2, stack: int = 1, asks: bool = False, **limits: float) -> Executor:
        executor = ProcessExecutor(
            "toys:train",
            DivergenceRule(),
            interrupt,
            workers=workers,
            threads=1,
            stacking=Stacking(stack, ("x", "mode", "seed") if stack > 1 else ()),
            asks=asks,
            limits=Limits(**{"retries": 0, **limits}),
        ).__enter__()
        executors.append(executor)
        return executor

    yield open_
    for executor in executors:
        executor.__exit__(None, None, None)


@pytest.fixture(params=["process", "inline"])
def executor(request: pytest.FixtureRequest, folder: Path, interrupt: Interrupt, processes: Open) -> Executor:
    if request.param == "process":
        return processes(asks=True)
    return InlineExecutor("toys:train", DivergenceRule(), interrupt, threads=1)


def test_every_trial_ends_exactly_once_whatever_its_function_does(executor: Executor, folder: Path) -> None:
    modes = ["fine", "raise", "nan", "text", "rise"]
    told = drive(executor, [trial(mode=mode, epochs=6) for mode in modes], folder)
    assert [final(events).outcome for events in told.values()] == [
        Outcome.COMPLETED,
        Outcome.FAILED,
        Outcome.EXPLODED,
        Outcome.FAILED,
        Outcome.EXPLODED,
    ]
    assert all(isinstance(events[0], Started) for events in told.values())


def test_missing_data_are_bad_input(interrupt: Interrupt, folder: Path) -> None:
    with (
        ProcessExecutor("toys:missing_data", DivergenceRule(), interrupt, workers=1, threads=1) as executor,
        pytest.raises(InputError, match=r"/nowhere/data.bin: is missing; put it there"),
    ):
        executor.prepare([{}])


def test_a_worker_that_dies_over_the_data_is_replaced(interrupt: Interrupt, folder: Path) -> None:
    with ProcessExecutor("toys:fragile", DivergenceRule(), interrupt, workers=1, threads=1) as executor:
        executor.prepare([{}])
    assert (folder / "tried").exists()


@pytest.mark.parametrize(
    ("mode", "reason"),
    [("kill", "its worker was killed by SIGKILL"), ("exit", "its worker exited with status 3")],
)
def test_a_worker_that_dies_fails_its_trial_and_is_replaced(
    processes: Open, folder: Path, mode: str, reason: str
) -> None:
    told = drive(processes(workers=1), [trial(mode=mode), trial(mode="fine")], folder)
    dead, fine = told.values()
    assert final(dead) == Finished(Outcome.FAILED, reason=reason)
    assert [event.epoch for event in dead if isinstance(event, Progress)] == [1]
    assert final(fine).outcome is Outcome.COMPLETED


def test_a_worker_killed_from_outside_fails_its_trial(processes: Open, folder: Path) -> None:
    executor = processes(workers=1)
    executor.submit(trial(mode="hang"), folder / "t")
    told: list[Event] = []
    while not executor.idle:
        for _, event in executor.events():
            told.append(event)
            if isinstance(event, Progress):
                assert isinstance(told[0], Started)
                os.kill(told[0].pid, signal.SIGKILL)
    assert final(told).reason == "its worker was killed by SIGKILL"


def test_a_worker_that_died_between_trials_is_replaced(processes: Open, folder: Path) -> None:
    executor = processes(workers=1)
    told = drive(executor, [trial(x=1.0)], folder)
    started = next(iter(told.values()))[0]
    assert isinstance(started, Started)
    os.kill(started.pid, signal.SIGKILL)
    os.waitid(os.P_PID, started.pid, os.WEXITED | os.WNOWAIT)
    assert final(drive(executor, [trial(x=2.0)], folder)[trial(x=2.0).label]).outcome is Outcome.COMPLETED


def test_a_process_serves_trial_after_trial(processes: Open, folder: Path) -> None:
    told = drive(processes(workers=1), [trial(x=float(x)) for x in range(1, 6)], folder)
    assert len({event.pid for events in told.values() for event in events if isinstance(event, Started)}) == 1


def test_trials_run_side_by_side(processes: Open, folder: Path) -> None:
    told = drive(processes(workers=2), [trial(x=float(x), pause=0.3) for x in (1, 2)], folder)
    assert len({event.pid for events in told.values() for event in events if isinstance(event, Started)}) == 2


def test_a_trial_over_its_time_is_killed_with_its_children(
    processes: Open, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHILD_PID_FILE", str(folder / "child.pid"))
    told = drive(processes(workers=1, trial_timeout=3.0), [trial(mode="spawn"), trial(mode="fine")], folder)
    hung, fine = told.values()
    assert final(hung) == Finished(Outcome.FAILED, reason="it ran longer than the trial timeout of 3 seconds")
    assert final(fine).outcome is Outcome.COMPLETED
    assert all_gone([int((folder / "child.pid").read_text())])


def test_what_a_trial_prints_goes_to_its_log(processes: Open, folder: Path) -> None:
    broken = trial(mode="raise")
    drive(processes(workers=1), [broken], folder)
    log = (folder / broken.trial_key / "log.txt").read_text()
    assert "training with x=1.0" in log
    assert "RuntimeError: the toy broke" in log


def test_an_interrupt_ends_trials_after_their_epoch(executor: Executor, interrupt: Interrupt, folder: Path) -> None:
    slow = trial(epochs=200, pause=0.1)
    executor.submit(slow, folder / "slow")
    told: list[Event] = []
    while not executor.idle:
        for _, event in executor.events():
            told.append(event)
            if isinstance(event, Progress) and event.epoch == 2:
                os.kill(os.getpid(), signal.SIGINT)
    assert final(told).outcome is Outcome.INTERRUPTED
    assert 2 <= max(event.epoch for event in told if isinstance(event, Progress)) < 100
    assert not interrupt.at_once


def test_a_second_interrupt_ends_them_at_once(executor: Executor, interrupt: Interrupt, folder: Path) -> None:
    executor.submit(trial(mode="hang"), folder / "hang")
    told: list[Event] = []
    while not executor.idle:
        for _, event in executor.events():
            told.append(event)
            if isinstance(event, Progress):
                os.kill(os.getpid(), signal.SIGINT)
                if isinstance(executor, InlineExecutor):
                    interrupt.requested = False  # so that the hanging epoch is begun, as it was before the first signal
                    signal.signal(
                        signal.SIGALRM,
                        lambda *_: (setattr(interrupt, "requested", True), os.kill(os.getpid(), signal.SIGINT)),
                    )
                    signal.setitimer(signal.ITIMER_REAL, 0.5)
                else:
                    os.kill(os.getpid(), signal.SIGINT)
    assert final(told).outcome is Outcome.INTERRUPTED


def test_a_hangup_that_nohup_has_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupt() as interrupt:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not interrupt.requested
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_no_process_outlives_the_executor(folder: Path, interrupt: Interrupt) -> None:
    executor = ProcessExecutor("toys:train", DivergenceRule(), interrupt, workers=2, threads=1)
    with executor:
        told = drive(executor, [trial(x=1.0, pause=0.2), trial(x=2.0, pause=0.2)], folder)
        pids = [event.pid for events in told.values() for event in events if isinstance(event, Started)]
        assert all(alive(pid) for pid in pids)
    assert not any(alive(pid) for pid in pids)


def test_workers_take_the_gpus_in_turn(folder: Path, interrupt: Interrupt) -> None:
    (folder / "gpus.py").write_text(
        "import os, time\nfrom toys import Config\ndef train(config: Config):\n    time.sleep(1)\n"
        "    return {'gpu': float(os.environ['CUDA_VISIBLE_DEVICES'])}\n"
    )
    trials = [Trial("gpus:train", 1, {"x": x}, f"{x}") for x in (1.0, 2.0)]
    with ProcessExecutor("gpus:train", DivergenceRule(), interrupt, workers=2, threads=1, gpus=("5", "7")) as executor:
        told = drive(executor, trials, folder)
    assert {final(events).metrics["gpu"] for events in told.values()} == {5.0, 7.0}


def test_a_worker_that_dies_is_noticed_though_its_child_lives_on(processes: Open, folder: Path) -> None:
    forked = Trial("toys:forked", 1, {}, "forked")
    (events,) = drive(processes(workers=1), [forked], folder).values()
    assert final(events).reason == "its worker was killed by SIGKILL"
    assert "last words" in (folder / forked.trial_key / "log.txt").read_text()


def test_a_trial_that_never_stops_telling_is_held_to_its_time(processes: Open, folder: Path) -> None:
    (events,) = drive(processes(workers=1, trial_timeout=1.0), [Trial("toys:chatty", 1, {}, "chatty")], folder).values()
    assert final(events).reason == "it ran longer than the trial timeout of 1 seconds"


def test_a_function_that_will_not_be_closed_is_interrupted_all_the_same(
    executor: Executor, interrupt: Interrupt, folder: Path
) -> None:
    executor.submit(Trial("toys:stubborn_end", 1, {}, "stubborn"), folder / "stubborn")
    told: list[Event] = []
    while not executor.idle:
        for _, event in executor.events():
            told.append(event)
            if isinstance(event, Progress) and event.epoch == 1:
                os.kill(os.getpid(), signal.SIGTERM)
    assert final(told).outcome is Outcome.INTERRUPTED


def test_a_trial_is_not_blamed_for_the_time_in_which_the_orchestrator_stood_still(
    processes: Open, folder: Path
) -> None:
    executor = processes(workers=1, stall_seconds=1.0)
    executor.submit(trial(epochs=8, pause=0.3), folder / "slow")
    told: list[Event] = []
    while not executor.idle:
        for _, event in executor.events():
            told.append(event)
            if isinstance(event, Progress) and event.epoch == 2:
                time.sleep(3)
    assert final(told).outcome is Outcome.COMPLETED


def test_a_trial_that_hangs_before_its_first_step_is_given_up(processes: Open, folder: Path) -> None:
    (events,) = drive(processes(workers=1, stall_seconds=0.1), [Trial("toys:stuck", 1, {}, "stuck")], folder).values()
    assert final(events).reason == "it made no step for 1 seconds"


def test_a_slow_first_epoch_is_the_pace_of_the_next(processes: Open, folder: Path) -> None:
    steady = trial(epochs=3, pause=1.0)  # beyond the floor, but no slower than before
    (events,) = drive(processes(workers=1, stall_seconds=0.5), [steady], folder).values()
    assert final(events).outcome is Outcome.COMPLETED


def test_a_trial_cannot_outlive_its_time_by_an_epoch_an_attempt(processes: Open, folder: Path) -> None:
    slow = Trial("toys:one_epoch_an_attempt", 1, {}, "slow")
    (events,) = drive(processes(workers=1, retries=1, trial_timeout=1.0), [slow], folder).values()
    assert final(events).reason == "it ran longer than the trial timeout of 1 seconds"
    assert [event.epoch for event in events if isinstance(event, Progress)] == [1, 2]


def test_a_stack_is_filled_with_trials_of_one_shape_and_number_of_threads(processes: Open, folder: Path) -> None:
    executor = processes(workers=1, stack=3)
    alone = [(stackable(0, x=1.0, epochs=2), 1), (stackable(1, x=2.0, epochs=2), 2), (stackable(2, x=3.0), 2)]
    for t, threads in alone:
        assert executor.has_free_slot
        executor.submit(t, folder / t.trial_key, threads)
    assert not executor.has_free_slot
    assert [final(events).outcome for events in drive(executor, [], folder).values()] == [Outcome.COMPLETED] * 3
    assert stacks(folder) == ["1 of 3"] * 3
    stacking = Stacking(3, ("x", "mode", "seed"))
    mixed = stacking.arranged(stackable(x=float(x), epochs=3 + x % 2) for x in range(1, 9))
    assert [t.place for t in mixed] == [0, 1, 2, 0, 0, 1, 2, 0]
    told = drive(executor, mixed, folder)
    assert {final(events).outcome for events in told.values()} == {Outcome.COMPLETED}
    assert stacks(folder)[3:] == ["3 of 3", "1 of 3"] * 2


def test_two_trials_of_one_place_do_not_share_a_stack(processes: Open, folder: Path) -> None:
    drive(processes(workers=1, stack=2), [stackable(1, x=1.0), stackable(1, x=2.0), stackable(0, x=3.0)], folder)
    assert stacks(folder) == ["1 of 2", "2 of 2"]


def test_each_trial_of_a_stack_ends_exactly_once_whatever_its_function_does(processes: Open, folder: Path) -> None:
    told = drive(
        processes(workers=1, stack=4),
        [stackable(i, mode=mode) for i, mode in enumerate(("fine", "nan", "text"))],
        folder,
    )
    outcomes = [final(events).outcome for events in told.values()]
    assert outcomes == [Outcome.COMPLETED, Outcome.EXPLODED, Outcome.FAILED]
    assert len({event.pid for events in told.values() for event in events if isinstance(event, Started)}) == 1


def test_inline_each_trial_is_a_stack_of_its_own_of_the_same_width(interrupt: Interrupt, folder: Path) -> None:
    stacking = Stacking(3, ("x", "mode", "seed"))
    executor = InlineExecutor("toys:stackable", DivergenceRule(), interrupt, threads=1, stacking=stacking)
    told = drive(executor, [stackable(0, x=1.0), stackable(1, x=2.0)], folder)
    assert [final(events).metrics for events in told.values()] == [{"final_score": 1.0}, {"final_score": 2.0}]
    assert stacks(folder) == ["1 of 3"] * 2


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


def test_a_stack_over_its_time_fails_all_that_have_not_ended(processes: Open, folder: Path) -> None:
    trials = [stackable(i, mode=mode) for i, mode in enumerate(("nan", "fine", "hang"))]
    (folder / trials[0].trial_key).mkdir()
    (folder / trials[0].trial_key / "epoch").write_text("1")  # so it explodes an epoch before the others hang
    told = drive(processes(stack=3, trial_timeout=3.0), trials, folder)
    exploded, *late = [final(events) for events in told.values()]
    assert exploded.outcome is Outcome.EXPLODED
    assert late == [Finished(Outcome.FAILED, reason="it ran longer than the trial timeout of 3 seconds")] * 2


def test_every_trial_of_a_stack_has_the_log_of_its_worker(processes: Open, folder: Path) -> None:
    trials = [stackable(0, mode="raise"), stackable(1, mode="fine")]
    (folder / trials[1].trial_key).mkdir()
    (folder / trials[1].trial_key / "log.txt").write_text("from before\n")
    drive(processes(workers=1, stack=2), trials, folder)
    for t in trials:
        log = (folder / t.trial_key / "log.txt").read_text()
        assert log.startswith("from before")
        assert "RuntimeError: the toy broke" in log


def test_an_interrupt_ends_all_trials_of_a_stack_after_their_epoch_and_those_that_wait(
    processes: Open, interrupt: Interrupt, folder: Path
) -> None:
    executor = processes(workers=1, stack=2)
    slow = [stackable(i, x=1.0 + i, epochs=200, pause=0.1) for i in range(2)]
    waiting = stackable(epochs=3)
    told: dict[str, list[Event]] = {}
    for t in (*slow, waiting):
        executor.submit(t, folder / t.trial_key)
    while not executor.idle:
        for t, event in executor.events():
            told.setdefault(t.label, []).append(event)
            if isinstance(event, Progress) and event.epoch == 2 and not interrupt.requested:
                os.kill(os.getpid(), signal.SIGINT)
    assert [final(told[t.label]).outcome for t in (*slow, waiting)] == [Outcome.INTERRUPTED] * 3
    assert [len(told[t.label]) for t in slow] == [len(told[slow[0].label])] * 2
    assert len(told[waiting.label]) == 1
    assert not interrupt.at_once


def drive_until(executor: Executor, trials: list[Trial], folder: Path, stops: dict[str, int]) -> dict[str, list[Event]]:
    """As `drive`, but trials are stopped after the epoch that `stops` has for their label."""
    told: dict[str, list[Event]] = defaultdict(list, {t.label: [] for t in trials})
    for t in trials:
        executor.submit(t, folder / t.trial_key)
    while not executor.idle:
        for t, event in executor.events():
            told[t.label].append(event)
            if isinstance(event, Progress) and event.epoch == stops.get(t.label):
                executor.stop(t, f"behind at {event.epoch}")
    return told


def epochs(events: list[Event]) -> list[int]:
    return [event.epoch for event in events if isinstance(event, Progress)]


def test_a_trial_that_is_stopped_ends_after_the_epoch_that_it_has_told(executor: Executor, folder: Path) -> None:
    slow = trial(epochs=50, x=2.0)
    (events,) = drive_until(executor, [slow], folder, {slow.label: 2}).values()
    assert epochs(events) == [1, 2]
    end = final(events)
    assert (end.outcome, end.reason) == (Outcome.PRUNED, "behind at 2")
    assert end.margin is not None
    assert end.margin < 0
    told = [entry.event for entry in journal.read(folder / slow.trial_key)]
    assert told == events
    assert final(drive(executor, [trial(x=1.0)], folder)[trial(x=1.0).label]).outcome is Outcome.COMPLETED


def test_a_trial_that_is_stopped_before_it_begins_does_nothing_but_end(executor: Executor, folder: Path) -> None:
    hopeless = trial(x=2.0)
    executor.submit(hopeless, folder / hopeless.trial_key)
    executor.stop(hopeless, "its others are worse")
    told = drive(executor, [], folder)[hopeless.label]
    assert told == [Finished(Outcome.PRUNED, reason="its others are worse")]
    assert [entry.event for entry in journal.read(folder / hopeless.trial_key)] == told
    assert not (folder / hopeless.trial_key / "artifacts").exists()


def test_a_trial_that_was_cut_off_can_be_stopped_where_it_was(executor: Executor, folder: Path) -> None:
    cut = trial(epochs=50)
    (folder / cut.trial_key).mkdir()
    running = runner.run(runner.Task(cut.function, cut.params, folder / cut.trial_key, DivergenceRule()))
    before = [next(running) for _ in range(4)]
    running.close()
    executor.submit(cut, folder / cut.trial_key)
    executor.stop(cut, "behind at 3")
    end = final(drive(executor, [], folder)[cut.label])
    assert (end.outcome, end.reason) == (Outcome.PRUNED, "behind at 3")
    assert [entry.event for entry in journal.read(folder / cut.trial_key)] == [*before, end]
    assert end.margin is not None


def test_what_has_exploded_by_the_epoch_after_which_it_is_stopped_has_exploded(
    executor: Executor, folder: Path
) -> None:
    rises = trial(mode="rise", epochs=9)  # from epoch 3 on, which is known at epoch 5
    (events,) = drive_until(executor, [rises], folder, {rises.label: 5}).values()
    assert final(events).outcome is Outcome.EXPLODED
    path = folder / rises.trial_key / journal.JOURNAL_FILE
    *lines, _ = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines))  # killed before its end stood in the journal
    executor.submit(rises, folder / rises.trial_key)
    executor.stop(rises, "behind at 5")
    assert final(drive(executor, [], folder)[rises.label]).outcome is Outcome.EXPLODED


def test_a_stopped_trial_ends_though_its_worker_dies_before_it_knows(processes: Open, folder: Path) -> None:
    executor = processes(workers=1, asks=True, retries=1)
    slow = trial(epochs=50)
    executor.submit(slow, folder / slow.trial_key)
    told: list[Event] = []
    while not executor.idle:
        for t, event in executor.events():
            told.append(event)
            if isinstance(event, Progress) and event.epoch == 2:
                assert isinstance(told[0], Started)
                os.kill(told[0].pid, signal.SIGKILL)
                executor.stop(t, "behind at 2")
    assert final(told).outcome is Outcome.PRUNED
    assert epochs(told) == [1, 2]


def test_an_interrupt_goes_before_a_verdict(executor: Executor, folder: Path) -> None:
    slow = trial(epochs=200, pause=0.05)
    executor.submit(slow, folder / slow.trial_key)
    told: list[Event] = []
    while not executor.idle:
        for t, event in executor.events():
            told.append(event)
            if isinstance(event, Progress) and event.epoch == 2:
                os.kill(os.getpid(), signal.SIGINT)
            if isinstance(event, Progress) and event.epoch == 3:
                executor.stop(t, "behind at 3")
    assert final(told).outcome is Outcome.INTERRUPTED
    assert len(epochs(told)) <= 3


def test_of_a_stack_only_those_end_that_are_stopped(processes: Open, folder: Path) -> None:
    executor = processes(workers=1, stack=4, asks=True)
    trials = [stackable(i, x=1.0 + i, epochs=4) for i in range(4)]
    executor.submit(trials[3], folder / trials[3].trial_key)
    executor.stop(trials[3], "its others are worse")
    told = drive_until(executor, trials[:3], folder, {trials[1].label: 2})
    assert stacks(folder) == ["3 of 4"]
    ended = [final(told[t.label]).outcome for t in trials]
    assert ended == [Outcome.COMPLETED, Outcome.PRUNED, Outcome.COMPLETED, Outcome.PRUNED]
    assert [epochs(told[t.label]) for t in trials] == [[1, 2, 3, 4], [1, 2], [1, 2, 3, 4], []]


DIGITS = {"dataset": "digits", "architecture": "fc", "num_layers": 1, "batch_size": 64, "epochs": 4}
SHARED = {"var": 0.25, "latent_dim": 8, "seed": 0, "precision": "fp32"}


@pytest.mark.slow
def test_a_stack_whose_worker_is_killed_ends_as_one_that_was_not_to_the_bit(interrupt: Interrupt, folder: Path) -> None:
    stacking = Stacking(3, ("var", "lr", "seed"))
    rates = (2e-3, 1e-3, 50.0)
    trials = stacking.arranged(Trial("models.train:train", 2, {**DIGITS, **SHARED, "lr": lr}, f"{lr}") for lr in rates)

    def ends(place: Path, kill_at: int | None) -> list[tuple[dict[int, dict[str, float]], Finished]]:
        told: dict[str, list[Event]] = {t.label: [] for t in trials}
        with ProcessExecutor(
            "models.train:train", DivergenceRule(), interrupt, workers=1, threads=1, stacking=stacking
        ) as executor:
            for t in trials:
                executor.submit(t, place / t.trial_key)
            while not executor.idle:
                for t, event in executor.events():
                    told[t.label].append(event)
                    if kill_at and isinstance(event, Progress) and event.epoch == kill_at:
                        os.kill(next(e.pid for e in told[t.label] if isinstance(e, Started)), signal.SIGKILL)
                        kill_at = None
        return [(curves(events), final(events)) for events in told.values()]

    def curves(events: list[Event]) -> dict[int, dict[str, float]]:
        progress = [event for event in events if isinstance(event, Progress)]
        return {e.epoch: {k: v for k, v in e.metrics.items() if k != "images_per_second"} for e in progress}

    untouched = ends(folder / "untouched", None)
    assert [end.outcome for _, end in untouched] == [Outcome.COMPLETED, Outcome.COMPLETED, Outcome.EXPLODED]
    assert ends(folder / "killed", 2) == untouched


@pytest.mark.parametrize("kind", ["process", "inline"])
def test_whoever_looks_on_is_told_of_steps(folder: Path, interrupt: Interrupt, kind: str) -> None:
    seen: list[tuple[Trial, Heartbeat]] = []
    one = Trial("toys:watched", 1, {"x": 1.0}, "watched")
    opened: Executor = InlineExecutor(
        "toys:watched", DivergenceRule(), interrupt, 1, on_heartbeat=lambda *beat: seen.append(beat)
    )
    if kind == "process":
        opened = ProcessExecutor(
            "toys:watched",
            DivergenceRule(),
            interrupt,
            workers=1,
            threads=1,
            on_heartbeat=lambda *beat: seen.append(beat),
        )
    with opened as executor:
        told = drive(executor, [one], folder)["watched"]
    assert final(told).outcome is Outcome.EXPLODED
    assert seen[0] == (one, Heartbeat(1, 50.0))
    assert all(a is one for a, _ in seen)
    if kind == "process":  # about once a second
        assert len(seen) < 10


def test_a_loss_that_is_none_travels_as_none() -> None:
    assert decode(encode(3, Heartbeat(7, float("nan")))) == (3, Heartbeat(7, None))
