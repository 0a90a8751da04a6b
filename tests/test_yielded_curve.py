"""Which epochs and steps the values of a trial function come to stand at."""

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reading import children, outcomes, steps

from orchestrator.divergence import DivergenceRule
from orchestrator.events import Event, Finished, Points, Progress, Tagged
from orchestrator.trial import Outcome
from orchestrator.worker import journal, runner
from orchestrator.worker.curve import EpochValues, MisplacedError, StepValues, YieldedCurve

Yielding = Callable[..., list[Event]]
Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def yielding(folder: Path) -> Yielding:
    def yielding(*rows: dict[str, Any]) -> list[Event]:
        sys.modules.pop("toys", None)
        task = runner.Task("toys:yields", {"rows": json.dumps(rows)}, folder, DivergenceRule())
        return list(runner.run(task))

    return yielding


def epochs(events: list[Event]) -> list[tuple[int, dict[str, float]]]:
    return [(event.epoch, dict(event.metrics)) for event in events if isinstance(event, Progress)]


def by_step(events: list[Event]) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for event in events:
        for name, series in event.values.items() if isinstance(event, Points) else ():
            found.setdefault(name, []).extend((step, value) for step, value, _ in series)
    return found


def end(events: list[Event]) -> Finished:
    assert isinstance(events[-1], Finished)
    return events[-1]


def test_new_metrics_of_an_epoch_are_added_to_it(yielding: Yielding) -> None:
    events = yielding({"epoch": 1, "train_loss": 2}, {"epoch": 1, "val_loss": 3}, {"epoch": 2, "train_loss": 1})
    assert epochs(events) == [(1, {"train_loss": 2}), (1, {"val_loss": 3}), (2, {"train_loss": 1})]
    assert end(events).outcome is Outcome.COMPLETED


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([{"epoch": 1, "score": 2}, {"epoch": 1, "score": 2.75}], "epoch 1 has its score already; "),
        ([{"epoch": 1, "step": 1, "f1": 1}, {"epoch": 1, "step": 2, "f1": 2}], "epoch 1 has its f1 already; "),
        ([{"epoch": 3, "score": 2}, {"epoch": 2, "score": 1}], "epoch 2 came after epoch 3, and epochs only rise; "),
        ([{"epoch": 1.5, "f1": 2}, {"epoch": 1, "f1": 1}], "epoch 1 came after epoch 1.5, and epochs only rise; "),
    ],
)
def test_an_epoch_that_comes_again_or_goes_back_ends_the_trial_with_what_to_yield(
    yielding: Yielding, rows: list[dict[str, Any]], reason: str
) -> None:
    finished = end(yielding(*rows))
    name = "f1" if "f1" in rows[0] else "score"
    advice = f'values that come oftener have "step" in place of "epoch": {{"step": 12, "{name}": 0.5}}'
    assert finished == Finished(Outcome.FAILED, reason=reason + advice)


def test_what_has_a_step_and_no_epoch_stands_by_step(yielding: Yielding) -> None:
    rows = [{"step": 12, "cost": 4}, {"step": 12, "f1": 0.1}, {"step": 20, "cost": 3}, {"epoch": 1, "cost": 3.5}]
    events = yielding(*rows)
    assert by_step(events) == {"cost.by_step": [(12, 4), (20, 3)], "f1.by_step": [(12, 0.1)]}
    assert epochs(events) == [(1, {"cost": 3.5})]


def test_a_step_that_goes_back_ends_the_trial(yielding: Yielding) -> None:
    finished = end(yielding({"step": 12, "loss": 4}, {"step": 12, "loss": 3}))
    assert finished.reason == "step 12 of loss came after step 12; each step has a value once, and steps only rise"


def test_losses_by_step_are_watched_for_explosions(yielding: Yielding) -> None:
    events = yielding(*({"step": step, "loss": 1 if step < 30 else 1e6} for step in range(1, 100)))
    assert end(events).outcome is Outcome.EXPLODED
    assert (explosion := end(events).explosion) is not None
    assert explosion.step == 30


def test_an_epoch_that_is_no_whole_number_stands_by_step_at_its_count(yielding: Yielding) -> None:
    rows = [{"epoch": at, "f1": at} for at in (0.37, 0.74, 0.74, 1.0, 1.37)]
    events = yielding(*rows)
    assert by_step(events) == {"f1.by_step": [(1, 0.37), (2, 0.74), (3, 0.74), (4, 1.37)]}
    assert epochs(events) == [(1, {"f1": 1.0})]


def test_epochs_from_0_are_recorded_from_1_on_also_by_a_later_attempt(yielding: Yielding) -> None:
    first = yielding({"epoch": 0, "f1": 1}, {"epoch": 1, "f1": 2}, {"epoch": 1, "f1": 2})  # which fails
    assert epochs(first) == [(1, {"f1": 1}), (2, {"f1": 2})]
    assert [event.tags for event in first if isinstance(event, Tagged)] == [
        {"epoch.first": "0; each epoch is recorded as one more"}
    ]
    assert epochs(yielding({"epoch": 2, "f1": 3})) == [(3, {"f1": 3})]


def test_after_a_restart_epochs_come_again_and_counts_go_on_from_there(yielding: Yielding, folder: Path) -> None:
    yielding({"epoch": 0.5, "f1": 1}, {"epoch": 1, "f1": 1}, {"epoch": 1.5, "f1": 1}, {"epoch": 0.9, "f1": 1})
    again = yielding({"epoch": 1.5, "f1": 1}, {"epoch": 2, "f1": 5})
    assert by_step(again) == {"f1.by_step": [(2, 1)]}
    assert epochs([entry.event for entry in journal.read(folder)]) == [(1, {"f1": 1}), (2, {"f1": 5})]


@pytest.mark.parametrize("given", [-1, None, "3", True, np.bool_(True), math.nan, math.inf, 2**60, 10**400, [1, 2]])
def test_what_counts_no_epochs_is_refused(given: object) -> None:
    with pytest.raises(MisplacedError, match=r"^the epoch is .*; use a number that counts epochs, from 0 or 1 on$"):
        YieldedCurve([]).place({"epoch": given, "loss": 1.0})


@pytest.mark.parametrize("given", [1, 1.0, np.int64(1), np.float32(1), np.array(1)])
def test_whole_numbers_of_any_kind_are_epochs(given: object) -> None:
    assert YieldedCurve([]).place({"epoch": given, "loss": 1.0}) == EpochValues(1, {"loss": 1.0})


def test_epochs_may_have_gaps_and_be_counted_where_they_are_not_given() -> None:
    curve = YieldedCurve([])
    placed = [curve.place({**row, "f1": 1}) for row in ({}, {"epoch": 5}, {}, {"epoch": 10**9})]
    assert [one.epoch for one in placed if isinstance(one, EpochValues)] == [1, 5, 6, 10**9]


def test_of_many_values_by_step_fewer_are_kept_whatever_their_steps() -> None:
    curve = YieldedCurve([])
    placed = [curve.place({"step": 100 * count + 1, "f1": 1}) for count in range(4000)]
    assert sum(isinstance(one, StepValues) and bool(one.kept) for one in placed) == 999 + 500 + 500 + 1


SEARCH = """
trial: toys:yields
method: tpe
run_cap: 4
early_terminate: {type: patient, patience: 1}
metric: {name: f1, goal: maximize}
parameters: {x: {min: 1.0, max: 2.0}, rows: 'ROWS'}
"""


@pytest.mark.slow
def test_a_search_and_a_pruner_take_an_epoch_in_parts_from_0_through_a_kill(
    store: str, write: Write, sweep: Sweep
) -> None:
    rows = [{"epoch": 0, "loss": 3}, {"epoch": 0, "f1": "x"}, {"epoch": 1, "loss": 2}, "die", {"epoch": 1, "f1": 0}]
    rows += [{"epoch": 2, "loss": 1}, {"epoch": 2, "f1": 0}]
    done = sweep("launch", write(SEARCH.replace("ROWS", json.dumps(rows))), "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert set(outcomes(store, "toy").values()) == {"completed"}  # the third epoch is the last: nothing to prune
    for run in children(store, "toy"):
        assert steps(store, run, "f1") == steps(store, run, "loss") == [1, 2, 3]
        assert run.data.metrics["best_f1"] == pytest.approx(float(run.data.params["x"]))
