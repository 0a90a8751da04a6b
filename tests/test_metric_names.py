"""Names of metrics that MLflow does not take: `recall@10`, `acc (top-5)`, names that are too long."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.utils.validation import _validate_metric_name
from reading import children, steps

from orchestrator.comparison.table import Table
from orchestrator.spec import load
from orchestrator.trackers import Store
from orchestrator.trials.grid import expand
from orchestrator.trials.labels import headings
from orchestrator.trials.metric_names import MetricNames, nearest

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]
LONG = f"loss of {'a very long name ' * 30}"
ODD = f"""
from dataclasses import dataclass

@dataclass(frozen=True)
class Config:
    x: float = 0.1
    epochs: int = 3
    seed: int = 0

def train(config: Config):
    for epoch in range(1, config.epochs + 1):
        yield {{
            "epoch": epoch, "recall@10": config.x * epoch, "recall_10": -1.0, "acc (top-5), %": 0.5, "a\\tb[red]": 1.0,
            {LONG!r}: 2.0, "../up": 3.0,
        }}
    return {{"F1 (macro)": config.x}}
"""
FILE = "trial: odd:train\nparameters: {x: {values: [0.1, 0.3, 0.2]}}\n"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("loss", "loss"),
        ("train/loss", "train/loss"),
        ("val loss: top-1.5", "val loss: top-1.5"),
        ("genauigkeit_ä", "genauigkeit_ä"),
        ("recall@10", "recall_10"),
        ("acc (top-5)", "acc _top-5_"),
        ("/loss", "_/loss"),
        ("a//b", "a/_/b"),
        ("a/", "a/_"),
        ("../up", "_/up"),
        ("..", "_"),
        (".", "_"),
        ("a/../b", "a/_/b"),
        ("a/./b", "a/_/b"),
        ("..a", "_a"),
        ("%", "_"),
    ],
)
def test_mlflow_takes_the_nearest_name_and_leaves_others_as_they_are(name: str, expected: str) -> None:
    assert nearest(name) == expected
    _validate_metric_name(nearest(name))


def test_names_that_are_too_long_are_cut_and_told_apart() -> None:
    one, other = nearest("x" * 300), nearest("x" * 301)
    assert one != other
    for name in (one, other):
        assert len(name) == 240
        _validate_metric_name(name)


def test_no_two_metrics_of_a_run_share_a_name() -> None:
    names = MetricNames()
    stored = [names.stored(name) for name in ("recall@10", "recall_10", "recall#10")]
    assert stored[0] == "recall_10"
    assert len(set(stored)) == 3
    again = MetricNames.of(["recall@10", "recall_10", "recall#10"], names.tags)
    assert [again.stored(name) for name in ("recall#10", "recall_10", "recall@10")] == stored[::-1]


@pytest.fixture
def odd(folder: Path, write: Write) -> Path:
    (folder / "odd.py").write_text(ODD)
    return write(f"metric: {{name: recall@10, goal: maximize}}\n{FILE}", "odd.yaml")


@pytest.mark.slow
def test_a_metric_is_found_and_shown_by_its_own_name(odd: Path, store: str, sweep: Sweep) -> None:
    done = sweep("launch", odd, "--executor", "inline")
    assert done.returncode == 0, done.stderr
    assert "odd: best recall@10 first" in done.stdout
    assert "F1 (macro)" in done.stdout
    runs = {run.data.params["x"]: run for run in children(store, "odd")}
    run = runs["0.3"]
    assert run.data.metrics["recall_10"] == pytest.approx(0.9)
    assert run.data.metrics["best_recall_10"] == pytest.approx(0.9)
    assert run.data.tags["metric.recall_10"] == "recall@10"
    assert run.data.tags["metric.F1 _macro_"] == "F1 (macro)"
    assert steps(store, run, "recall_10") == [1, 2, 3]
    records = Store(store).records("odd")
    (record,) = [record for record in records if record.params["x"] == 0.3]
    assert record.metrics.keys() >= {"recall@10", "recall_10", "acc (top-5), %", "a b[red]", LONG.strip(), "../up"}
    assert record.metrics["recall_10"] == -1.0
    assert Store(store).curves("recall_10", records)[run.info.run_id] == {1: -1.0, 2: -1.0, 3: -1.0}
    assert Store(store).curves("recall@10", [record])[run.info.run_id] == pytest.approx({1: 0.3, 2: 0.6, 3: 0.9})
    spec = load(odd)
    best = Table.of(spec, expand(spec).trials, {record.trial_key: record for record in records}).best
    assert best
    assert best.run_id == run.info.run_id

    assert "best of 3 by recall@10 (maximize): x=0.3" in sweep("best", "odd").stdout
    page, text, table = (Path(line).read_text() for line in sweep("report", odd).stdout.splitlines())
    assert "recall@10" in page
    assert "recall@10" in text
    assert "F1 (macro)" in table.splitlines()[0]
    client = MlflowClient(tracking_uri=store)
    shown = client.get_experiment_by_name("odd").tags["mlflow.sharedViewState.sweep"]
    assert json.loads(shown)["orderByKey"] == "metrics.`best_recall_10`"


@pytest.mark.slow
def test_a_sweep_compares_by_a_name_with_a_comma_and_goes_on_where_it_was(
    odd: Path, store: str, sweep: Sweep, write: Write
) -> None:
    text = "metrics: [{name: 'acc (top-5), %', goal: maximize}, {name: recall@10, goal: maximize}]\n"
    path = write(text + FILE, "odd.yaml")
    assert sweep("launch", path, "--executor", "inline", "--set", "x=0.1").returncode == 0
    names = [objective.name for objective in Store(store).last_launch("odd").objectives]
    assert names == ["acc (top-5), %", "recall@10"]
    assert sweep("launch", path, "--executor", "inline").returncode == 0
    assert [steps(store, run, "recall_10") for run in children(store, "odd")] == [[1, 2, 3]] * 3
    assert sweep("status", "odd").returncode == 0


@pytest.mark.slow
def test_a_pruner_compares_by_such_a_name_also_after_a_restart(odd: Path, store: str, sweep: Sweep) -> None:
    rule = "early_terminate: {type: median, n_startup_trials: 1, metric: {name: recall@10, goal: maximize}}\n"
    odd.write_text(rule + FILE)
    assert sweep("launch", odd, "--executor", "inline", "--set", "x=0.3").returncode == 0
    assert sweep("launch", odd, "--executor", "inline").returncode == 0
    outcomes = {run.data.params["x"]: run.data.tags["outcome"] for run in children(store, "odd")}
    assert outcomes == {"0.3": "completed", "0.1": "pruned", "0.2": "pruned"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["''", "' '", "3"])
def test_a_name_that_is_empty_or_no_text_fails_its_trial(
    name: str, folder: Path, store: str, write: Write, sweep: Sweep
) -> None:
    (folder / "wrong.py").write_text(ODD.replace("'F1 (macro)'", name).replace('"F1 (macro)"', name))
    assert sweep("launch", write("trial: wrong:train", "wrong.yaml"), "--executor", "inline").returncode == 1
    assert "is not the name of a metric" in children(store, "wrong")[0].data.tags["failure.reason"]


def test_long_headings_are_cut_in_the_middle_unless_they_then_look_alike() -> None:
    cut = "loss of a very long name a very long ...ame a very long name"
    assert headings(["x", "x" * 60, LONG.strip()]) == ["x", "x" * 60, cut]
    alike = [f"{'a' * 100}{middle}{'b' * 100}" for middle in "xy"]
    assert headings([*alike, "c" * 99]) == [*alike, f"{'c' * 37}...{'c' * 20}"]
    assert headings(["学" * 80]) == [f"{'学' * 37}...{'学' * 20}"]
