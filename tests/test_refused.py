"""What MLflow does not take: our rules are not laxer than its own, and what it refuses all the same is set aside."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mlflow import Image
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException, RestException
from mlflow.protos.databricks_pb2 import BAD_REQUEST, INVALID_PARAMETER_VALUE
from mlflow.store.db.utils import _get_managed_session_maker
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.uri import validate_path_is_safe
from mlflow.utils.validation import _validate_batch_log_data, _validate_metric_name, _validate_tag_name
from reading import artifacts, children, steps
from requests import HTTPError, Response
from sqlalchemy import QueuePool, create_engine
from sqlalchemy.orm import sessionmaker

from orchestrator.errors import RunDeletedError
from orchestrator.events import Event, Finished, Progress, Started, Tagged, metric_name
from orchestrator.spec import load
from orchestrator.system.printable import storable
from orchestrator.trackers import Tracker
from orchestrator.trackers.errors import is_refusal, may_pass
from orchestrator.trackers.trial_params import entities
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.metric_names import MetricNames, file_name, nearest, picture

Write = Callable[..., Path]
TRIAL = Trial("toys:train", 1, {"x": 1.0}, "x=1")
END = Finished(Outcome.COMPLETED, {"final": 1.0})
ODD = ["acc/../data/test", "/acc", "a//b", "./a", "a/", ".", "..", "a\\b", "C:/x", "a/.", " a", "%2e%2e/a", "x" * 251]
ODD += ["é" * 250, "准确率", "a\0b", "\ud800", "\u202eacc", "a\n", "loss ", "-", "~", "a/ b", "../" * 90]
paths = st.lists(st.sampled_from([*"aB.é率 /:~%#\\\n\0-", "..", "//", "\ud800", "x" * 90]), min_size=1, max_size=8).map(
    "".join
)


@pytest.mark.parametrize("name", ODD)
def test_an_odd_name_becomes_one_that_mlflow_takes(name: str) -> None:
    reported = metric_name(name)
    _validate_batch_log_data(
        [Metric(nearest(reported), 1.0, 0, 0)], [Param(nearest(name), "")], [RunTag(nearest(name), "")]
    )


@settings(max_examples=60)
@given(name=paths | st.text(min_size=1, max_size=300))
@example("acc/../data/test")
def test_no_name_is_refused_by_mlflow(name: str) -> None:
    for checked in (nearest(name), f"metric.{nearest(name)}", f"picture.{picture(name)}"):
        _validate_metric_name(checked)
        _validate_tag_name(checked)
        assert len(checked) <= 250
    assert not storable(name).encode().count(0)


@settings(max_examples=40)
@given(names=st.lists(paths, unique=True, max_size=6))
def test_no_two_names_of_a_run_are_one_in_the_store_whichever_it_is(names: list[str]) -> None:
    known = MetricNames()
    assert len({known.stored(name).casefold() for name in names}) == len(names)


def test_names_that_differ_in_case_alone_are_two() -> None:
    known = MetricNames()
    assert known.stored("F1") == "F1"
    assert known.stored("f1").startswith("f1.")
    assert MetricNames.of(["F1", "f1"], known.tags).stored("f1") == known.stored("f1")
    assert MetricNames.of(["F1", "f1"], {}).stored("f1") == "f1"  # of an earlier version


def test_values_and_names_of_parameters_are_such_that_a_database_takes_them() -> None:
    params = {"a@b": "x\0y", "a_b": "\ud800", "long": "z" * 7000, "": 1, "准确率": "é"}
    found = entities(params)
    _validate_batch_log_data([], found, [])
    assert len({param.key for param in found}) == len(params)
    assert [param.value for param in found[:2]] == ["x\\x00y", "\\ud800"]
    assert len(found[2].value) == 6000


@pytest.fixture
def tracker(store: str, write: Write) -> Tracker:
    tracker = Tracker(store, load(write("trial: toys:train\nmetric: {name: score, goal: maximize}\n")))
    tracker.open(1)
    return tracker


def test_what_is_named_oddly_is_in_the_store_with_its_own_name_in_a_tag(tracker: Tracker, tmp_path: Path) -> None:
    for name in ("训练曲线", "loss (val)"):
        path = tmp_path / "images" / name / "1.png"
        path.parent.mkdir(parents=True)
        Image(np.zeros((8, 8))).save(str(path))
    tags = {"program.a@b": "1", "program.a_b": "2", "program.nul": "a\0b\ud800"}
    events: Sequence[Event] = [
        Started(1, 1),
        Tagged(tags),
        Progress(1, {"准确/率": 0.5, "F1": 1.0, "f1": 2.0}, 1.0),
        END,
    ]
    tracker.write(Trial("toys:train", 1, {"x": 1.0}, "x" * 900), events, tmp_path)
    (run,) = children(tracker.uri, "toy")
    assert run.data.metrics["准确/率"] == 0.5
    assert sorted(value for name, value in run.data.metrics.items() if name.lower().startswith("f1")) == [1.0, 2.0]
    assert run.data.tags["program.a_b"] == "1"
    assert run.data.tags["tag.program.a_b"] == "program.a@b"
    assert "2" in run.data.tags.values()
    assert run.data.tags["program.nul"] == "a\\x00b\\ud800"
    assert {name: run.data.tags[f"picture.{name}"] for name in json.loads(run.data.tags["pictures"])} == {
        picture("训练曲线"): "训练曲线",
        picture("loss (val)"): "loss (val)",
    }
    assert len(artifacts(tracker.uri, run, "images")) == 4
    assert len(str(run.info.run_name)) == 250
    assert "refused" not in run.data.tags


def refusing(monkeypatch: pytest.MonkeyPatch, code: int, *keys: str) -> list[int]:
    """Have the store refuse whatever has these keys; returns the sizes of the calls."""
    calls: list[int] = []
    log_batch = SqlAlchemyStore.log_batch

    def log(store: SqlAlchemyStore, run_id: str, metrics: list[Any], params: list[Any], tags: list[Any]) -> None:
        things = [*metrics, *params, *tags]
        calls.append(len(things))
        if any(thing.key in keys for thing in things):
            raise MlflowException("not here", code)
        log_batch(store, run_id, metrics, params, tags)

    monkeypatch.setattr(SqlAlchemyStore, "log_batch", log)
    return calls


@pytest.mark.parametrize("code", [BAD_REQUEST, INVALID_PARAMETER_VALUE])
def test_what_the_store_refuses_is_set_aside_and_the_rest_is_written(
    tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    refusing(monkeypatch, code, "bad", "x", "worse")
    epochs = [Progress(epoch, {"bad": 1.0, "good": 2.0, "score": 3.0}, 1.0) for epoch in (1, 2, 2**70)]
    tracker.write(TRIAL, [Started(1, 1), Tagged({"worse": "1", "better": "2"}), *epochs, END], tmp_path)
    (run,) = children(tracker.uri, "toy")
    assert run.info.status == "FINISHED"
    assert run.data.tags["outcome"] == "completed"
    assert run.data.tags["better"] == "2"
    assert steps(tracker.uri, run, "good") == [1, 2]
    assert run.data.metrics["final"] == 1.0
    lines = run.data.tags["refused"].splitlines()
    assert {"metric bad: not here", "parameter x: not here", "tag worse: not here"} <= {*lines}
    assert f"metric good: there is no step {2**70}" in lines
    assert not {"bad", "x", "worse"} & {*run.data.metrics, *run.data.params, *run.data.tags}


def test_of_many_points_few_calls_find_those_that_are_refused(
    tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = refusing(monkeypatch, BAD_REQUEST, "m7")
    tracker.write(TRIAL, [Progress(e, {f"m{i}": 1.0 for i in range(40)}, 1.0) for e in range(1, 21)], tmp_path)
    assert len(calls) < 20
    (run,) = children(tracker.uri, "toy")
    assert len(run.data.metrics) == 39


def test_a_run_that_was_deleted_takes_nothing_any_more_which_is_said_once(tracker: Tracker, tmp_path: Path) -> None:
    tracker.write(TRIAL, [Started(1, 1)], tmp_path)
    (run,) = children(tracker.uri, "toy")
    tracker.client.delete_run(run.info.run_id)
    with pytest.raises(RunDeletedError, match=f"x=1: its run {run.info.run_id} was deleted in MLflow"):
        tracker.write(TRIAL, [Progress(1, {"score": 0.5}, 1.0)], tmp_path)
    tracker.write(TRIAL, [END], tmp_path)
    assert children(tracker.uri, "toy") == []


def test_what_is_too_large_at_once_is_written_in_parts(
    tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_batch = SqlAlchemyStore.log_batch

    def log(store: SqlAlchemyStore, run_id: str, metrics: list[Any], params: list[Any], tags: list[Any]) -> None:
        if len(metrics) + len(params) + len(tags) > 3:
            raise MlflowException("API request to endpoint /x failed with error code 413 != 200. Response body: ''")
        log_batch(store, run_id, metrics, params, tags)

    monkeypatch.setattr(SqlAlchemyStore, "log_batch", log)
    tracker.write(TRIAL, [Progress(1, {"a": 1.0, "b": 2.0, "score": 3.0}, 1.0), END], tmp_path)
    (run,) = children(tracker.uri, "toy")
    assert {"a", "b", "score", "final"} <= run.data.metrics.keys()
    assert run.data.tags["outcome"] == "completed"
    assert "refused" not in run.data.tags


def test_a_database_that_is_busy_or_has_lost_its_connection_refuses_nothing_for_good(tmp_path: Path) -> None:
    one = create_engine(
        f"sqlite:///{tmp_path / 'db'}", poolclass=QueuePool, pool_size=1, max_overflow=0, pool_timeout=0
    )
    maker = _get_managed_session_maker(sessionmaker(one), "sqlite")
    with maker(), pytest.raises(MlflowException) as raised, maker():
        pass
    assert raised.value.error_code == "BAD_REQUEST"
    answers = [f"(psycopg2.{one}) said so" for one in ("InterfaceError", "errors.InFailedSqlTransaction")]
    answers.append("Can't reconnect until invalid transaction is rolled back.")
    passed_on = [RestException({"error_code": "BAD_REQUEST", "message": said}) for said in answers]
    for error in (raised.value, *passed_on):
        assert may_pass(error)
        assert not is_refusal(error)
    value = "(psycopg2.errors.StringDataRightTruncation) value too long\n[SQL: UPDATE 'InterfaceError']"
    refused = RestException({"error_code": "BAD_REQUEST", "message": value})
    assert is_refusal(refused)
    assert not may_pass(refused)


@pytest.mark.parametrize(
    ("status", "refuses"), [(400, True), (404, True), (413, True), (403, False), (429, False), (503, False)]
)
def test_an_answer_of_a_server_is_a_refusal_where_it_is_about_the_file(status: int, refuses: bool) -> None:
    response = Response()
    response.status_code = status
    assert is_refusal(HTTPError("no", response=response)) == refuses
    assert may_pass(HTTPError("no", response=response)) != refuses


@pytest.mark.parametrize(
    "name", ["a#b.txt", "q?x=1.txt", "50%25.txt", "n\nl.txt", "C:x", "a\\b", "..x", "\x00#", "#" * 255]
)
def test_a_file_that_a_server_would_refuse_or_cut_has_another_name(name: str) -> None:
    changed = file_name(name)
    assert changed != name
    assert file_name(changed) == changed
    assert changed.endswith(".txt") == name.endswith(".txt")
    assert changed != file_name(name + "#")
    assert validate_path_is_safe(quote(f"folder/{changed}")) == f"folder/{changed}"


@pytest.mark.parametrize("name", ["model.pt", "ü 学.txt", ".hidden", "a+b&c=d.txt", "x" * 255, "a.tar.gz"])
def test_a_file_that_every_store_keeps_has_its_own_name(name: str) -> None:
    assert file_name(name) == name


def test_files_are_logged_under_names_that_the_store_keeps_but_for_those_that_it_refuses(
    tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    response = Response()
    response.status_code = 400
    log_artifact = tracker.client.log_artifact

    def log(run_id: str, path: str, place: str | None = None) -> None:
        if "#" in Path(path).name or "huge" in path:
            raise HTTPError("Invalid path", response=response)
        log_artifact(run_id, path, place)

    def log_all(run_id: str, folder: str) -> None:
        raise HTTPError("Invalid path", response=response)

    monkeypatch.setattr(tracker.client, "log_artifact", log)
    monkeypatch.setattr(tracker.client, "log_artifacts", log_all)
    folder = tmp_path / "artifacts" / "deep"
    folder.mkdir(parents=True)
    for name in ("a#b.txt", "plain.txt", "huge.bin"):
        (folder / name).write_text(name)
    tracker.write(TRIAL, [END], tmp_path)
    (run,) = children(tracker.uri, "toy")
    (renamed,) = artifacts(tracker.uri, run, "deep") - {"deep/plain.txt"}
    assert renamed == f"deep/{file_name('a#b.txt')}"
    assert run.data.tags["outcome"] == "completed"
    problem = run.data.tags["artifacts.problem"]
    assert f"deep/a#b.txt is {renamed}" in problem
    assert "deep/huge.bin: Invalid path" in problem
