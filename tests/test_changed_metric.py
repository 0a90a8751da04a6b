"""Another metric, or another file, over trials that are in the store already."""

import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest
from reading import children

from orchestrator.api import load_sweep
from orchestrator.spec import Objective, load
from orchestrator.trackers import Store
from orchestrator.trackers.best_values import with_best
from orchestrator.trial import Outcome
from orchestrator.trials.record import Record

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]

FUNCTION = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Config:
    x: float = 1.0
    seed: int = 0

def train(config: Config):
    for e, (a, b) in enumerate([(3, 1), (1, 3), (2, 1)], 1):
        yield {"epoch": e, "train_loss": 1 / e, "a": a * config.x, "b": b * config.x}

train.version = 1
"""
SWEEP = """
trial: ab:train
metric: {{name: {metric}, goal: {goal}}}
seeds: [{seeds}]
parameters: {{x: {{values: [{values}]}}}}
"""


@pytest.fixture(autouse=True)
def function(folder: Path) -> None:
    (folder / "ab.py").write_text(FUNCTION)


def text(metric: str, goal: str, seeds: str = "0", values: str = "1, 2", more: str = "") -> str:
    return SWEEP.format(metric=metric, goal=goal, seeds=seeds, values=values) + more


def record(run_id: str, outcome: Outcome = Outcome.COMPLETED, best: str = "") -> Record:
    reported = f'{{"final": [], "by_epoch": ["a", "b"]{best}}}'
    metrics = {"a": 2.0, "b": 1.0, "best_a": 1.0}
    return Record(run_id, run_id, run_id, outcome, "", {}, metrics, {"reported": reported})


def test_curves_are_read_of_those_trials_alone_that_lack_the_best_value() -> None:
    asked: list[tuple[str, list[str]]] = []

    def curves(metric: str, records: Iterable[Record]) -> Mapping[str, Mapping[int, float]]:
        asked.append((metric, [record.run_id for record in records]))
        return {run_id: {1: 3.0, 2: 1.0, 3: 2.0} for run_id in asked[-1][1]}

    knows = ', "best": {"a": "minimize"}'
    records = [record("1", best=knows), record("2"), record("3", Outcome.FAILED)]
    assert [one.value(Objective("a", "minimize")) for one in with_best(records, [Objective("a", "minimize")], curves)]
    found = with_best(records, [Objective("a", "maximize")], curves)
    assert [one.value(Objective("a", "maximize")) for one in found] == [3.0, 3.0, 2.0]  # the last of what failed
    with_best(records, [Objective("a", "maximize", counts_best=False)], curves)
    with_best(records, [Objective("nothing", "maximize")], curves)
    assert asked == [("a", ["2"]), ("a", ["1", "2"])]


@pytest.mark.slow
def test_every_trial_counts_with_its_best_value_whenever_the_metric_was_chosen(
    store: str, write: Write, sweep: Sweep
) -> None:
    path = write(text("a", "minimize", "0, 1"))
    assert sweep("launch", path, "--executor", "inline").returncode == 0
    write(text("b", "maximize", "0, 1, 2"))
    done = sweep("launch", path, "--executor", "inline")
    assert done.stdout.count(": started") == 2
    assert "6 ± 0" in done.stdout
    assert "b 6 ± 0 (95%, 3 seeds)" in sweep("best", path).stdout
    write(text("a", "maximize", "0, 1, 2"))
    again = sweep("launch", path, "--executor", "inline")
    assert again.stdout.count(": started") == 0
    assert "6 ± 0" in again.stdout
    assert "a 6: x=2 seed=0" in sweep("status", path).stdout
    assert "a 6: x=2 seed=0" in sweep("status", "toy").stdout
    assert sorted(trial.values[0] for trial in load_sweep("toy").study.trials) == [3.0] * 3 + [6.0] * 3


@pytest.mark.slow
def test_a_search_by_another_metric_learns_from_the_best_values_of_trials_before(
    store: str, write: Write, sweep: Sweep
) -> None:
    path = write(text("a", "minimize").replace("metric:", "method: tpe\nrun_cap: 1\nmetric:"))
    assert sweep("launch", path, "--executor", "inline").returncode == 0
    write(text("b", "maximize").replace("metric:", "method: tpe\nrun_cap: 2\nmetric:"))
    done = sweep("launch", path, "--executor", "inline")
    assert done.stdout.count(": started") == 1
    spec = load(path)
    records = Store(store).records("toy", spec.objectives)
    assert sorted(record.value(spec.objectives[0]) or 0.0 for record in records) == [3.0, 6.0]
    assert "best of 2 by b (maximize): x=2" in sweep("best", path).stdout


@pytest.mark.slow
@pytest.mark.parametrize("method", ["grid", "random"])
def test_trials_that_are_taken_over_count_with_their_best_value_too(
    store: str, write: Write, sweep: Sweep, method: str
) -> None:
    sweep("launch", write(text("a", "minimize")), "--executor", "inline")
    other = text("b", "maximize", more="reuse: true\n").replace("metric:", f"method: {method}\nrun_cap: 2\nmetric:")
    done = sweep("launch", write(other, "other.yaml"), "--executor", "inline")
    assert done.returncode == 0, done.stderr
    assert "best of 2 by b (maximize): x=2" in (said := sweep("best", "other.yaml").stdout)
    assert "b 6 " in said
    assert len(children(store, "other")) == 2


@pytest.mark.slow
def test_of_a_file_everything_speaks_of_the_trials_that_it_asks_for(
    store: str, write: Write, sweep: Sweep, folder: Path
) -> None:
    path = write(text("a", "maximize"))
    sweep("launch", path, "--executor", "inline")
    narrow = write("name: toy\n" + text("a", "maximize", values="1, 0.5"), "narrow.yaml")
    assert "best of 1 by a (maximize)" in (best := sweep("best", narrow).stdout)
    assert "a 3 " in best
    assert "launch narrow.yaml --name=toy-again --set=x=1.0" in best
    of_all = sweep("best", "toy").stdout
    assert "best of 2 by a (maximize): x=2" in of_all
    path.rename("away")
    *known, again = of_all.splitlines()
    assert again.startswith("run it again: ")
    *said, gone = sweep("best", "toy").stdout.splitlines()  # the store has the file, too
    assert said == known
    assert gone == (
        "toy.yaml is gone, so no command runs this again; its text is sweep.yaml among the artifacts of the "
        f"sweep's parent run in {store}"
    )
    Path("away").rename(path)
    assert " a 3: x=1" in sweep("status", narrow).stdout
    assert " a 6: x=2" in sweep("status", "toy").stdout
    (folder / "ab.py").write_text(FUNCTION.replace("version = 1", "version = 2"))
    del sys.modules["ab"]
    newer = write(text("a", "maximize"), "toy.yaml")
    none = sweep("best", newer)
    assert none.returncode == 2
    assert "no trial of toy that toy.yaml asks for has completed with a value of a" in none.stderr


@pytest.mark.slow
def test_the_further_seeds_of_a_configuration_are_of_its_file(store: str, write: Write, sweep: Sweep) -> None:
    path = write(text("a", "maximize", values="1, 1.5", more="replicates: {max: 3, until: separated}\n"))
    assert sweep("launch", path, "--executor", "inline").returncode == 0
    count = len(children(store, "toy"))
    assert count > 2
    assert f"{count}" in sweep("status", path).stdout.splitlines()[3]
    assert f"(95%, {count // 2} seeds)" in sweep("best", path).stdout
