"""What trials may be compared by: metrics that they report, and nothing else that a run has."""

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from orchestrator.errors import InputError
from orchestrator.spec import Objective, load
from orchestrator.trial import Outcome
from orchestrator.trials.record import Record

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]
METRICS = {
    "acc": 0.7,
    "best_acc": 0.9,
    "latency": 3.0,
    "acc.by_step": 0.1,
    "acc.fold2": 0.2,
    "exploded": 0.0,
    "explosion_margin": -1.0,
    "best_epoch": 2.0,
    "system/latency": 4.0,
    "system/cpu_utilization_percentage": 99.0,
}
REPORTED = '{"final": ["latency"], "by_epoch": ["acc", "system/latency"], "not_finite": ["f1"]}'
STEPS = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Config:
    x: float = 1.0

def train(config: Config):
    for epoch in (1, 2):
        yield {"step": epoch, "acc": epoch * config.x}
        yield {"epoch": epoch, "loss": 1 / epoch}
"""


def value(name: str, tags: Mapping[str, str]) -> float | None:
    record = Record("run", "key", "label", Outcome.COMPLETED, "FINISHED", {}, METRICS, tags)
    return record.value(Objective(name, "maximize", counts_best=name == "acc"))


@pytest.mark.parametrize("tags", [{"reported": REPORTED}, {}])
def test_a_trial_counts_by_what_it_has_reported(tags: Mapping[str, str]) -> None:
    assert [value(name, tags) for name in ("acc", "latency")] == [0.9, 3.0]
    for name in ("acc.by_step", "acc.fold2", "exploded", "explosion_margin", "best_epoch", "f1", "scroe"):
        assert value(name, tags) is None, name
    assert value("system/cpu_utilization_percentage", tags) is None
    assert value("system/latency", tags) == (4.0 if tags else None)
    assert value("best_acc", tags) == (None if tags else 0.9)  # a run of old may have reported it


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("metric: {name: exploded}", "metric.name: exploded is added to what a trial reports; name a metric that it"),
        ("metric: {name: best_epoch, goal: maximize}", "metric.name: best_epoch is added"),
        ("metrics: [{name: score}, {name: explosion_margin}]", "metrics[1].name: explosion_margin is added"),
        (
            "early_terminate: {type: median, metric: {name: exploded}}",
            "early_terminate.metric.name: exploded is added",
        ),
    ],
)
def test_metrics_that_are_added_to_a_run_are_refused(write: Write, key: str, line: str) -> None:
    with pytest.raises(InputError) as caught:
        load(write(f"trial: toys:train\n{key}\n"))
    assert f"toy.yaml:2: {line}" in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["acc", "acc.by_step"])
def test_a_metric_by_step_ranks_no_trial_in_the_first_table_nor_later(
    store: str, write: Write, sweep: Sweep, folder: Path, name: str
) -> None:
    (folder / "steps.py").write_text(STEPS)
    path = write(
        f"trial: steps:train\nmetric: {{name: {name}, goal: maximize}}\nparameters: {{x: {{values: [1, 2]}}}}\n"
    )
    first = sweep("launch", path, "--executor", "inline").stdout
    assert f"x=1 has reported {name} by step alone; yield it by epoch, too, or return it" in first
    again = sweep("launch", path, "--executor", "inline").stdout
    rows = [[line.strip() for line in out.splitlines() if line.startswith(("  1 ", "  2 "))] for out in (first, again)]
    assert rows[0] == rows[1]
    assert rows[0]
    assert "no trial of toy that toy.yaml asks for has completed with a value of" in sweep("best", path).stderr
