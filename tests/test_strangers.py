"""A function that declares nothing gets a table, status, report and UI like the VAE's, of its own metrics."""

import csv
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

import orchestrator
from orchestrator.errors import InputError
from orchestrator.functions import find
from orchestrator.spec import load
from orchestrator.trackers import Store
from orchestrator.trackers.view import TAG

EXAMPLES = Path(__file__).parent.parent / "examples"
Sweep = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def classifier(folder: Path, store: str) -> Path:
    """A classifier of scikit-learn's that yields its accuracy and returns its F1 score, and two files that sweep it."""
    sys.modules.pop("classifier", None)  # the example's own, which another test may have loaded
    shutil.copy(EXAMPLES / "classifier.py", folder)
    text = (EXAMPLES / "classifier.yaml").read_text().replace("[1e-5, 1e-4, 1e-3, 1e-2]", "[1e-2, 1e-4]")
    text = text.replace("parameters:", "parameters:\n  epochs: 3")
    (folder / "ranked.yaml").write_text(text.replace("name: classifier", "name: ranked"))
    unranked = re.sub("metric: .*", "", text).replace("name: classifier", "name: unranked")
    (folder / "unranked.yaml").write_text(unranked)
    return folder


def rows(printed: str) -> list[list[str]]:
    return [line.split() for line in printed.splitlines() if re.match(r"  0\.0", line)]


@pytest.mark.slow
def test_without_a_metric_the_table_has_the_order_of_the_file_and_what_was_reported(
    classifier: Path, sweep: Sweep
) -> None:
    done = sweep("launch", "unranked.yaml", "--executor", "inline")
    assert (done.returncode, done.stderr) == (0, "")
    assert "unranked: in the order of the file" in done.stdout
    assert re.search(r"alpha +penalty +outcome +accuracy +f1 +epochs +time", done.stdout)
    found = rows(done.stdout)
    assert [row[:3] for row in found] == [
        [alpha, penalty, "completed"] for alpha in ("0.01", "0.0001") for penalty in ("l2", "l1")
    ]
    assert all(0.7 < float(value) < 1 for row in found for value in row[3:5])
    assert re.search(r"alpha=0.01 penalty=l2: epoch 1/3, accuracy 0\.\d+", done.stdout)

    best = sweep("best", "unranked.yaml")
    assert (best.returncode, best.stdout) == (2, "")
    assert best.stderr == (
        "sweep: unranked.yaml: has no metric, so trials cannot be ranked; add `metric: {name: ..., goal: ...}`; "
        "its trials have reported accuracy, f1\n"
    )
    status = sweep("status", "unranked")
    assert re.search(r"unranked +4 +0 +0 +0 +0 +0 +0 *$", status.stdout, re.MULTILINE), status.stdout
    with pytest.raises(InputError, match=r"unranked.yaml: names no metric, and an Optuna study needs a metric"):
        _ = orchestrator.load_sweep("unranked").study
    assert "names no metric, and an Optuna study needs a metric" in sweep("dashboard", "unranked.yaml").stderr


@pytest.mark.slow
def test_with_a_metric_they_are_compared_by_it(classifier: Path, sweep: Sweep) -> None:
    done = sweep("launch", "ranked.yaml", "--executor", "inline")
    assert (done.returncode, done.stderr) == (0, "")
    assert "ranked: best accuracy first" in done.stdout
    values = [float(row[3]) for row in rows(done.stdout)]
    assert values == sorted(values, reverse=True)
    assert len(values) == 4
    assert f"accuracy {max(values):.2f}" in sweep("best", "ranked.yaml").stdout.replace("\n", " ")[:200]
    assert re.search(r"time: about \d", sweep("plan", "ranked.yaml", "--set", "epochs=4").stdout)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["unranked", pytest.param("ranked", marks=pytest.mark.slow)])
def test_its_report_and_its_view_are_of_its_own_metrics(classifier: Path, store: str, sweep: Sweep, name: str) -> None:
    sweep("launch", f"{name}.yaml", "--executor", "inline")
    assert sweep("report", f"{name}.yaml").returncode == 0
    text = (classifier / "reports" / name / "report.md").read_text()
    assert "## accuracy by epoch" in text
    assert "## Confusion" in text
    header = next(line for line in text.splitlines() if line.startswith("| alpha"))
    titles = ["accuracy", "f1"] if name == "unranked" else ["f1", "best accuracy"]
    assert [cell.strip() for cell in header.split("|")[3:5]] == titles
    assert ("compared by" in text, "**Best:**" in text) == (name == "ranked",) * 2
    (first, *_) = csv.DictReader((classifier / "reports" / name / "report.csv").read_text().splitlines())
    assert float(first["f1"]) > 0.7

    experiment = MlflowClient(tracking_uri=store).get_experiment_by_name(name)
    assert experiment is not None
    view = json.loads(experiment.tags[TAG])
    shown = [chart.get("metricKey") or chart["imageKeys"][0] for chart in view["compareRunCharts"]]
    assert shown == ["accuracy", "confusion"]
    assert {"metrics.`f1`", "params.`alpha`", "params.`penalty`"} < {*view["columnOrder"]}
    assert view["orderByKey"] == ("metrics.`best_accuracy`" if name == "ranked" else "params.`alpha`")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("keys", "place", "what"),
    [
        ("method: tpe\nrun_cap: 4\n", "method", "tpe"),
        pytest.param("method: bayes\nrun_cap: 4\n", "method", "bayes", marks=pytest.mark.slow),
        pytest.param("replicates: {max: 3}\n", "replicates", "replicates", marks=pytest.mark.slow),
        pytest.param("early_terminate: {type: median}\n", "early_terminate", "early_terminate", marks=pytest.mark.slow),
    ],
)
def test_what_compares_trials_needs_a_metric_and_names_those_that_were_reported(
    classifier: Path, sweep: Sweep, keys: str, place: str, what: str
) -> None:
    file = classifier / "unranked.yaml"
    text = file.read_text().replace("name: unranked\n", f"name: unranked\n{keys}")
    (classifier / "comparing.yaml").write_text(text)
    refused = sweep("plan", "comparing.yaml")
    message = (
        f"comparing.yaml:3: {place}: {what} needs a metric to compare trials by: add metric: {{name: ..., goal: ...}}"
    )
    assert (refused.returncode, refused.stderr) == (2, f"sweep: {message}\n")
    sweep("launch", "unranked.yaml", "--executor", "inline")
    assert sweep("plan", "comparing.yaml").stderr == f"sweep: {message}; its trials have reported accuracy, f1\n"
    ended = "early_terminate: {type: median, metric: {name: accuracy, goal: maximize}}\n"
    (classifier / "comparing.yaml").write_text(text.replace(keys, ended if place == "early_terminate" else keys))
    assert (sweep("plan", "comparing.yaml").returncode == 0) == (place == "early_terminate")


def test_a_declared_metric_is_what_trials_are_compared_by(classifier: Path) -> None:
    path = classifier / "classifier.py"
    declared = "Declaration(metrics=(Metric('accuracy', 'maximize'),), final=(Metric('f1', 'maximize', 'F1'),))"
    path.write_text(
        f"{path.read_text()}\n\nfrom orchestrator import Declaration, Metric\ntrain.declaration = {declared}\n"
    )
    assert find("classifier:train").declaration.final[0].heading == "F1"
    assert [(one.name, one.goal) for one in load(classifier / "unranked.yaml").objectives] == [("accuracy", "maximize")]


@pytest.mark.slow
def test_what_a_store_of_the_version_before_has_is_shown(classifier: Path, store: str, sweep: Sweep) -> None:
    """Its runs lack the tags that name what was reported."""
    sweep("launch", "unranked.yaml", "--executor", "inline")
    client = MlflowClient(tracking_uri=store)
    for record in Store(store).records("unranked"):
        client.delete_tag(record.run_id, "reported")
        client.delete_tag(record.run_id, "pictures")
    again = sweep("launch", "unranked.yaml", "--executor", "inline")
    assert again.returncode == 0
    assert re.search(r"alpha +penalty +outcome +accuracy +f1 +epochs +time", again.stdout)
