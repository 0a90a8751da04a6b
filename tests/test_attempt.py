import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator import attempt
from orchestrator.divergence import DivergenceRule
from orchestrator.events import Event, Finished, Progress, Started, decode, encode
from orchestrator.trial import Outcome

Run = Callable[..., list[Event]]


@pytest.fixture
def run(folder: Path) -> Run:
    def run(function: str, **params: object) -> list[Event]:
        sys.modules.pop("toys", None)
        return list(attempt.run(attempt.Task(f"toys:{function}", params, folder, DivergenceRule())))

    return run


def test_a_trial_starts_progresses_by_epoch_and_finishes(run: Run) -> None:
    started, *progress, finished = run("train", x=2.0, seed=5)
    assert isinstance(started, Started)
    assert started.pid == os.getpid()
    assert all(isinstance(event, Progress) for event in progress)
    assert [event.epoch for event in progress if isinstance(event, Progress)] == [1, 2, 3]
    assert finished == Finished(Outcome.COMPLETED, {"final_score": 7.0}, margin=-3.0)


def test_a_function_that_only_returns_is_a_trial_too(run: Run) -> None:
    assert run("plain", x=3.0)[-1] == Finished(Outcome.COMPLETED, {"final_score": 3.0}, margin=-3.0)


def test_an_exception_fails_the_trial_with_its_reason_in_a_line(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    finished = run("train", mode="raise")[-1]
    assert finished == Finished(Outcome.FAILED, reason="RuntimeError: the toy broke on two lines")
    assert "Traceback" in capsys.readouterr().err


def test_sys_exit_fails_the_trial(run: Run) -> None:
    assert run("train", mode="text")[-1] == Finished(Outcome.FAILED, reason="SystemExit: the toy left")


def test_a_loss_that_is_not_a_number_is_an_explosion_and_never_travels(run: Run) -> None:
    events = run("train", mode="nan", epochs=5)
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert finished.outcome is Outcome.EXPLODED
    assert finished.explosion is not None
    assert finished.explosion.epoch == 3
    assert [event.epoch for event in events if isinstance(event, Progress)] == [1, 2]


def test_a_loss_that_rises_for_good_is_an_explosion_and_keeps_its_curve(run: Run) -> None:
    events = run("train", mode="rise", epochs=20)
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert finished.outcome is Outcome.EXPLODED
    assert [event.epoch for event in events if isinstance(event, Progress)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("epochs", [3, 4])
def test_a_loss_that_rises_in_the_last_epochs_is_an_explosion(run: Run, epochs: int) -> None:
    finished = run("train", mode="rise", epochs=epochs)[-1]
    assert isinstance(finished, Finished)
    assert finished.explosion is not None
    assert finished.explosion.epoch == 3
    assert "step" not in finished.explosion.reason


def test_watch_ends_a_trial_within_its_epoch(run: Run) -> None:
    _, finished = run("watched")
    assert isinstance(finished, Finished)
    assert finished.explosion is not None
    assert (finished.explosion.epoch, finished.explosion.step) == (1, 101)
    assert finished.explosion.reason.endswith("log variance reached 61")


def test_a_function_that_keeps_the_alarm_to_itself_has_exploded_all_the_same(run: Run) -> None:
    finished = run("stubborn")[-1]
    assert isinstance(finished, Finished)
    assert finished.outcome is Outcome.EXPLODED


def test_metrics_that_are_no_numbers_fail_with_their_name(folder: Path) -> None:
    (folder / "odd.py").write_text(
        "from toys import Config\ndef f(config: Config):\n    yield {'epoch': 1, 'train_loss': 'low'}\n"
        "def g(config: Config):\n    yield {'train_loss': 1.0}\n    return 5\n"
    )
    reasons = [list(attempt.run(attempt.Task(f"odd:{f}", {}, folder, DivergenceRule())))[-1] for f in "fg"]
    assert [event.reason for event in reasons if isinstance(event, Finished)] == [
        "TypeError: the metric train_loss is 'low', not a number",
        "TypeError: the trial function returned 5, not a mapping of metrics",
    ]
    sys.modules.pop("odd")


def test_stopping_after_an_epoch_closes_the_function(folder: Path) -> None:
    trial = attempt.run(attempt.Task("toys:train", {"epochs": 50}, folder, DivergenceRule()))
    next(trial), next(trial)
    trial.close()
    assert list(trial) == []


def test_events_survive_the_journey() -> None:
    for event in (
        Started(1, 2, {"name": "digits", "train": 1300}),
        Progress(3, {"train_loss": 0.1 + 0.2, "tiny": 5e-324}, 1.5),
        Finished(Outcome.EXPLODED, {"x": 1.0}, "why"),
    ):
        assert decode(encode(event)) == event


def test_prepare_says_what_is_wrong_with_the_data(folder: Path) -> None:
    assert attempt.prepare("toys:missing_data", [{}]) == "/nowhere/data.bin: is missing; put it there"
    assert attempt.prepare("toys:train", [{}]) is None
