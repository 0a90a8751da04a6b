"""MLflow's UI, and the view with which it shows a sweep."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED

from orchestrator.comparison.table import Table
from orchestrator.spec import SweepSpec, load
from orchestrator.trackers import Store, Tracker
from orchestrator.trackers.view import LONGEST, TAG, address, view_of

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.slow
def test_the_view_of_a_sweep_has_the_best_trials_first_and_what_varies(store: str, write: Write, sweep: Sweep) -> None:
    sweep(
        "launch", write("trial: toys:train\nmetric: {name: score, goal: maximize}\nparameters: {x: {values: [1, 2]}}")
    )
    experiment = MlflowClient(tracking_uri=store).get_experiment_by_name("toy")
    assert experiment is not None
    view = json.loads(experiment.tags[TAG])
    assert (view["orderByKey"], view["orderByAsc"]) == ("metrics.`best_score`", False)
    assert view["columnOrder"] == [
        "tags.`outcome`",
        "metrics.`best_score`",
        "metrics.`final_score`",
        "metrics.`train_loss`",
        "metrics.`val_loss`",
        "metrics.`best_epoch`",
        "params.`x`",
    ]
    assert set(view["columnOrder"]) < set(view["selectedColumns"])
    assert Store(store).addresses(5) == [("toy", address(experiment.experiment_id, has_view=True))]


@pytest.mark.slow
def test_a_store_that_takes_no_view_keeps_the_description(
    store: str, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise MlflowException("not yours", error_code=PERMISSION_DENIED)

    monkeypatch.setattr(MlflowClient, "set_experiment_tag", refuse)
    tracker = Tracker(store, load(write("trial: toys:train")))
    tracker.open(1)
    tracker.describe(table(tracker.spec, "x"))
    tracker.close("FINISHED")
    (parent,) = MlflowClient(tracking_uri=store).search_runs([tracker.experiment_id])
    assert "mlflow.note.content" in parent.data.tags


@pytest.mark.slow
def test_a_metric_that_is_told_once_is_sorted_by_itself(store: str, write: Write, sweep: Sweep) -> None:
    sweep("launch", write("trial: toys:plain\nmetric: {name: final_score, goal: minimize}"))
    experiment = MlflowClient(tracking_uri=store).get_experiment_by_name("toy")
    assert experiment is not None
    view = json.loads(experiment.tags[TAG])
    assert (view["orderByKey"], view["orderByAsc"]) == ("metrics.`final_score`", True)


def table(spec: SweepSpec, *varying: str) -> Table:
    return Table.ranked(spec, [], [], varying)


def test_a_view_too_long_for_mlflow_is_none(folder: Path, write: Write) -> None:
    spec = load(write("trial: toys:train"))
    assert view_of(table(spec, "x")) is not None
    assert view_of(table(spec, *("x" * LONGEST))) is not None  # of many parameters, ten are shown
    assert view_of(table(spec, *(letter * 250 for letter in "abcdefghij"))) is None
