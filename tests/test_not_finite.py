"""A value that is not finite is no value: docs/searching.md has the rule."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from reading import children

from orchestrator import samplers
from orchestrator.divergence import DivergenceRule
from orchestrator.events import Finished, Points, Progress
from orchestrator.progress.compared import Compared
from orchestrator.spec import Objective, load
from orchestrator.spec.objective import ObjectiveSoFar
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.observation import Observation
from orchestrator.trials.record import PROPOSALS, Record
from orchestrator.trials.worst import WorstSoFar
from orchestrator.worker import runner

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]
UP, DOWN = Objective("f1", "maximize"), Objective("cost", "minimize")

FUNCTIONS = """
import decimal, math
from dataclasses import dataclass

import numpy as np

@dataclass(frozen=True)
class Config:
    lr: float = 0.01
    seed: int = 0
    epochs: int = 3

def broken(config: Config):
    for e in range(1, config.epochs + 1):
        yield {"epoch": e, "train_loss": 1 / e, "f1": math.nan if config.lr > 0.03 else config.lr * e + config.seed}

def mended(config: Config):
    for e in range(1, config.epochs + 1):
        yield {"epoch": e, "train_loss": 1 / e, "f1": config.lr * e}

def early(config: Config):
    yield {"epoch": 1, "f1": math.nan}
    yield {"epoch": 2, "f1": 0.75}
    yield {"epoch": 3, "f1": math.inf}

def returned(config: Config):
    yield {"epoch": 1, "train_loss": 1.0}
    return {"f1": math.nan if config.lr > 0.03 else config.lr}

def silent(config: Config):
    return {"train_loss": 1.0}

VALUES = {
    "nan": math.nan, "inf": math.inf, "minus inf": -math.inf, "None": None, "numpy nan": np.float32("nan"),
    "array": np.array(math.nan), "decimal": decimal.Decimal("nan"), "huge": 10**400, "text nan": "nan",
}
WRONG = {"text": "low", "complex": 1j, "numpy complex": np.complex64(1), "list": [1.0], "dict": {}}
RIGHT = {"bool": (True, 1.0), "text": ("0.5", 0.5), "numpy": (np.float32(0.5), 0.5), "int": (3, 3.0)}
"""
SEARCH = """
trial: f1s:broken
method: tpe
metric: {name: f1, goal: maximize}
run_cap: 5
parameters:
  lr: {min: 0.001, max: 0.1, distribution: log_uniform_values}
"""
GRID = """
trial: f1s:broken
metric: {name: f1, goal: maximize}
seeds: [0, 1]
parameters:
  lr: {values: [0.05, 0.01, 0.02]}
"""


@pytest.fixture(autouse=True)
def functions(folder: Path) -> None:
    (folder / "f1s.py").write_text(FUNCTIONS)


def observed(*values: float | None, outcome: Outcome = Outcome.COMPLETED) -> Observation:
    known = tuple(value for value in values if value is not None)
    return Observation(outcome, known if len(known) == len(values) else None, -1.0, 3, values)


def test_a_trial_without_a_value_is_given_the_worst_of_those_that_ended_before_it() -> None:
    worst = WorstSoFar([UP])
    assert worst.take(observed(None)).outcome is Outcome.EXPLODED  # there is none yet
    assert [worst.take(observed(value)).values for value in (0.5, 0.2, None, 0.9, None)] == [
        (0.5,),
        (0.2,),
        (0.2,),
        (0.9,),
        (0.2,),
    ]


def test_of_several_metrics_the_one_that_is_missing_alone_is_given() -> None:
    worst = WorstSoFar([UP, DOWN])
    worst.take(observed(0.5, 3.0))
    assert worst.take(observed(0.9, None)).values == (0.9, 3.0)
    assert worst.take(observed(None, 8.0)).values == (0.5, 8.0)
    assert worst.take(observed(None, None)).values == (0.5, 8.0)


def test_what_never_came_to_an_epoch_is_given_nothing() -> None:
    worst = WorstSoFar([UP])
    worst.take(observed(0.5))
    for seen in (Observation(Outcome.PRUNED), Observation(Outcome.FAILED), Observation(Outcome.EXPLODED, None, 2.0)):
        assert worst.take(seen) is seen


@pytest.mark.slow
def test_values_that_are_none_keep_their_names_and_wrong_ones_fail(folder: Path) -> None:
    import f1s  # type: ignore[import-not-found]

    def end(expression: str) -> tuple[list[Progress], Finished]:
        text = f"from f1s import *\ndef f(config: Config):\n    yield {{'epoch': 1, 'f1': {expression}}}\n"
        (folder / f"one{len(list(folder.iterdir()))}.py").write_text(text)
        name = max(folder.glob("one*.py"), key=lambda path: path.stat().st_mtime_ns).stem
        workdir = folder / f"work-{name}"
        workdir.mkdir()
        events = list(runner.run(runner.Task(f"{name}:f", {}, workdir, DivergenceRule())))
        assert isinstance(events[-1], Finished)
        return [event for event in events if isinstance(event, Progress)], events[-1]

    for key in f1s.VALUES:
        (epoch,), ended = end(f"VALUES[{key!r}]")
        assert ([*epoch.not_finite], epoch.metrics, ended.outcome) == (["f1"], {}, Outcome.COMPLETED), key
    for key in f1s.WRONG:
        _, ended = end(f"WRONG[{key!r}]")
        assert ended.outcome is Outcome.FAILED, key
        assert str(ended.reason).startswith("TypeError: the metric f1 is "), key
        assert str(ended.reason).endswith(", not a number"), key
    for key, (_, value) in f1s.RIGHT.items():
        (epoch,), _ = end(f"RIGHT[{key!r}][0]")
        assert epoch.metrics == {"f1": value}, key


@pytest.mark.slow
def test_only_a_name_that_no_trial_has_reported_is_a_mistake(write: Write) -> None:
    said: list[str] = []
    trial = Trial("f1s:broken", 1, {"lr": 1.0}, "lr=1")

    def ended(metric: str, event: Progress | Points, learns: bool) -> Compared:
        compared = Compared(load(write(SEARCH.replace("name: f1", f"name: {metric}"))), learns, said.append)
        compared.start(trial)
        compared.take(trial, event)
        compared.take(trial, compared.completed(trial, Finished(Outcome.COMPLETED)))
        return compared

    never = Progress(1, {"train_loss": 1.0, "score": 2.0}, 1.0, not_finite=["f1"])
    assert not ended("f1", never, learns=True).ends_launch
    assert ended("scroe", never, learns=True).ends_launch
    assert said == []
    assert not ended("scroe", never, learns=False).ends_launch
    assert [line.partition("toy.yaml")[2] for line in said] == [
        ":4: metric.name: lr=1 has reported no scroe; did you mean score?"
    ]

    for name in ("acc", "acc.by_step"):
        said.clear()
        ended(name, Points({"acc.by_step": [(1, 0.5, 1.0)]}), learns=False)
        assert [line.partition("metric.name: ")[2] for line in said] == [
            f"lr=1 has reported {name} by step alone; yield it by epoch, too, or return it"
        ]

    said.clear()
    ended("f1", Progress(1, {}, 1.0), learns=False)
    how = "yield or return it; a program prints lines such as `epoch 1 f1=0.5`"
    assert [line.partition("metric.name: ")[2] for line in said] == [
        f"lr=1 has reported no f1, nor any other metric; {how}"
    ]


def test_a_value_that_is_not_finite_from_an_epoch_on_is_diagnosed_with_the_epoch(write: Write) -> None:
    trial = Trial("f1s:broken", 1, {"lr": 1.0}, "lr=1")
    spec = load(write(SEARCH))

    def diagnosis(values: list[float | None], given: str | None = None, **final: float) -> str | None:
        compared = Compared(spec, True, print)
        compared.start(trial)
        for epoch, value in enumerate(values, start=1):
            is_none = value is None
            compared.take(trial, Progress(epoch, {} if is_none else {"f1": value}, 1.0, not_finite=["f1"] * is_none))
        return compared.completed(trial, Finished(Outcome.COMPLETED, final, diagnosis=given)).diagnosis

    lost = "f1 is not finite from epoch 3 on, and counts with its best value before, of epoch 1"
    assert diagnosis([0.9, 0.8, None, None]) == lost
    assert diagnosis([0.9, 0.8, None, None], "a dead decoder") == f"a dead decoder; {lost}"
    assert diagnosis([0.9, 0.8, None, None], f1=0.7) == lost
    assert diagnosis([0.9, None, 0.8]) is None
    assert diagnosis([None, 0.9]) is None
    assert diagnosis([None, None]) == "it has no finite f1"
    assert diagnosis([]) == "it has reported no f1"


def test_of_several_metrics_the_last_value_before_counts_and_a_final_one_needs_no_word() -> None:
    so_far = ObjectiveSoFar(Objective("f1", "maximize", counts_best=False))
    for epoch, value in enumerate([0.9, 0.8], start=1):
        so_far.take(value, epoch)
    so_far.lose(3)
    so_far.lose(4)
    assert so_far.remark() == "f1 is not finite from epoch 3 on, and counts with its last value before, of epoch 2"
    assert so_far.remark(0.7) is None


def test_what_stands_in_follows_the_order_in_which_trials_ended(write: Write) -> None:
    spec = load(write(SEARCH))
    live = samplers.of(spec)
    first, second = live.ask(), live.ask()
    assert first
    assert second
    history: dict[str, Record] = {}
    for number, (trial, value) in enumerate([(second, 0.5), (first, None)], start=1):
        live.tell(trial, observed(value))
        tags = {
            "proposal": PROPOSALS.dump_json(trial.proposal).decode(),
            "epochs_run": "3",
            "end_number": f"{number}",
            "reported": '{"by_epoch": ["f1"], "best": {"f1": "maximize"}}',
        }
        metrics = {"explosion_margin": -1.0} | ({} if value is None else {"f1": value, "best_f1": value})
        ended = (Outcome.COMPLETED, "", trial.params, metrics, tags)
        history[trial.trial_key] = Record(trial.trial_key, trial.trial_key, trial.label, *ended)
    later = samplers.of(spec)
    later.replay(history, [])
    seen = [[(trial.state, trial.values) for trial in one._proposals._study.trials] for one in (live, later)]  # type: ignore[attr-defined]
    assert seen[0] == seen[1]
    assert seen[0][0][1] == [0.5]


@pytest.mark.slow
def test_a_search_goes_on_past_trials_without_a_value_and_sees_the_same_when_taken_up_again(
    store: str, write: Write, sweep: Sweep
) -> None:
    path = write(SEARCH)
    assert sweep("launch", path, "--executor", "inline").returncode == 0
    write(SEARCH.replace("run_cap: 5", "run_cap: 7"))
    assert sweep("launch", path, "--executor", "inline").returncode == 0
    halves = [run.data.params["lr"] for run in children(store, "toy")]
    whole = write(SEARCH.replace("run_cap: 5", "run_cap: 7"), "whole.yaml")
    done = sweep("launch", whole, "--executor", "inline")
    runs = children(store, "whole")
    assert [run.data.params["lr"] for run in runs] == halves
    without = [run for run in runs if float(run.data.params["lr"]) > 0.03]
    assert without
    assert {run.data.tags["outcome"] for run in runs} == {"completed"}
    assert {run.data.tags.get("diagnosis") for run in without} == {"it has no finite f1"}
    assert f"{without[0].info.run_name}: it has no finite f1" in done.stdout
    assert sorted(int(run.data.tags["end_number"]) for run in runs) == [*range(1, 8)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        "early_terminate: {type: median, n_startup_trials: 1}",
        "early_terminate: {type: hyperband, min_iter: 1}",
        "early_terminate: {type: patient, patience: 1}",
        "replicates: {max: 3, until: separated}",
        "",
    ],
)
def test_a_grid_ranks_what_has_no_value_behind_all_that_have_one(
    store: str, write: Write, sweep: Sweep, more: str
) -> None:
    path = write(GRID + more)
    done = sweep("launch", path, "--executor", "inline")
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.strip().startswith("0.0") and "completed" in line]
    assert [row.split()[0] for row in rows][-2:] == ["0.05", "0.05"]
    assert "best of 2 by f1 (maximize): lr=0.02" in sweep("best", path).stdout
    assert sweep("report", path).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize(("function", "value"), [("early", 0.75), ("returned", 0.01)])
def test_a_trial_counts_with_its_best_finite_value(
    store: str, write: Write, sweep: Sweep, function: str, value: float
) -> None:
    path = write(GRID.replace("broken", function))
    assert sweep("launch", path, "--executor", "inline").returncode == 0
    runs = {str(run.info.run_name): run for run in children(store, "toy")}
    found = runs["lr=0.01 seed=0"].data.metrics
    assert found.get("best_f1", found["f1"]) == value
    said = runs["lr=0.05 seed=0"].data.tags.get("diagnosis")
    lost = "f1 is not finite from epoch 3 on, and counts with its best value before, of epoch 2"
    assert said == ("it has no finite f1" if function == "returned" else lost)
    if function == "early":
        best = sweep("best", path).stdout
        assert f"seed=0: {lost}" in best
        assert sweep("report", path).returncode == 0
        assert lost in next(path.parent.rglob("report.md")).read_text()


@pytest.mark.slow
def test_a_search_that_stopped_for_a_name_goes_on_once_the_function_reports_it(
    store: str, write: Write, sweep: Sweep, folder: Path
) -> None:
    path = write(SEARCH.replace("f1s:broken", "f1s:mended").replace("name: f1", "name: f2"))
    for _ in range(2):
        stopped = sweep("launch", path, "--executor", "inline")
        assert (stopped.returncode, stopped.stdout.count(": started")) == (2, 1)
        assert "toy.yaml:4: metric.name" in stopped.stderr
        assert "has reported no f2; did you mean f1?" in stopped.stderr
    (folder / "f1s.py").write_text(FUNCTIONS.replace('"f1": config.lr * e}', '"f2": config.lr * e}'))
    done = sweep("launch", path)
    assert done.returncode == 0, done.stderr
    assert sorted("best_f2" in run.data.metrics for run in children(store, "toy")) == [False] * 2 + [True] * 3


@pytest.mark.slow
def test_early_termination_without_a_metric_by_epoch_is_said_in_whole_sentences(
    store: str, write: Write, sweep: Sweep
) -> None:
    early = "early_terminate: {type: median, metric: {name: val_acc, goal: maximize}}"
    done = sweep("launch", write(GRID.replace("broken", "silent") + early), "--executor", "inline")
    assert done.returncode == 2
    assert (
        "lr=0.05 seed=0 has reported no val_acc by epoch, nor any other metric by epoch; "
        "yield metrics epoch by epoch, or remove early_terminate" in done.stderr
    )


@pytest.mark.slow
def test_a_grid_by_a_name_that_nobody_reports_says_so_and_goes_on(store: str, write: Write, sweep: Sweep) -> None:
    path = write("trial: toys:train\nmetric: {name: scroe, goal: maximize}\nparameters: {x: {values: [1, 2]}}\n")
    for _ in range(2):
        done = sweep("launch", path, "--executor", "inline")
        assert done.returncode == 0
        assert done.stdout.count("toy.yaml:2: metric.name: x=1 has reported no scroe; did you mean score?") == 1
    assert "no trial of toy that toy.yaml asks for has completed with a value of scroe; did you mean score?" in (
        sweep("best", path).stderr
    )
