"""The store that a launch is given: its URI, whether it answers, and what lies in its trash."""

import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from reading import artifacts, children

import orchestrator
from orchestrator.errors import InputError, StoreAwayError
from orchestrator.system.paths import sqlite_path, tracking_uri
from orchestrator.trackers import opened

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]
TOY = "trial: toys:train\nmetric: {name: score, goal: maximize}\nparameters: {epochs: 1, x: {values: [1, 2]}}\n"


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("sqlite:///a b.db", "a b.db"),
        ("sqlite:///a%20b.db", "a b.db"),
        ("sqlite:///a%2520b.db", "a%20b.db"),
        ("sqlite:///50%25/x.db", "50%/x.db"),
        ("sqlite:///what%3F.db", "what?.db"),
        ("sqlite:///a#b;c&d'e.db", "a#b;c&d'e.db"),
        ("sqlite:///new%0Aline.db", "new\nline.db"),
        ("sqlite+pysqlite:///a%2541.db", "a%41.db"),
        ("sqlite:///ä ö/学.db", "ä ö/学.db"),
        ("SQLite:///x.db", "x.db"),
        ("sqlite+pysqlite:///x.db", "x.db"),
        ("sqlite:///x.db?timeout=60", "x.db"),
        (" sqlite:///x.db\n", "x.db"),
    ],
)
def test_a_sqlite_uri_is_read_as_mlflow_reads_it(uri: str, path: str, folder: Path) -> None:
    from sqlalchemy.engine import make_url

    read = tracking_uri(uri)
    assert sqlite_path(read) == folder / path
    assert tracking_uri(read) == read
    assert make_url(read).database == str(folder / path)
    assert read.endswith("?timeout=60") == uri.endswith("?timeout=60")


def test_a_path_that_is_given_as_it_is_is_read_as_no_other(folder: Path) -> None:
    (folder / "a%20b").mkdir()
    meant = folder / "a%20b" / "x.db"
    with pytest.raises(InputError, match=r"is read as .*/a b/x\.db; for .*/a%20b/x\.db write ") as raised:
        tracking_uri(f"sqlite:///{meant}")
    assert sqlite_path(tracking_uri(str(raised.value).rsplit(" ", 1)[1])) == meant
    (folder / "a b").mkdir()
    assert sqlite_path(tracking_uri(f"sqlite:///{meant}")) == folder / "a b" / "x.db"


def test_a_path_that_is_not_utf_8_is_said_to_be_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = folder / "\udcff"
    place.mkdir()
    monkeypatch.chdir(place)
    with pytest.raises(InputError, match="is not UTF-8"):
        tracking_uri(None)


IN_MEMORY = "is in memory, and keeps nothing"


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("sqlite://", IN_MEMORY),
        ("sqlite:///", IN_MEMORY),
        ("SQLITE:///:memory:", IN_MEMORY),
        ("sqlite:///x.db?mode=memory&uri=true", IN_MEMORY),
        ("sqlite:///file:x?uri=true&vfs=memdb", IN_MEMORY),
        ("sqlite:///file:x.db?uri=true", "names no file: write sqlite:///PATH"),
        ("sqlite://x.db", "names no file: write sqlite:///PATH"),
        ("sqlite:/x.db", "names no file: write sqlite:///PATH"),
        ("sqlite:x.db", "names no file: write sqlite:///PATH"),
        ("sqlite:///~/x.db", f"write sqlite:///{Path.home()}/x.db"),
        ("mlruns/x.db", "is a path, and no URI: write sqlite:////"),
        ("sqlite:////tmp/qu?est/x.db", "for a ? in a path write sqlite+pysqlite:////tmp/qu%3Fest/x.db"),
        ("sqlite:///x.db?fast", "what follows ? are options of SQLite's"),
        ("sqlite:////tmp/a?b=c/x.db", "for a ? in a path write sqlite+pysqlite:////tmp/a%3Fb=c/x.db"),
    ],
)
def test_a_uri_that_names_no_file_is_refused_before_anything_is_made(
    uri: str, message: str, folder: Path, write: Write, sweep: Sweep
) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        tracking_uri(uri)
    path = write(TOY)
    before = sorted(folder.iterdir())
    done = sweep("launch", path, "--tracking-uri", uri)
    assert done.returncode == 2
    assert message in done.stderr
    assert sorted(folder.iterdir()) == before


@pytest.mark.slow
@pytest.mark.parametrize("uri", ["sqlite:///a%20b/100%25.db?timeout=9", "SQLite:///学习 率/x.db"])
def test_a_store_of_any_name_is_written_and_read(uri: str, write: Write, sweep: Sweep, folder: Path) -> None:
    path = write(TOY)
    done = sweep("launch", path, "--executor", "inline", "--tracking-uri", uri)
    assert done.returncode == 0, done.stderr
    file = sqlite_path(tracking_uri(uri))
    assert file is not None
    assert file.is_file()
    assert sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and entry.name[0] not in "._") == [
        file.parent.name
    ]
    assert "x=1" in sweep("status", "toy", "--tracking-uri", uri).stdout
    assert "best of 2" in sweep("best", path, "--tracking-uri", uri).stdout


@pytest.mark.slow
def test_a_sweep_in_the_trash_is_said_to_be_there_whoever_asks(write: Write, sweep: Sweep, store: str) -> None:
    path = write(TOY)
    assert sweep("launch", path, "--executor", "inline").returncode == 0
    client = MlflowClient(tracking_uri=store)
    experiment = client.get_experiment_by_name("toy")
    client.delete_experiment(experiment.experiment_id)
    restore = f"`MLFLOW_TRACKING_URI={store} mlflow experiments restore --experiment-id {experiment.experiment_id}`"
    calls = [(call, path) for call in ("plan", "launch", "status", "best", "report", "dashboard")]
    for call in [*calls, ("status", "toy"), ("best", "toy"), ("report", "toy"), ("dashboard", "toy")]:
        done = sweep(*call)
        assert done.returncode == 2
        assert done.stderr.startswith("sweep: the experiment toy is in MLflow's trash; restore it with ")
        assert restore in done.stderr
        assert done.stderr.count("\n") == 1
    with pytest.raises(InputError, match="in MLflow's trash"):
        orchestrator.load_sweep("toy")
    assert sweep("status").returncode == 0
    client.restore_experiment(experiment.experiment_id)
    assert "x=1" in sweep("best", "toy").stdout


@pytest.mark.slow
def test_an_experiment_that_is_no_sweep_is_said_to_be_none(write: Write, sweep: Sweep, store: str) -> None:
    MlflowClient(tracking_uri=store).create_experiment("toy")
    for call in (("plan", write(TOY)), ("status", "toy"), ("best", "toy")):
        assert "the store has an experiment toy that is not a sweep" in sweep(*call).stderr


@pytest.mark.slow
def test_a_store_is_waited_for_as_long_as_it_does_not_answer() -> None:
    said: list[str] = []
    answers = iter([StoreAwayError("away"), StoreAwayError("still"), None])

    def call() -> str:
        if error := next(answers):
            raise error
        return "open"

    assert opened(call, 30.0, said.append, lambda: False) == "open"
    assert said == ["away; trying again for 30 s"]

    def never() -> None:
        raise StoreAwayError("away")

    with pytest.raises(StoreAwayError, match="away; it was tried for 0 s, `--wait 10m` waits longer"):
        opened(never, 0.1, said.append, lambda: False)
    with pytest.raises(KeyboardInterrupt):
        opened(never, 30.0, said.append, lambda: True)

    def wrong() -> None:
        raise InputError("no such store")

    with pytest.raises(InputError, match="no such store"):
        opened(wrong, 30.0, said.append, lambda: False)


@pytest.mark.parametrize("given", ["soon", "-3", "0", "3 weeks"])
def test_what_is_no_duration_is_not_waited_for(given: str, write: Write, sweep: Sweep) -> None:
    done = sweep("launch", write(TOY), "--wait", given)
    assert done.returncode == 2
    assert "is not a duration; write 45s" in done.stderr


PROGRAM = """
import mlflow
with mlflow.start_run():
    mlflow.log_metric("loss", 0.5, step=1)
    mlflow.log_text("kept", "kept.txt")
"""


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", [pytest.param("qu?est %41#c", marks=pytest.mark.long), "a%20b;c&d'e\n学"])
def test_a_folder_of_any_name_has_its_store_and_all_that_belongs_to_it(
    name: str, folder: Path, empty_store: Path, command: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = folder / "around" / name
    (place / "mlruns").mkdir(parents=True)
    shutil.copy(empty_store, place / "mlruns" / "mlflow.db")
    shutil.copy("toys.py", place)
    (place / "toy.yaml").write_text(TOY)
    (place / "logs.py").write_text(PROGRAM)
    (place / "logs.yaml").write_text(
        f"command: [{sys.executable}, logs.py]\nmetric: {{name: loss}}\nparameters: {{x: 1}}\n"
    )
    monkeypatch.chdir(place)
    done = command("launch", "toy.yaml", "logs.yaml", "--workers", "1")
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert command("report", "toy").returncode == 0
    assert {path.name for path in place.iterdir()} - {"__pycache__"} == {
        *("mlruns", "reports", "toys.py", "toy.yaml", "logs.py", "logs.yaml")
    }
    assert [path.name for path in place.parent.iterdir()] == [name]
    assert len([*(place / "mlruns" / "artifacts").rglob("note.txt")]) == 2
    assert len([*(place / "mlruns" / "artifacts").rglob("kept.txt")]) == 1
    assert {run.data.tags["outcome"] for run in children(tracking_uri(None), "logs")} == {"completed"}
    assert "?" not in name or is_served_by_the_ui(place)


def is_served_by_the_ui(folder: Path) -> bool:
    """Whether MLflow's UI has the sweep of the folder, and leaves the folder as it is."""
    before = sorted(folder.parent.iterdir())
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    ui = subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "ui", "--port", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        client, deadline = MlflowClient(tracking_uri=f"http://127.0.0.1:{port}"), time.monotonic() + 150
        while time.monotonic() < deadline:
            with suppress(MlflowException):
                (run, *_) = children(client.tracking_uri, "toy")
                return artifacts(client.tracking_uri, run) >= {"note.txt"} and sorted(folder.parent.iterdir()) == before
            time.sleep(0.5)
        return False
    finally:
        ui.terminate()
        ui.communicate()
