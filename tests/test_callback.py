"""Trial functions that call `report` instead of yielding: alone, and by every executor."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import driving
import pytest
from driving import attempts, drive, epochs, final

from orchestrator import executors
from orchestrator.divergence import DivergenceRule
from orchestrator.events import Event, Finished, Progress, Started
from orchestrator.executors.contract import Executor
from orchestrator.system.interrupt import Interrupt
from orchestrator.system.machine import THREAD_VARIABLES
from orchestrator.trial import Outcome, Trial
from orchestrator.worker import callback, journal, runner

Open = Callable[..., Executor]
isolating = pytest.mark.parametrize("name", [name for name in driving.HERE if executors.find(name).isolates])


def trial(function: str = "reporting", **params: object) -> Trial:
    return Trial(f"toys:{function}", 1, params, f"{function} {params}")


def run(folder: Path, function: str, **params: object) -> list[Event]:
    return list(runner.run(runner.Task(function, params, folder, DivergenceRule())))


# The function by itself


def test_what_is_reported_is_what_a_generator_would_yield() -> None:
    def train(report: Callable[..., None]) -> str:
        report({"epoch": 1, "loss": 0.5})
        report(epoch=2, loss=0.25)
        report({"epoch": 3}, metrics=1.0)
        return "the end"

    training = callback.iterate(train)
    assert [next(training) for _ in range(3)] == [
        {"epoch": 1, "loss": 0.5},
        {"epoch": 2, "loss": 0.25},
        {"epoch": 3, "metrics": 1.0},
    ]
    with pytest.raises(StopIteration, match="the end"):
        next(training)


def test_the_function_waits_in_report_and_runs_in_the_thread_that_iterates() -> None:
    seen: list[object] = []

    def train(report: Callable[..., None]) -> None:
        seen.append(threading.current_thread())
        report(loss=1.0)
        seen.append("went on")

    training = callback.iterate(train)
    next(training)
    assert seen == [threading.main_thread()]
    assert list(training) == []
    assert seen[1:] == ["went on"]


def test_closing_runs_what_the_function_does_at_its_end_and_nothing_else() -> None:
    seen: list[str] = []

    def train(report: Callable[..., None]) -> None:
        try:
            report(loss=1.0)
            seen.append("went on")
        except Exception:
            seen.append("caught")
        finally:
            seen.append("cleared up")

    training = callback.iterate(train)
    next(training)
    training.close()
    assert seen == ["cleared up"]


def test_a_function_that_keeps_the_end_to_itself_hears_it_at_each_call() -> None:
    heard: list[str] = []

    def train(report: Callable[..., None]) -> None:
        for _ in range(3):
            try:
                report(loss=1.0)
            except BaseException as error:
                heard.append(str(error))

    training = callback.iterate(train)
    next(training)
    training.close()
    assert heard == ["this trial has ended"] * 3


def test_report_is_of_no_use_in_another_thread_and_after_the_end() -> None:
    kept: list[Callable[..., None]] = []
    raised: list[BaseException] = []

    def train(report: Callable[..., None]) -> None:
        def elsewhere() -> None:
            try:
                report(loss=1.0)
            except RuntimeError as error:
                raised.append(error)

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        kept.append(report)

    assert list(callback.iterate(train)) == []
    with pytest.raises(RuntimeError, match="call `report` where the trial function runs"):
        kept[0](loss=1.0)
    assert "in its thread" in str(raised[0])


# As a trial


def test_a_trial_that_reports_is_one_that_yields(folder: Path) -> None:
    started, *progress, finished = run(folder, "toys:reporting", x=2.0, seed=5)
    assert isinstance(started, Started)
    assert [(event.epoch, event.metrics) for event in progress if isinstance(event, Progress)] == [
        (1, {"train_loss": 20.0}),
        (2, {"train_loss": 10.0}),
        (3, {"train_loss": 20 / 3}),
    ]
    assert finished == Finished(Outcome.COMPLETED, {"final_score": 7.0}, margin=-3.0)


@pytest.mark.parametrize("mode", ["nan", "rise"])
def test_an_explosion_by_epoch_ends_it(folder: Path, mode: str) -> None:
    events = run(folder, "toys:reporting", mode=mode, epochs=20)
    end = final(events)
    assert end.outcome is Outcome.EXPLODED
    assert end.explosion is not None
    assert end.explosion.epoch == 3
    assert epochs(events) == {"nan": [1, 2], "rise": [1, 2, 3, 4, 5]}[mode]


def test_what_it_raises_fails_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert final(run(folder, "toys:reporting", mode="raise")).reason == "RuntimeError: the toy broke on two lines"
    assert "_misbehave" in capsys.readouterr().err


def test_what_is_wrong_with_what_it_reports_is_said(folder: Path) -> None:
    (folder / "odd.py").write_text(
        "from toys import Config\n"
        "def f(config: Config, report):\n    report(5)\n"
        "def g(config: Config, report):\n    report({'epoch': 1, 'train_loss': 'low'})\n    print('went on')\n"
        "def h(config: Config, report):\n    report(loss=1.0)\n    yield {'loss': 1.0}\n"
        "def k(config: Config, report):\n    report(loss=1.0)\n    return 5\n"
    )
    assert [final(run(folder, f"odd:{name}")).reason for name in "fghk"] == [
        "TypeError: `report` takes a mapping of metrics, as report({'loss': 0.5}), not 5",
        "TypeError: the metric train_loss is 'low', not a number",
        "TypeError: the trial function takes `report` and also yields; have it do either",
        "TypeError: the trial function returned 5, not a mapping of metrics",
    ]


def test_a_trial_whose_framework_catches_the_alarm_ends_with_its_next_report(folder: Path) -> None:
    end = final(run(folder, "toys:keeps_to_itself", mode="nan", epochs=50))
    assert end.outcome is Outcome.EXPLODED
    assert (folder / "reached.txt").read_text().split() == ["1", "2"]


def test_every_epoch_is_in_the_journal_before_the_function_goes_on(folder: Path) -> None:
    training = runner.run(runner.Task("toys:reporting", {"epochs": 50}, folder, DivergenceRule()))
    next(training)
    for epoch in (1, 2, 3):
        next(training)
        assert getattr(journal.read(folder)[-1].event, "epoch", 0) == epoch
        assert not (folder / "checkpoint").exists() or int((folder / "checkpoint").read_text()) == epoch - 1
    training.close()
    assert (folder / "checkpoint").read_text() == "2"
    assert epochs(run(folder, "toys:reporting", epochs=5)) == [3, 4, 5]
    assert [getattr(entry.event, "epoch", 0) for entry in journal.read(folder)] == [0, 1, 2, 3, 4, 5, 0]


def test_pdb_steps_over_report(folder: Path) -> None:
    (folder / "stepped.py").write_text(
        "from toys import Config\n"
        "def train(config: Config, report):\n"
        "    breakpoint()\n    report(loss=1.0)\n    after = 'went on'\n    report(loss=0.5)\n"
    )
    code = (
        "from pathlib import Path\n"
        "from orchestrator.worker import runner\nfrom orchestrator.divergence import DivergenceRule\n"
        "for event in runner.run(runner.Task('stepped:train', {}, Path(), DivergenceRule())): print(event.kind)\n"
    )
    commands = "next\nnext\nnext\np after\ncontinue\n"
    ended = subprocess.run(
        [sys.executable, "-c", code], input=commands, capture_output=True, text=True, check=False, timeout=60
    )
    assert "(Pdb) 'went on'" in ended.stdout, ended
    assert [line for line in ended.stdout.split() if line in ("started", "progress", "finished")] == [
        *("started", "progress", "progress", "finished")
    ]


# By an executor


@pytest.fixture(params=driving.HERE)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def open_(name: str, folder: Path, interrupt: Interrupt, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    for variable in THREAD_VARIABLES:
        monkeypatch.setenv(variable, "1")
    with ExitStack() as opened:

        def open_(awaits_verdicts: bool = True, **limits: object) -> Executor:
            made = driving.setup("toys:reporting", interrupt, limits=limits, workers=1, awaits_verdicts=awaits_verdicts)
            return opened.enter_context(executors.create(executors.Place(name), made))

        yield open_


def interrupted(executor: Executor, slow: Trial, folder: Path, signals: Callable[[], None]) -> list[Event]:
    """The events of a trial; signals come after its first epoch."""
    executor.submit(slow, folder / slow.trial_key)
    heard: list[Event] = []
    while not executor.idle:
        for _, event in executor.events():
            heard.append(event)
            if isinstance(event, Progress) and event.epoch == 1:
                signals()
    return heard


def once() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def twice() -> None:
    for delay in (0.3, 0.6):
        threading.Timer(delay, once).start()


@pytest.mark.slow
def test_a_pruned_trial_ends_at_the_report_of_the_epoch_that_was_judged(open_: Open, folder: Path) -> None:
    for function in ("reporting", "keeps_to_itself"):
        slow = trial(function, epochs=50)
        (events,) = drive(open_(), [slow], folder, {slow.label: 2}).values()
        assert epochs(events) == [1, 2]
        assert (final(events).outcome, final(events).reason) == (Outcome.PRUNED, "behind at 2")
    assert (folder / "reached.txt").read_text().split() == ["1", "2"]
    assert final(drive(open_(), [trial(x=1.0)], folder)[trial(x=1.0).label]).outcome is Outcome.COMPLETED


@pytest.mark.parametrize("function", ["reporting", "will_not_end"])
def test_an_interrupt_ends_it_after_its_epoch(open_: Open, folder: Path, interrupt: Interrupt, function: str) -> None:
    heard = interrupted(open_(), trial(function, epochs=200, pause=0.02), folder, once)
    assert final(heard).outcome is Outcome.INTERRUPTED
    assert len(epochs(heard)) < 100
    assert not interrupt.at_once
    assert (folder / "kept.txt").exists() == (function == "will_not_end")


@pytest.mark.slow
def test_a_second_interrupt_ends_it_at_once(open_: Open, folder: Path, interrupt: Interrupt) -> None:
    heard = interrupted(open_(), trial(mode="hang"), folder, twice)
    assert final(heard).outcome is Outcome.INTERRUPTED
    assert epochs(heard) == [1]


@pytest.mark.slow
def test_after_an_interrupt_it_goes_on_from_its_checkpoint(open_: Open, folder: Path, interrupt: Interrupt) -> None:
    slow = trial(epochs=6, pause=0.1)
    first = interrupted(open_(), slow, folder, once)
    interrupt.requested = False
    second = drive(open_(), [slow], folder)[slow.label]
    assert sorted({*epochs(first), *epochs(second)}) == [1, 2, 3, 4, 5, 6]
    assert epochs(second)[0] >= epochs(first)[-1]
    assert final(second).metrics == {"final_score": 1.0}


@pytest.mark.slow
@isolating
def test_kills_are_survived(open_: Open, folder: Path) -> None:
    unlucky = trial(mode="kill", epochs=4)
    (events,) = drive(open_(retries=1), [unlucky], folder).values()
    assert final(events).outcome is Outcome.COMPLETED
    assert epochs(events) == [1, 2, 3, 4]
    assert len(attempts(events)) == 4


@pytest.mark.slow
@isolating
@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"trial_timeout": 3.0}, "it ran longer than the trial timeout of 3 seconds"),
        ({"stall_seconds": 0.5}, "it made no step for"),
    ],
)
def test_limits_hold_for_it(open_: Open, folder: Path, limits: dict[str, float], reason: str) -> None:
    (events,) = drive(open_(**limits), [trial(mode="hang")], folder).values()
    assert str(final(events).reason).startswith(reason)
    assert epochs(events) == [1]


def test_ctrl_c_reaches_a_function_that_makes_something_else_of_it(open_: Open, folder: Path) -> None:
    (folder / "frameworks.py").write_text(
        "import sys, time\nfrom toys import Config\n"
        "def train(config: Config, report):\n"
        "    report(loss=1.0)\n"
        "    try:\n        time.sleep(60)\n    except KeyboardInterrupt:\n        sys.exit(1)\n"
    )
    assert final(interrupted(open_(), Trial("frameworks:train", 1, {}, "x"), folder, twice)).outcome is (
        Outcome.INTERRUPTED
    )
