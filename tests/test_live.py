"""What a launch knows of itself while it runs: from the events of its trials, and from what the store had before."""

import time
from types import SimpleNamespace

import pytest

from orchestrator.events import Event, Explosion, Finished, Heartbeat, Progress, Started
from orchestrator.progress import live
from orchestrator.progress.forecast import MOST_KINDS, Forecast, kind
from orchestrator.progress.live import LiveProgress
from orchestrator.spec import Objective
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.record import Record

METRIC = Objective("score", "maximize")


def trial(x: float, epochs: int | None = 10, **params: object) -> Trial:
    of_epochs = {} if epochs is None else {"epochs": epochs}
    return Trial("toys:train", 1, {"x": x, **of_epochs, **params}, f"x={x}")


def epoch(number: int, seconds: float = 2.0, step: int = 0, **metrics: float) -> Progress:
    return Progress(number, metrics, time.time(), seconds, step)


def record(of: Trial, outcome: Outcome, seconds: float = 0.0, **metrics: float) -> Record:
    tags = {"wall_seconds": str(seconds), "epochs_run": str(of.params["epochs"]), "trial": of.function}
    return Record(of.label, of.trial_key, of.label, outcome, "FINISHED", of.params, metrics, tags)


def begun(*trials: Trial, total: int = 0, history: dict[str, Record] | None = None) -> LiveProgress:
    one = LiveProgress("toy", METRIC)
    one.begin(total or len(trials), trials, history or {})
    return one


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(live, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_steps_are_counted_within_their_epoch() -> None:
    one = trial(1)
    told = begun(one)
    told.start(one)
    told.heartbeat(one, Heartbeat(30, 9.0))
    (running,) = told.status().running
    assert (running.epoch, running.step, running.steps, running.value) == (0, 30, None, 9.0)
    told.take(one, epoch(1, step=50, train_loss=8.0))
    told.heartbeat(one, Heartbeat(75, 7.0))
    (running,) = told.status().running
    assert (running.epoch, running.step, running.steps, running.value) == (1, 25, 50, 7.0)
    assert running.values == [9.0, 7.0]
    assert running.share == pytest.approx(0.15)
    told.take(one, epoch(2, step=100, train_loss=6.0))
    assert told.status().running[0].step == 0


def test_a_function_that_tells_no_steps_has_the_losses_of_its_epochs() -> None:
    one = trial(1)
    told = begun(one)
    told.start(one)
    for number in (1, 2, 2, 3):
        told.take(one, epoch(number, val_loss=10.0 / number))
    (running,) = told.status().running
    assert (running.epoch, running.step, running.value) == (3, 0, pytest.approx(10 / 3))
    assert running.values == pytest.approx([10, 5, 10 / 3])


def test_a_trial_that_is_taken_up_again_goes_on_from_what_it_had_told() -> None:
    one = trial(1)
    told = begun(one, history={one.trial_key: record(one, Outcome.INTERRUPTED)})
    assert told.status().outcomes == {Outcome.INTERRUPTED: 1}
    told.start(one)
    for event in (Started(1, 1), epoch(1, step=50, score=0.9), epoch(2, step=100, score=0.1)):
        told.recall(one, event)
    told.take(one, Started(2, 1))
    told.recall(one, epoch(2, step=100, score=0.1))
    told.heartbeat(one, Heartbeat(110, 1.0))
    (running,) = told.status().running
    assert (running.epoch, running.step, running.steps) == (2, 10, 50)
    assert told.status().outcomes == {}
    told.take(one, Finished(Outcome.COMPLETED))
    assert told.status().outcomes == {Outcome.COMPLETED: 1}
    best = told.status().best
    assert best is not None
    assert (best.label, best.value) == ("x=1", 0.9)


def test_the_best_is_of_this_launch_or_of_what_was_known_before() -> None:
    known, worse, better, exploded = (trial(x) for x in (1, 2, 3, 4))
    history = {known.trial_key: record(known, Outcome.COMPLETED, 20, best_score=0.5, score=0.2)}
    told = begun(known, worse, better, exploded, history=history)
    assert told.status().results == 1
    ends: list[tuple[Trial, list[Event]]] = [
        (worse, [epoch(1, score=0.4), Finished(Outcome.COMPLETED, {"score": 0.99})]),
        (exploded, [epoch(1, score=5.0), Finished(Outcome.EXPLODED, explosion=Explosion("", 1, 1, None))]),
    ]
    for one, events in ends:
        told.start(one)
        for event in events:
            told.take(one, event)
    best = told.status().best
    assert best is not None
    assert (best.label, best.value) == ("x=1", 0.5)
    told.start(better)
    told.take(better, Finished(Outcome.COMPLETED, {"score": 0.6}))
    best = told.status().best
    assert best is not None
    assert (best.label, best.value, best.params["x"]) == ("x=3", 0.6, 3)
    assert told.status().outcomes == {Outcome.COMPLETED: 3, Outcome.EXPLODED: 1}


def test_the_time_left_is_learned_from_epochs(clock: list[float]) -> None:
    trials = [trial(x) for x in range(4)]
    told = begun(*trials)
    told.start(trials[0])
    told.start(trials[1])
    assert told.status().seconds_left is None
    told.take(trials[0], epoch(1, 2.0))
    # nine epochs of this one, ten of each other, two seconds each, two trials at a time
    assert told.running(trials[0]).seconds_left == 18
    assert told.running(trials[1]).seconds_left == 20
    assert told.status().seconds_left == pytest.approx((18 + 20 + 20 + 20) / 2)
    clock[0] += 1
    assert told.running(trials[0]).seconds_left == 17
    clock[0] += 100
    assert told.running(trials[0]).seconds_left == 16  # an epoch that takes longer than the others is nearly over
    told.take(trials[0], Finished(Outcome.COMPLETED))
    told.take(trials[1], Finished(Outcome.COMPLETED))
    assert told.status().seconds_left is None  # nothing runs


def test_the_time_left_of_a_trial_counts_from_when_it_runs_and_not_while_it_waits_for_a_place(
    clock: list[float],
) -> None:
    known, waits = trial(1), trial(2)
    told = begun(known, waits, history={known.trial_key: record(known, Outcome.COMPLETED, 20)})
    told.start(waits)
    clock[0] += 600
    assert told.running(waits).seconds_left == 20
    told.take(waits, Started(1, 1))
    clock[0] += 5
    assert told.running(waits).seconds_left == 15


def test_the_time_left_counts_with_trials_that_end_early(clock: list[float]) -> None:
    trials = [trial(x) for x in range(4)]
    history = {
        trials[0].trial_key: record(trials[0], Outcome.COMPLETED, 30),
        trials[1].trial_key: record(trials[1], Outcome.EXPLODED, 6),
    }
    told = begun(*trials, history=history)
    told.start(trials[2])
    assert told.status().seconds_left == pytest.approx(30 + 30 * (30 + 6) / 60)


def test_the_time_left_of_a_search_counts_what_it_has_yet_to_propose(clock: list[float]) -> None:
    told = begun(total=5)
    first = trial(1)
    told.start(first)
    told.take(first, epoch(1, 2.0))
    assert told.status().seconds_left == 18 + 4 * 20


def test_what_has_ended_takes_no_memory() -> None:
    told = begun(total=10_000)
    for x in range(3 * MOST_KINDS):
        one = trial(x, batch_size=x)
        told.start(one)
        told.take(one, epoch(1))
        told.take(one, Finished(Outcome.COMPLETED))
    assert not told._running
    assert not told._waiting
    assert len(told._forecast._paces) <= MOST_KINDS


def test_trials_are_as_fast_as_their_like() -> None:
    forecast = Forecast(("batch_size",))
    slow, fast, unknown = (kind("toys:train", {"batch_size": size}, ("batch_size",)) for size in (1, 2, 3))
    assert forecast.seconds(slow, 10) is None
    for seconds in (1.0, 1.0, 50.0):
        forecast.learn(fast, seconds)
    forecast.learn(slow, 4.0)
    assert (forecast.seconds(fast, 10), forecast.seconds(slow, 10)) == (10, 40)
    assert forecast.seconds(unknown, None) == 2.5
