"""What a sweep has come to so far: the result table, of as many trials as there is room for."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.comparison.running_table import MOST_ROWS, RunningTable
from orchestrator.comparison.table import Table
from orchestrator.events import Finished, Progress
from orchestrator.spec import load
from orchestrator.trackers import Tracker
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.record import Record

Write = Callable[..., Path]
ONE = "metric: {name: score, goal: maximize}\n"
TWO = "metrics: [{name: score, goal: maximize}, {name: size, goal: minimize}]\n"


def ended(x: int, seed: int, outcome: Outcome = Outcome.COMPLETED, **metrics: float) -> tuple[Trial, Record]:
    """A trial, and what the store has of it."""
    trial = Trial("toys:train", 1, {"x": x, "seed": seed}, f"x={x} seed={seed}")
    tags = {"config_key": trial.config_key, "epochs_run": "3", "wall_seconds": "1.5"}
    return trial, Record(f"{x}-{seed}", trial.trial_key, trial.label, outcome, "", trial.params, metrics, tags)


def some(count: int, seeds: int) -> list[tuple[Trial, Record]]:
    """Trials of which every seventh has exploded, in no order."""
    chance = random.Random(0)
    found = []
    for i in range(count):
        measured = {"score": chance.random(), "size": chance.random(), "ssim": chance.random()}
        outcome = Outcome.EXPLODED if i % 7 == 3 else Outcome.COMPLETED
        found.append(ended(i // seeds, i % seeds, outcome, **({} if outcome is Outcome.EXPLODED else measured)))
    chance.shuffle(found)
    return found


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("compared", [ONE, TWO], ids=["one objective", "several"])
def test_the_table_so_far_is_the_result_table_of_these_trials(
    folder: Path, write: Write, compared: str, seeds: int
) -> None:
    spec, trials = load(write("trial: toys:train\n" + compared)), some(MOST_ROWS, seeds)
    tally = RunningTable(spec)
    for trial, record in trials:
        tally.take(trial, record)
        tally.table()  # whenever it is asked, and however often
    whole = Table.of(spec, [trial for trial, _ in trials], {record.trial_key: record for _, record in trials})
    told, expected = tally.table(), whole.markdown(100_000)
    assert sorted(told.markdown(100_000).splitlines()) == sorted(expected.splitlines())
    completed = [row.trial for row in whole.rows if row.values(spec.objectives)]
    assert [row.trial for row in told.rows[: len(completed)]] == completed
    assert ("± " in expected) == (seeds > 1)
    assert any(row.on_front for row in whole.rows) == (compared == TWO)


@pytest.mark.slow
def test_of_many_trials_it_has_the_best_and_remembers_no_others(folder: Path, write: Write) -> None:
    tally = RunningTable(load(write("trial: toys:train\n" + TWO)), asked=600)
    trials = some(600, 2)
    for i, (trial, record) in enumerate(trials):
        tally.take(trial, record)
        if i % 20 == 0:
            tally.table()
    whole = Table.of(tally.spec, [t for t, _ in trials], {record.trial_key: record for _, record in trials})
    table = tally.table()
    assert len(table.rows) == len(tally._best) == MOST_ROWS
    assert table.front == whole.front
    assert table.over_seeds() == whole.over_seeds()
    assert table.markdown(8000).endswith(" more\n")
    assert len(table.markdown(8000)) <= 8000


def test_objectives_that_are_told_by_epoch_stand_in_the_description_with_their_last_values(
    store: str, folder: Path, write: Write
) -> None:
    tracker = Tracker(store, load(write("trial: toys:train\n" + TWO)))
    tracker.open(1)
    trial, _ = ended(1, 0)
    for epoch, score in ((1, 0.75), (2, 0.25)):
        tracker.write(trial, [Progress(epoch, {"score": score, "size": 3.0 * epoch}, 1.0)], folder)
    tracker.write(trial, [Finished(Outcome.COMPLETED)], folder)
    tracker.describe_so_far()
    told = tracker.client.get_run(tracker.parent_id).data.tags["mlflow.note.content"]
    assert told.splitlines()[2:] == [
        "| sweep | outcome | front | score | size | epochs | time | remark |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        "| toy | completed | yes | 0.2500 | 6 | 2 |  |  |",
    ]
