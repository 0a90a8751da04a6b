"""The contract of `orchestrator/executors/contract.py`, kept by every executor of the registry."""

import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import driving
import local_jobs
import pytest
import remote
from driving import attempts, drive, epochs, final, stackable, stacks, trial
from local_jobs import LocalJobs
from processes import all_gone

from orchestrator import executors
from orchestrator.divergence import DivergenceRule
from orchestrator.errors import InputError, SweepError
from orchestrator.events import Event, Finished, Heartbeat, Infeasibility, Progress, Sampled, Started
from orchestrator.executors.contract import Executor
from orchestrator.system.interrupt import Interrupt
from orchestrator.system.machine import THREAD_VARIABLES, Resources
from orchestrator.trial import Outcome, Trial
from orchestrator.worker import journal, runner

Open = Callable[..., Executor]
# Trials by agents, with folders that they share with the orchestrator, or have apart from it; and in jobs, as of Slurm.
ELSEWHERE = [
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("agents", "agents apart", "jobs")),
    *(pytest.param(name, marks=pytest.mark.cluster) for name in executors.EXECUTORS if name not in driving.HERE),
]
isolating = pytest.mark.parametrize(
    "name", [*(name for name in driving.HERE if executors.find(name).isolates), *ELSEWHERE]
)

# Keeps a checkpoint as functions are asked to: of an epoch, once what it yielded for that stands in the journal.
KEEPING = """
import os, signal, time
from pathlib import Path
from toys import Config

def train(config: Config, workdir: Path):
    kept = workdir / "checkpoint"
    for epoch in range(int(kept.read_text()) + 1 if kept.exists() else 1, config.epochs + 1):
        time.sleep(config.pause)
        picture = workdir / "images" / "state" / f"{epoch}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_text("a picture")
        yield {"epoch": epoch, "train_loss": config.x / epoch}
        kept.write_text(str(epoch))
        deaths = len(list(workdir.glob("death *")))
        if config.mode == "kill" and deaths < epoch < config.epochs:
            (workdir / f"death {deaths}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
    (workdir / "artifacts").mkdir(exist_ok=True)
    (workdir / "artifacts" / "note.txt").write_text("kept")
    return {"final_score": config.x}
"""
# Has data that are never there for long.
PREPARING = """
import os, signal, time
from toys import Config

def slow(config: Config): ...
def dying(config: Config): ...

slow.prepare = lambda config: time.sleep(600)
dying.prepare = lambda config: os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(params=[*driving.HERE, *ELSEWHERE])
def name(request: pytest.FixtureRequest) -> str:
    """Of an executor."""
    return str(request.param)


@pytest.fixture
def open_(
    name: str, folder: Path, interrupt: Interrupt, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Open]:
    """Make an executor from a setup, and enter its context until the test ends."""
    options = request.getfixturevalue(f"{name}_options") if name in executors.EXECUTORS.keys() - driving.HERE else []
    for variable in THREAD_VARIABLES:
        monkeypatch.setenv(variable, "1")  # what runs in this process sets them for good
    with ExitStack() as opened:

        def open_(function: str = "toys:train", workers: int = 1, stack: int = 1, **more: Any) -> Executor:
            ours = {key: more.pop(key) for key in ("on_heartbeat", "awaits_verdicts", "resources") if key in more}
            log = Path(tempfile.mkdtemp(dir=folder, prefix="launch")) / "workers.log"
            made = driving.setup(function, interrupt, stack=stack, limits=more, workers=workers, log=log, **ours)
            if name.startswith("agents"):
                return opened.enter_context(remote.executor(made, folder / "nodes", apart=name.endswith("apart")))
            if name == "jobs":
                monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
                return opened.enter_context(local_jobs.executor(made, LocalJobs()))
            return opened.enter_context(executors.create(executors.place_of(None, name, options), made))

        yield open_


@pytest.fixture
def executor(open_: Open) -> Executor:
    """Has trials wait for verdicts."""
    return open_(workers=2, awaits_verdicts=True)


@pytest.fixture
def keeping(folder: Path) -> Callable[..., Trial]:
    """Makes trials of a function that keeps checkpoints, pictures and artifacts."""
    (folder / "keeping.py").write_text(KEEPING)
    return lambda **params: Trial("keeping:train", 1, params, str(params))


@pytest.fixture
def send(interrupt: Interrupt) -> Iterator[Callable[..., None]]:
    """Have Ctrl-C come so many seconds from now, whatever this thread does then."""
    timers: list[threading.Timer] = []

    def send(*delays: float) -> None:
        for delay in delays:
            timers.append(threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT)))
            timers[-1].start()

    yield send
    for timer in timers:  # those that are not needed any more
        timer.cancel()
        timer.join()


def test_an_executor_that_there_is_not_is_bad_input() -> None:
    with pytest.raises(InputError, match="there is no executor thread; available: process, inline, ray, slurm"):
        executors.find("thread")


# What trials report


def test_every_trial_ends_exactly_once_whatever_its_function_does(executor: Executor, folder: Path) -> None:
    modes = ["fine", "raise", "nan", "text", "rise"]
    heard = drive(executor, [trial(mode=mode, epochs=6) for mode in modes], folder)
    assert [final(events).outcome for events in heard.values()] == [
        Outcome.COMPLETED,
        Outcome.FAILED,
        Outcome.EXPLODED,
        Outcome.FAILED,
        Outcome.EXPLODED,
    ]
    assert all(isinstance(events[0], Started) for events in heard.values())


def test_a_trial_that_cannot_begin_has_an_end_alone(executor: Executor, folder: Path) -> None:
    impossible = trial(mode="raise", x=13)
    (event,) = drive(executor, [impossible], folder)[impossible.label]
    assert isinstance(event, Finished)
    assert event.outcome is Outcome.FAILED
    assert "mode raise and x=13 do not go together" in str(event.reason)


def test_an_executor_is_idle_until_a_trial_is_submitted_and_after_its_end(open_: Open, folder: Path) -> None:
    executor = open_()
    assert executor.idle
    assert executor.has_free_slot
    executor.submit(trial(x=1.0), folder / "one")
    assert not executor.idle
    assert not executor.has_free_slot
    drive(executor, [], folder)
    assert executor.idle
    assert final(drive(executor, [trial(x=2.0)], folder)[trial(x=2.0).label]).metrics == {"final_score": 2.0}


@pytest.mark.slow
def test_with_no_slots_nothing_begins_and_events_are_waited_for(
    open_: Open, interrupt: Interrupt, folder: Path
) -> None:
    executor = open_(workers=1)
    executor.resize(0)
    assert not executor.has_free_slot
    is_woken = threading.Event()

    def wake() -> None:
        is_woken.set()
        interrupt.wake()

    timer = threading.Timer(0.2, wake)
    timer.start()
    while not is_woken.is_set():
        assert [*executor.events()] == []
    timer.join()
    executor.resize(1)
    assert executor.has_free_slot
    assert final(drive(executor, [trial(x=1.0)], folder)[trial(x=1.0).label]).outcome is Outcome.COMPLETED


def test_what_runs_goes_on_to_its_end_whatever_slots_are_left(open_: Open, folder: Path) -> None:
    executor, slow = open_(workers=1), trial(epochs=5, pause=0.05)
    executor.submit(slow, folder / slow.trial_key)
    executor.resize(0)
    heard: list[Event] = []
    while not executor.idle:
        heard += [event for _, event in executor.events()]
    assert final(heard).outcome is Outcome.COMPLETED
    assert not executor.has_free_slot


def test_an_event_is_yielded_once_the_folder_holds_what_it_is_about(
    open_: Open, keeping: Callable[..., Trial], folder: Path
) -> None:
    executor, kept, workdir = open_("keeping:train"), keeping(epochs=4, pause=0.05), folder / "not" / "there"
    executor.submit(kept, workdir)
    heard: list[Event] = []
    while not executor.idle:
        for _, event in executor.events():
            heard.append(event)
            written = [entry.event for entry in journal.read(workdir)]
            assert written[: len(heard)] == heard
            for epoch in epochs(heard):
                assert (workdir / "images" / "state" / f"{epoch}.png").is_file()
            checkpoint = workdir / "checkpoint"
            assert not checkpoint.exists() or int(checkpoint.read_text() or 0) <= len(epochs(written))
    assert final(heard).metrics == {"final_score": 1.0}
    assert epochs(heard) == [1, 2, 3, 4]
    assert (workdir / "checkpoint").read_text() == "4"
    assert (workdir / "artifacts" / "note.txt").read_text() == "kept"


def test_a_trial_goes_on_from_what_an_earlier_attempt_left(
    open_: Open, keeping: Callable[..., Trial], folder: Path
) -> None:
    cut = keeping(epochs=4)
    before = begun(cut, folder / cut.trial_key, events=4)
    heard = drive(open_("keeping:train"), [cut], folder)[cut.label]
    assert epochs(heard) == [3, 4]  # the third was cut off before its checkpoint
    assert [entry.event for entry in journal.read(folder / cut.trial_key)] == [*before, *heard[2:]]


def test_a_trial_that_has_its_result_in_its_journal_only_reports_it(
    open_: Open, keeping: Callable[..., Trial], folder: Path
) -> None:
    ended = keeping(epochs=2)
    before = begun(ended, folder / ended.trial_key, events=4)
    (folder / ended.trial_key / "checkpoint").write_text("0")
    assert drive(open_("keeping:train"), [ended], folder)[ended.label] == before
    assert (folder / ended.trial_key / "checkpoint").read_text() == "0"


def begun(begun: Trial, workdir: Path, events: int) -> list[Event]:
    """The events of an attempt that was cut off after so many."""
    workdir.mkdir()
    running = runner.run(runner.Task(begun.function, begun.params, workdir, DivergenceRule()))
    heard = [next(running) for _ in range(events)]
    running.close()
    return heard


def test_a_trial_has_the_threads_of_its_slot_or_those_that_it_is_given(open_: Open, folder: Path) -> None:
    executor = open_()
    executor.submit(trial(x=1.0), folder / "one", 3)
    (given,) = attempts(drive(executor, [], folder)[trial(x=1.0).label])
    assert given.threads == 3
    own = [attempts(events)[0].threads for events in drive(executor, [trial(x=2.0), trial(x=4.0)], folder).values()]
    assert own[0] == own[1] >= 1


@pytest.mark.parametrize(("gpus", "seen"), [(0, ""), (2, "5,7"), (1, "5")])
def test_a_trial_sees_the_gpus_that_it_takes_and_the_environment_stays(
    open_: Open, folder: Path, monkeypatch: pytest.MonkeyPatch, gpus: float, seen: str, name: str
) -> None:
    if name not in driving.HERE and not name.startswith("agents"):
        pytest.skip("an engine has GPUs of its own")
    (folder / "seeing.py").write_text(
        "import os\nfrom pathlib import Path\nfrom toys import Config\n"
        "def train(config: Config):\n"
        "    Path('seen').write_text(os.environ['CUDA_VISIBLE_DEVICES'])\n    return {'x': config.x}\n"
    )
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    executor = open_("seeing:train", resources=Resources(gpus=gpus))
    drive(executor, [Trial("seeing:train", 1, {"x": 1.0}, "x")], folder)
    executor.__exit__(None, None, None)
    assert (folder / "seen").read_text() == seen
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "5,7"


def test_trials_of_one_shape_come_to_what_they_come_to_alone(open_: Open, folder: Path, name: str) -> None:
    executor = open_("toys:stackable", stack=3)
    heard = drive(executor, [stackable(i, x=1.0 + i) for i in range(2)], folder)
    assert [final(events).metrics for events in heard.values()] == [{"final_score": 1.0}, {"final_score": 2.0}]
    if name in driving.HERE:
        assert {line.partition(" ")[2] for line in stacks(folder)} == {"of 3"}


def test_each_trial_of_a_shape_ends_exactly_once_whatever_its_function_does(open_: Open, folder: Path) -> None:
    trials = [stackable(i, mode=mode) for i, mode in enumerate(("fine", "nan", "text"))]
    heard = drive(open_("toys:stackable", stack=4), trials, folder)
    outcomes = [final(events).outcome for events in heard.values()]
    assert outcomes == [Outcome.COMPLETED, Outcome.EXPLODED, Outcome.FAILED]


def test_whoever_looks_on_sees_steps(open_: Open, folder: Path) -> None:
    seen: list[tuple[Trial, Heartbeat]] = []
    watched = Trial("toys:watched", 1, {"x": 1.0}, "watched")
    executor = open_("toys:watched", on_heartbeat=lambda *heartbeat: seen.append(heartbeat))
    assert final(drive(executor, [watched], folder)["watched"]).outcome is Outcome.EXPLODED
    assert seen[0] == (watched, Heartbeat(1, 50.0))
    assert all(shown is watched for shown, _ in seen)


@pytest.mark.slow
def test_a_running_trial_is_sampled_and_one_that_has_ended_is_not(
    open_: Open, folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("orchestrator.executors.resources.SECONDS_BETWEEN_SAMPLES", 0.1)
    pause = 0.1 if name in driving.HERE else 2.0  # what is set here is not set there
    for events in drive(open_(), [trial(x=x, epochs=6, pause=pause) for x in (1.0, 2.0)], folder).values():
        final(events)
        assert isinstance(events[0], Started)
        samples = [event for event in events if isinstance(event, Sampled)]
        assert len(samples) >= 2
        for sample in samples:
            assert sample.metrics["system/system_memory_usage_megabytes"] > 1
            assert abs(sample.at - time.time()) < 60


def test_leaving_the_context_ends_what_runs(open_: Open, keeping: Callable[..., Trial], folder: Path) -> None:
    executor = open_("keeping:train")
    executor.submit(keeping(epochs=500, pause=0.02), folder / "endless")
    while not (folder / "endless" / "checkpoint").exists():
        list(executor.events())
    executor.__exit__(None, None, None)
    before = (folder / "endless" / "checkpoint").read_text()
    time.sleep(0.3)
    assert (folder / "endless" / "checkpoint").read_text() == before


# Data


def test_missing_data_are_bad_input(open_: Open) -> None:
    with pytest.raises(InputError, match=r"/nowhere/data.bin: is missing; put it there"):
        open_("toys:missing_data").prepare([{}])


def test_data_that_are_there_are_none(open_: Open) -> None:
    open_().prepare([{}, {"x": 2.0}])


def test_a_second_interrupt_ends_the_wait_for_data(
    open_: Open, send: Callable[..., None], interrupt: Interrupt, folder: Path
) -> None:
    (folder / "preparing.py").write_text(PREPARING)
    executor = open_("preparing:slow")
    send(0.5, 1.0)
    executor.prepare([{}])
    assert interrupt.requested


# Interrupts


@pytest.mark.slow
def test_an_interrupt_ends_trials_after_their_epoch(executor: Executor, interrupt: Interrupt, folder: Path) -> None:
    slow = trial(epochs=200, pause=0.1)
    executor.submit(slow, folder / "slow")
    heard: list[Event] = []
    while not executor.idle:
        for _, event in executor.events():
            heard.append(event)
            if isinstance(event, Progress) and event.epoch == 2:
                os.kill(os.getpid(), signal.SIGINT)
    assert final(heard).outcome is Outcome.INTERRUPTED
    assert 2 <= max(epochs(heard)) < 100
    assert not interrupt.at_once


def test_what_waits_when_an_interrupt_comes_does_not_begin(executor: Executor, folder: Path) -> None:
    waits = trial(x=2.0)
    executor.submit(waits, folder / waits.trial_key)
    os.kill(os.getpid(), signal.SIGINT)
    (end,) = drive(executor, [], folder)[waits.label]
    assert end == Finished(Outcome.INTERRUPTED)
    assert journal.read(folder / waits.trial_key) == []


@pytest.mark.slow
@pytest.mark.parametrize("delays", [(0.0, 0.0), (0.3, 0.6)])
def test_a_second_interrupt_ends_them_at_once(
    executor: Executor, send: Callable[..., None], interrupt: Interrupt, folder: Path, delays: tuple[float, ...]
) -> None:
    executor.submit(trial(mode="hang"), folder / "hang")
    heard: list[Event] = []
    while not executor.idle:
        for _, event in executor.events():
            heard.append(event)
            if isinstance(event, Progress):
                send(*delays)  # before the epoch that hangs, or in it
    assert final(heard).outcome is Outcome.INTERRUPTED
    assert epochs(heard) == [1]
    assert interrupt.at_once


@pytest.mark.slow
def test_a_function_that_will_not_be_closed_is_interrupted_all_the_same(
    executor: Executor, interrupt: Interrupt, folder: Path
) -> None:
    executor.submit(Trial("toys:stubborn_end", 1, {}, "stubborn"), folder / "stubborn")
    heard: list[Event] = []
    while not executor.idle:
        for _, event in executor.events():
            heard.append(event)
            if isinstance(event, Progress) and event.epoch == 1:
                os.kill(os.getpid(), signal.SIGTERM)
    assert final(heard).outcome is Outcome.INTERRUPTED


# Stops


def test_a_trial_that_is_stopped_ends_after_the_epoch_that_it_has_reported(executor: Executor, folder: Path) -> None:
    slow = trial(epochs=50, x=2.0)
    (events,) = drive(executor, [slow], folder, {slow.label: 2}).values()
    assert epochs(events) == [1, 2]
    end = final(events)
    assert (end.outcome, end.reason) == (Outcome.PRUNED, "behind at 2")
    assert end.margin is not None
    assert end.margin < 0
    assert [entry.event for entry in journal.read(folder / slow.trial_key)] == events
    assert final(drive(executor, [trial(x=1.0)], folder)[trial(x=1.0).label]).outcome is Outcome.COMPLETED


@pytest.mark.slow
@pytest.mark.parametrize("awaits_verdicts", [True, False])
def test_a_trial_that_is_stopped_before_it_begins_does_nothing_but_end(
    open_: Open, folder: Path, awaits_verdicts: bool
) -> None:
    executor, hopeless = open_(awaits_verdicts=awaits_verdicts), trial(x=2.0)
    executor.submit(hopeless, folder / hopeless.trial_key)
    executor.stop(hopeless, "its others are worse")
    heard = drive(executor, [], folder)[hopeless.label]
    assert heard == [Finished(Outcome.PRUNED, reason="its others are worse")]
    assert [entry.event for entry in journal.read(folder / hopeless.trial_key)] == heard
    assert not (folder / hopeless.trial_key / "artifacts").exists()


@pytest.mark.slow
@pytest.mark.parametrize("awaits_verdicts", [True, False])
def test_a_trial_that_is_stopped_within_an_epoch_ends_after_it(
    open_: Open, folder: Path, awaits_verdicts: bool
) -> None:
    executor, slow = open_(awaits_verdicts=awaits_verdicts), trial(epochs=500, pause=0.05)
    executor.submit(slow, folder / slow.trial_key)
    heard: list[Event] = []
    while not epochs(heard):
        heard += [event for _, event in executor.events()]
    executor.stop(slow, "by hand")
    heard += drive(executor, [], folder)[slow.label]
    assert (final(heard).outcome, final(heard).reason) == (Outcome.PRUNED, "by hand")
    assert len(epochs(heard)) < 500
    assert [entry.event for entry in journal.read(folder / slow.trial_key)] == [
        event for event in heard if not isinstance(event, Sampled)
    ]
    assert final(drive(executor, [trial(x=1.0)], folder)[trial(x=1.0).label]).outcome is Outcome.COMPLETED


@pytest.mark.slow
def test_a_trial_that_was_cut_off_can_be_stopped_where_it_was(executor: Executor, folder: Path) -> None:
    cut = trial(epochs=50)
    before = begun(cut, folder / cut.trial_key, events=4)
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
    (events,) = drive(executor, [rises], folder, {rises.label: 5}).values()
    assert final(events).outcome is Outcome.EXPLODED
    path = folder / rises.trial_key / journal.JOURNAL_FILE
    *lines, _ = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines))  # killed before its end stood in the journal
    executor.submit(rises, folder / rises.trial_key)
    executor.stop(rises, "behind at 5")
    assert final(drive(executor, [], folder)[rises.label]).outcome is Outcome.EXPLODED


def test_an_interrupt_goes_before_a_verdict(executor: Executor, folder: Path) -> None:
    slow = trial(epochs=200, pause=0.05)
    executor.submit(slow, folder / slow.trial_key)
    heard: list[Event] = []
    while not executor.idle:
        for t, event in executor.events():
            heard.append(event)
            if isinstance(event, Progress) and event.epoch == 2:
                os.kill(os.getpid(), signal.SIGINT)
            if isinstance(event, Progress) and event.epoch == 3:
                executor.stop(t, "behind at 3")
    assert final(heard).outcome is Outcome.INTERRUPTED
    assert len(epochs(heard)) <= 3


# Lost workers


@pytest.mark.slow
@isolating
@pytest.mark.parametrize(
    ("mode", "reason"),
    [("kill", "its worker was killed by SIGKILL"), ("exit", "its worker exited with status 3")],
)
def test_a_worker_that_dies_fails_its_trial_and_is_replaced(open_: Open, folder: Path, mode: str, reason: str) -> None:
    dead, fine = drive(open_(), [trial(mode=mode), trial(mode="fine")], folder).values()
    assert final(dead) == Finished(Outcome.FAILED, reason=reason)
    assert epochs(dead) == [1]
    assert final(fine).outcome is Outcome.COMPLETED


@pytest.mark.slow
@isolating
def test_a_trial_that_loses_its_worker_goes_on_from_its_checkpoint_as_long_as_it_gets_on(
    open_: Open, keeping: Callable[..., Trial], folder: Path
) -> None:
    unlucky = keeping(mode="kill", epochs=4)
    (events,) = drive(open_("keeping:train", retries=1), [unlucky], folder).values()
    assert final(events).outcome is Outcome.COMPLETED
    assert epochs(events) == [1, 2, 3, 4]
    assert len(attempts(events)) == 4


@pytest.mark.slow
@isolating
def test_a_trial_that_loses_its_worker_again_and_again_at_one_epoch_has_failed(open_: Open, folder: Path) -> None:
    (events,) = drive(open_(retries=2), [trial(mode="exit")], folder).values()
    assert final(events).reason == "its worker exited with status 3"
    assert len(attempts(events)) == 3


@isolating
def test_what_a_trial_raises_is_not_tried_again(open_: Open, folder: Path) -> None:
    (events,) = drive(open_(retries=2), [trial(mode="raise")], folder).values()
    assert final(events).outcome is Outcome.FAILED
    assert len(attempts(events)) == 1


RAISING = """
import asyncio, sys
from toys import Config

class Stop(BaseException): ...

class Unsayable(Exception):
    def __str__(self):
        return None

LEFT = GeneratorExit("left")
ERRORS = [Stop("enough"), KeyboardInterrupt(), LEFT, asyncio.CancelledError(), SystemExit(0), Unsayable()]

def train(config: Config):
    yield {"epoch": 1, "train_loss": 1.0}
    raise ERRORS[config.seed]

def unready(config: Config):
    yield {"epoch": 1, "train_loss": 1.0}

def prepare(config: Config):
    raise Stop("no data")

unready.prepare = prepare
"""


@pytest.mark.slow
def test_what_a_trial_raises_is_named_whatever_it_is(open_: Open, interrupt: Interrupt, folder: Path) -> None:
    (folder / "raising.py").write_text(RAISING)
    trials = [Trial("raising:train", 1, {"seed": seed}, f"{seed}") for seed in range(6)]
    reasons = [final(events).reason for events in drive(open_("raising:train"), trials, folder).values()]
    of_others = ["CancelledError", "SystemExit: 0", "Unsayable"]
    assert reasons == ["Stop: enough", "KeyboardInterrupt", "GeneratorExit: left", *of_others]
    with pytest.raises(InputError, match="raising:unready cannot be used: Stop: no data"):
        open_("raising:unready").prepare([{}])
    assert not interrupt.requested


@pytest.mark.slow
@isolating
def test_a_trial_over_its_time_is_killed_with_its_children(
    open_: Open, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHILD_PID_FILE", str(folder / "child.pid"))
    hung, fine = drive(open_(trial_timeout=3.0), [trial(mode="spawn"), trial(mode="fine")], folder).values()
    lack = Infeasibility("time", limit=3.0)
    said = "it ran longer than the trial timeout of 3 seconds"
    assert final(hung) == Finished(Outcome.INFEASIBLE, reason=said, infeasible=lack)
    assert final(fine).outcome is Outcome.COMPLETED
    assert all_gone([int((folder / "child.pid").read_text())])


@pytest.mark.slow
@isolating
def test_a_trial_that_never_stops_reporting_is_held_to_its_time(open_: Open, folder: Path) -> None:
    (events,) = drive(open_(trial_timeout=1.0), [Trial("toys:chatty", 1, {}, "chatty")], folder).values()
    assert final(events).reason == "it ran longer than the trial timeout of 1 seconds"


@pytest.mark.slow
@isolating
def test_a_trial_over_its_time_is_not_tried_again(open_: Open, folder: Path) -> None:
    slow = Trial("toys:one_epoch_an_attempt", 1, {}, "slow")
    (events,) = drive(open_(retries=1, trial_timeout=1.0), [slow], folder).values()
    assert final(events).reason == "it ran longer than the trial timeout of 1 seconds"
    assert epochs(events) == [1]


@pytest.mark.slow
@isolating
def test_the_attempts_at_a_trial_share_its_time(open_: Open, folder: Path) -> None:
    dying = Trial("toys:one_epoch_a_life", 1, {}, "dying")
    (events,) = drive(open_(retries=1, trial_timeout=2.0), [dying], folder).values()
    assert final(events).reason == "it ran longer than the trial timeout of 2 seconds"
    assert len(attempts(events)) > 1  # each with an epoch of its own, so none of these deaths counts


@pytest.mark.slow
@isolating
def test_a_trial_that_hangs_before_its_first_step_is_given_up(open_: Open, folder: Path) -> None:
    (events,) = drive(open_(stall_seconds=0.1), [Trial("toys:stuck", 1, {}, "stuck")], folder).values()
    assert final(events).reason == "it made no step for 1 seconds"


@pytest.mark.slow
@isolating
def test_a_slow_first_epoch_is_the_pace_of_the_next(open_: Open, folder: Path) -> None:
    steady = trial(epochs=3, pause=1.0)  # beyond the floor, but no slower than before
    (events,) = drive(open_(stall_seconds=0.5), [steady], folder).values()
    assert final(events).outcome is Outcome.COMPLETED


@pytest.mark.slow
@isolating
def test_a_trial_is_not_blamed_for_the_time_in_which_the_orchestrator_stood_still(open_: Open, folder: Path) -> None:
    executor = open_(stall_seconds=1.0)
    executor.submit(trial(epochs=8, pause=0.3), folder / "slow")
    heard: list[Event] = []
    while not executor.idle:
        for _, event in executor.events():
            heard.append(event)
            if isinstance(event, Progress) and event.epoch == 2:
                time.sleep(3)
    assert final(heard).outcome is Outcome.COMPLETED


@isolating
def test_a_worker_that_dies_is_noticed_though_its_child_lives_on(open_: Open, folder: Path) -> None:
    forked = Trial("toys:forked", 1, {}, "forked")
    (events,) = drive(open_(), [forked], folder).values()
    assert final(events).reason == "its worker was killed by SIGKILL"
    assert "last words" in (folder / forked.trial_key / "log.txt").read_text()


@isolating
def test_what_a_trial_prints_goes_to_its_log(open_: Open, folder: Path) -> None:
    broken = trial(mode="raise")
    drive(open_(), [broken], folder)
    log = (folder / broken.trial_key / "log.txt").read_text()
    assert "training with x=1.0" in log
    assert "RuntimeError: the toy broke" in log


@pytest.mark.slow
@isolating
def test_a_worker_that_dies_over_the_data_is_replaced(open_: Open, folder: Path, name: str) -> None:
    open_("toys:fragile", retries=2).prepare([{}])
    assert (folder / "tried").exists() or name not in driving.HERE  # on another machine it is in the folder there


@pytest.mark.slow
@isolating
def test_data_over_which_every_worker_dies_end_the_sweep(open_: Open, folder: Path) -> None:
    (folder / "preparing.py").write_text(PREPARING)
    with pytest.raises(
        SweepError, match="preparing:dying could not prepare its data: its worker was killed by SIGKILL"
    ):
        open_("preparing:dying", retries=1).prepare([{}])
