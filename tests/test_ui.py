"""MLflow's UI, and what it shows of a sweep and of its runs."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from exploring import recorded
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED
from test_ui_browser import free_port

from orchestrator.commands.ui import ANYWHERE, _answers, _serve
from orchestrator.comparison.table import Table
from orchestrator.conclusion import Conclusion, keep_table
from orchestrator.events import Finished, Progress, Started
from orchestrator.spec import SweepSpec, load
from orchestrator.system.loopback import HOST, check_port
from orchestrator.trackers import Store, Tracker
from orchestrator.trackers.sweep_results import RESULTS_FILE
from orchestrator.trackers.trial_note import TAG as NOTE
from orchestrator.trackers.view import LONGEST, TAG, address, view_of
from orchestrator.trial import Outcome
from orchestrator.trials.grid import expand

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


def test_each_run_says_how_its_trial_ended_and_leads_on(store: str, folder: Path) -> None:
    recorded(folder, store)
    client = MlflowClient(tracking_uri=store)
    experiment = client.get_experiment_by_name("explored")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    notes = [run.data.tags[NOTE] for run in runs if "trial_key" in run.data.tags]
    assert len(notes) == 24
    (failed,) = [note for note in notes if note.startswith("**failed**")]
    assert failed.startswith("**failed**: the disk is full\n\n")
    exploded = [note for note in notes if note.startswith("**loss explosion**")]
    assert len(exploded) == 3
    assert all("score became nan" in note and "<script" not in note.replace("\\<", "") for note in exploded)
    assert any(note.startswith("**completed**\n\nscore 40.2") for note in notes)
    (parent,) = [run for run in runs if "trial_key" not in run.data.tags]
    here = f"#/experiments/{experiment.experiment_id}/runs/{parent.info.run_id}?workflowType=machine_learning"
    assert all(f"[the sweep]({here})" in note and "its report" not in note for note in notes)


def test_a_description_that_somebody_has_written_stays_and_ours_follows_its_trial(store: str, write: Write) -> None:
    spec = load(write("trial: toys:train\nmetric: {name: score, goal: maximize}\nparameters: {x: {values: [1, 2]}}"))
    plain, described = expand(spec).trials
    client = MlflowClient(tracking_uri=store)

    def launched(end: Finished) -> list[str]:
        tracker = Tracker(store, spec)
        tracker.open(2)
        for trial in (plain, described):
            tracker.write(trial, [Started(1, 1)], Path())
            run_id = tracker.run_ids[trial.trial_key]
            assert not client.get_run(run_id).data.tags.get(NOTE, "").startswith("**")  # of before
            if trial is described:
                client.set_tag(run_id, NOTE, "look at its tail")
            tracker.write(trial, [end], Path())
        tracker.close("FINISHED")
        return [client.get_run(tracker.run_ids[trial.trial_key]).data.tags[NOTE] for trial in (plain, described)]

    ours, theirs = launched(Finished(Outcome.FAILED, reason="the disk is full"))
    assert ours.startswith("**failed**: the disk is full")
    assert theirs == "look at its tail"
    ours, theirs = launched(Finished(Outcome.COMPLETED, {"score": 1.5}))
    assert ours.startswith("**completed**\n\nscore 1.5")
    assert theirs == "look at its tail"


def test_the_run_of_a_sweep_has_its_table_with_the_ids_of_runs(store: str, folder: Path) -> None:
    recorded(folder, store)
    spec = load(folder / "explored.yaml")
    tracker = Tracker(store, spec)
    records = tracker.open(24)
    said: list[str] = []
    keep_table(tracker, Conclusion.of(spec, expand(spec).trials, records.values()).table, said.append)
    assert said == []
    tracker.close("FINISHED")
    text = MlflowClient(tracking_uri=store).download_artifacts(tracker.parent_id, RESULTS_FILE, str(folder))
    header, *rows = csv.reader(Path(text).read_text().splitlines())
    assert header[:4] == ["x", "mode", "seed", "outcome"]
    assert len(rows) == 24
    ids = {record.run_id: record for record in records.values()}
    assert {row[-1] for row in rows} == ids.keys()
    assert rows[0][:4] == ["8", "fine", "2", "completed"]
    assert ids[rows[0][-1]].params["seed"] == 2


def test_a_store_that_refuses_the_table_of_a_sweep_ends_no_launch(
    store: str, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise MlflowException("413 Request Entity Too Large", PERMISSION_DENIED)

    spec = load(write("trial: toys:train\nparameters: {x: {values: [1, 2]}}"))
    tracker = Tracker(store, spec)
    records = tracker.open(2)
    said: list[str] = []
    monkeypatch.setattr(tracker.client, "log_text", refused)
    keep_table(tracker, Conclusion.of(spec, expand(spec).trials, records.values()).table, said.append)
    tracker.close("FINISHED")
    assert len(said) == 1
    assert said[0].startswith("the table of results could not be put into the store: ")
    assert "413 Request Entity Too Large" in said[0]


def test_a_sweep_has_a_view_before_any_trial_has_ended(store: str, write: Write) -> None:
    spec = load(write("trial: toys:train\nmetric: {name: score, goal: maximize}\nparameters: {x: {values: [1, 2]}}"))
    tracker = Tracker(store, spec)
    tracker.open(2)
    tracker.describe_so_far()
    tracker.abandon()
    experiment = MlflowClient(tracking_uri=store).get_experiment_by_name("toy")
    assert experiment is not None
    columns = json.loads(experiment.tags[TAG])["columnOrder"]
    assert {"tags.`outcome`", "metrics.`best_score`", "params.`x`"} <= {*columns}


def test_the_view_has_what_exploded_behind_what_completed_however_good_it_was_before(
    store: str, folder: Path, write: Write
) -> None:
    spec = load(write("trial: toys:train\nmetric: {name: score, goal: maximize}\nparameters: {x: {values: [1, 2]}}"))
    tracker = Tracker(store, spec)
    tracker.open(2)
    exploding, other = expand(spec).trials
    for trial, score, outcome in ((exploding, 0.9, Outcome.EXPLODED), (other, 0.5, Outcome.COMPLETED)):
        epochs = [Progress(epoch, {"score": value}, 1.0) for epoch, value in ((1, score), (2, 0.4))]
        tracker.write(trial, [Started(1, 1), *epochs, Finished(outcome)], folder)
    tracker.describe_so_far()
    tracker.abandon()
    client = MlflowClient(tracking_uri=store)
    experiment = client.get_experiment_by_name("toy")
    assert experiment is not None
    view = json.loads(experiment.tags[TAG])
    order = f"{view['orderByKey']} {'ASC' if view['orderByAsc'] else 'DESC'}"
    found = client.search_runs([experiment.experiment_id], "tags.`outcome` != ''", order_by=[order])
    assert [run.data.tags["outcome"] for run in found] == ["completed", "loss explosion"]
    records = Store(store).records("toy", spec.objectives)
    assert [record.value(spec.objectives[0]) for record in records] == [0.4, 0.5]  # the last, and the best
    assert "score 0.4000, 2 epochs" in found[1].data.tags["mlflow.note.content"]


def table(spec: SweepSpec, *varying: str) -> Table:
    return Table.ranked(spec, [], [], varying)


def test_a_view_too_long_for_mlflow_is_none(folder: Path, write: Write) -> None:
    spec = load(write("trial: toys:train"))
    assert view_of(table(spec, "x")) is not None
    assert view_of(table(spec, *("x" * LONGEST))) is not None  # of many parameters, ten are shown
    assert view_of(table(spec, *(letter * 250 for letter in "abcdefghij"))) is None


@pytest.mark.parametrize("host", ["a..b", ".", "a" * 64, "fe80::1", "192.0.2.1"])
def test_an_address_that_cannot_be_served_is_said_in_a_line(store: str, sweep: Sweep, host: str) -> None:
    said = sweep("ui", "--host", host)
    assert said.returncode == 2
    assert said.stderr.startswith(f"sweep: --host {host}: ")
    assert said.stderr.count("\n") == 1


def test_a_server_of_all_addresses_is_looked_for_where_it_answers() -> None:
    server = subprocess.Popen(["sleep", "60"])
    try:
        with socket.create_server(("::", 0), family=socket.AF_INET6) as listening:
            port = listening.getsockname()[1]
            assert _answers(server, ANYWHERE["::"], port)
        check_port(port, "::")
    finally:
        server.kill()
        server.wait()


def test_of_a_server_that_fails_the_last_lines_are_shown(
    store: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    failing = folder / "failing"
    failing.write_text("#!/bin/sh\nseq -f 'line %g' 40\necho 'no such table' >&2\nexit 3\n")
    failing.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(failing))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    assert _serve(store, HOST, free_port(), opens=False, as_json=False) == 3
    told = capfd.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == ["starting MLflow's UI", *(f"line {i}" for i in range(32, 41)), "no such table"]


@pytest.mark.slow
def test_the_links_stand_alone_and_work_by_the_name_of_this_machine(store: str) -> None:
    port, name = free_port(), socket.gethostname()
    command = [sys.executable, "-m", "orchestrator", "ui", "--host", "0.0.0.0", "--port", str(port)]  # noqa: S104
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        said = [server.stdout.readline() for _ in range(2)]
        others = f"from other machines: {name} in place of 127.0.0.1\n"
        assert said == [f"MLflow UI: http://127.0.0.1:{port} (Ctrl-C stops it)\n", others]
        assert [runs_for(port, host) for host in ("localhost", name, "evil.example")] == [200, 200, 403]
    finally:
        server.terminate()
        _, errors = server.communicate(timeout=30)
    assert [line.partition(":")[0] for line in errors.splitlines()] == ["sweep", "starting MLflow's UI"]


def runs_for(port: int, host: str) -> int:
    """The status of an answer to a page of the UI, which was opened by this name."""
    headers = {"Host": f"{host}:{port}", "Origin": f"http://{host}:{port}"}
    url = f"http://127.0.0.1:{port}/ajax-api/2.0/mlflow/runs/search"
    return requests.post(url, json={"experiment_ids": ["0"]}, headers=headers, timeout=30).status_code


@pytest.mark.slow
@pytest.mark.parametrize(("call", "page"), [(["ui", "--json"], "health"), (["dashboard", "toy"], "api/studies")])
def test_a_module_of_the_current_folder_stands_in_no_servers_way(
    store: str, folder: Path, write: Write, sweep: Sweep, call: list[str], page: str
) -> None:
    sweep("launch", write("trial: toys:train\nmetric: {name: score, goal: maximize}"), "--executor", "inline")
    for name in ("jinja2", "flask", "uvicorn", "mlflow", "bottle", "optuna", "optuna_dashboard", "numpy"):
        (folder / f"{name}.py").write_text("raise SystemExit('not this one')\n")
    port = str(free_port())
    command = [sys.executable, "-P", "-m", "orchestrator", *call, "--port", port]  # as the command is installed
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        assert port in server.stdout.readline(), server.communicate()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}", timeout=30) as answer:
            assert answer.status == 200
    finally:
        server.terminate()
        server.communicate(timeout=30)
