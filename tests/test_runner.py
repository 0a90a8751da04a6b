import ast
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.divergence import DivergenceRule
from orchestrator.events import Event, Finished, Heartbeat, Progress, Started, decode, encode
from orchestrator.trial import Outcome
from orchestrator.worker import journal, runner

Run = Callable[..., list[Event]]


@pytest.fixture
def run(folder: Path) -> Run:
    def run(function: str, **params: object) -> list[Event]:
        sys.modules.pop("toys", None)
        return list(runner.run(runner.Task(f"toys:{function}", params, folder, DivergenceRule())))

    return run


def test_a_trial_starts_progresses_by_epoch_and_finishes(run: Run) -> None:
    started, *progress, finished = run("train", x=2.0, seed=5)
    assert isinstance(started, Started)
    assert started.pid == os.getpid()
    assert all(isinstance(event, Progress) for event in progress)
    assert [event.epoch for event in progress if isinstance(event, Progress)] == [1, 2, 3]
    assert finished == Finished(Outcome.COMPLETED, {"final_score": 7.0}, margin=-3.0)


def test_a_process_reads_the_source_of_a_function_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []
    parse = ast.parse
    monkeypatch.setattr(ast, "parse", lambda source, *more: read.append(source) or parse(source, *more))
    task = runner.Task("toys:train", {}, folder, DivergenceRule())
    for number in range(3):
        workdir = folder / str(number)
        workdir.mkdir()
        assert list(runner.run(replace(task, workdir=workdir)))[-1].is_final
        if number == 0:
            assert read
            read.clear()
    assert not read


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
    reasons = [list(runner.run(runner.Task(f"odd:{f}", {}, folder, DivergenceRule())))[-1] for f in "fg"]
    assert [event.reason for event in reasons if isinstance(event, Finished)] == [
        "TypeError: the metric train_loss is 'low', not a number",
        "TypeError: the trial function returned 5, not a mapping of metrics",
    ]
    sys.modules.pop("odd")


def test_stopping_after_an_epoch_closes_the_function(folder: Path) -> None:
    trial = runner.run(runner.Task("toys:train", {"epochs": 50}, folder, DivergenceRule()))
    next(trial), next(trial)
    trial.close()
    assert list(trial) == []


def tasks(folder: Path, *params: dict[str, object]) -> list[runner.Task]:
    made = [runner.Task("toys:stackable", own, folder / str(i), DivergenceRule()) for i, own in enumerate(params)]
    for task in made:
        task.workdir.mkdir()
    return made


def told(rounds: list[runner.Round], row: int) -> list[object]:
    """What a trial of a stack has told, but for the times of the clock."""
    events = [event for events in rounds for place, event in events if place == row]
    return [(event.epoch, event.metrics) if isinstance(event, Progress) else event for event in events]


def test_each_trial_of_a_stack_tells_what_it_tells_alone(folder: Path) -> None:
    stack = tasks(folder, {"x": 1.0}, {"x": 2.0, "mode": "nan"}, {"x": 3.0, "mode": "text"})
    rounds = list(runner.run_stack(stack, 4))
    (folder / "alone").mkdir()
    for row, task in enumerate(tasks(folder / "alone", *(task.params for task in stack))):
        assert told(rounds, row) == told([[(row, event)] for event in runner.run(task)], row)
    ends = [(i, row, e.outcome) for i, events in enumerate(rounds) for row, e in events if isinstance(e, Finished)]
    assert ends == [(2, 1, Outcome.EXPLODED), (3, 2, Outcome.FAILED), (4, 0, Outcome.COMPLETED)]
    assert (folder / "stacks.txt").read_text().splitlines() == ["3 of 4", *["1 of 1"] * 3]


def test_what_a_stack_raises_fails_those_of_its_trials_that_have_not_ended(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = tasks(folder, {"mode": "nan"}, {"mode": "fine"}, {"mode": "raise"})
    (folder / "0" / "epoch").write_text("1")  # so it explodes an epoch before the others end
    *_, last = runner.run_stack(stack, 3)
    reason = "RuntimeError: the toy broke on two lines"
    assert last == [(row, Finished(Outcome.FAILED, reason=reason)) for row in (1, 2)]
    assert capsys.readouterr().err.count("Traceback") == 1


def test_a_trial_that_has_its_result_only_tells_it(folder: Path) -> None:
    stack = tasks(folder, {"x": 1.0}, {"x": 2.0}, {"x": 3.0})
    known = list(runner.run(stack[1], 3))
    rounds = list(runner.run_stack(stack, 3))
    assert [event for row, event in rounds[0] if row == 1] == known
    assert len(told(rounds, 1)) == len(known)
    assert (folder / "stacks.txt").read_text().splitlines() == ["1 of 3", "2 of 3"]
    list(runner.run_stack(stack, 3))
    assert len((folder / "stacks.txt").read_text().splitlines()) == 2


def test_what_cannot_begin_ends_alone(folder: Path) -> None:
    rounds = list(runner.run_stack(tasks(folder, {"x": -1.0}, {"x": 2.0}), 2))
    assert [type(event) for _, event in rounds[0]] == [Finished, Started]
    assert told(rounds, 1) == told(list(runner.run_stack(tasks(folder / "1", {"x": 2.0}), 2)), 0)


def test_a_stack_that_is_stopped_has_every_epoch_in_the_journals_that_its_checkpoints_have(folder: Path) -> None:
    stack = tasks(folder, {"x": 1.0}, {"x": 2.0})
    rounds = runner.run_stack(stack, 2)
    for epoch in range(3):
        next(rounds)
        for task in stack:
            assert journal.read(task.workdir)[-1].event.kind == ("progress" if epoch else "started")
            assert getattr(journal.read(task.workdir)[-1].event, "epoch", 0) == epoch
    rounds.close()
    rest = list(runner.run_stack(stack, 2))
    for row, task in enumerate(stack):
        assert getattr(told(rest, row)[-1], "metrics", None) == {"final_score": task.params["x"]}
        assert [getattr(entry.event, "epoch", 0) for entry in journal.read(task.workdir)] == [0, 1, 2, 3, 0]


def test_a_row_that_explodes_by_epoch_ends_when_its_function_has_let_go_of_it(folder: Path) -> None:
    (folder / "rising.py").write_text(
        """
from toys import Config

def train(config: Config): ...

def stacked(configs, watches):
    ended = False
    for epoch in range(1, 7):
        told = [{"epoch": epoch, "val_loss": 1e6 if epoch > 2 and config.x > 1 else 1.0} for config in configs]
        try:
            watches[1](epoch, 1.0, 1.0)
        except Exception as error:
            told[1] = None if ended else error
            ended = True
        yield told
    return [{"final_score": 1.0}, None]

train.stacked = stacked
"""
    )
    stack = [replace(task, function="rising:train") for task in tasks(folder, {"x": 1.0}, {"x": 2.0})]
    rounds = list(runner.run_stack(stack, 2))
    second = [getattr(event, "epoch", event.kind) for events in rounds for row, event in events if row == 1]
    assert second == ["started", 1, 2, 3, 4, 5, "finished"]
    end = rounds[6][-1][1]
    assert isinstance(end, Finished)
    assert end.explosion is not None
    assert end.explosion.epoch == 3
    assert getattr(told(rounds, 0)[-1], "outcome", None) is Outcome.COMPLETED
    sys.modules.pop("rising")


def test_events_survive_the_journey() -> None:
    for event in (
        Started(1, 2, {"name": "digits", "train": 1300}),
        Progress(3, {"train_loss": 0.1 + 0.2, "tiny": 5e-324}, 1.5),
        Finished(Outcome.EXPLODED, {"x": 1.0}, "why"),
    ):
        assert decode(encode(2, event)) == (2, event)


def test_a_loss_that_is_none_travels_as_none() -> None:
    assert decode(encode(3, Heartbeat(7, float("nan")))) == (3, Heartbeat(7, None))


def test_prepare_says_what_is_wrong_with_the_data(folder: Path) -> None:
    assert runner.prepare("toys:missing_data", [{}]) == "/nowhere/data.bin: is missing; put it there"
    assert runner.prepare("toys:train", [{}]) is None
