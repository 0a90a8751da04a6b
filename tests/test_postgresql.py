"""A store in a PostgreSQL server: written to directly, and through an MLflow server."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from reading import artifacts, children, outcomes, steps
from serving import served

from orchestrator import launch

pytestmark = pytest.mark.slow
Sweep = Callable[..., subprocess.CompletedProcess[str]]
GRID = """
trial: toys:train
metric: {name: score, goal: maximize}
parameters: {x: {values: [1, 2, 3]}, pause: 0.1, epochs: 6}
"""


def curves(store: str) -> dict[str, list[int]]:
    return {str(run.info.run_name): steps(store, run, "score") for run in children(store, "toy")}


def test_a_sweep_ends_there_as_in_sqlite_and_reads_the_same(
    postgresql: Callable[[], str], store: str, folder: Path, sweep: Sweep
) -> None:
    (folder / "toy.yaml").write_text(GRID)
    there = postgresql()
    for uri in (store, there):
        launch(folder / "toy.yaml", tracking_uri=uri, workers=2, quiet=True)
    assert curves(there) == curves(store)
    assert outcomes(there, "toy") == outcomes(store, "toy")
    for command in (["status", "toy.yaml"], ["best", "toy.yaml"], ["plan", "toy.yaml"]):
        here, other = (sweep(*command, "--tracking-uri", uri) for uri in (store, there))
        assert other.returncode == here.returncode == 0
        assert len(other.stdout.splitlines()) == len(here.stdout.splitlines()) > 1


def test_a_launch_that_is_killed_there_goes_on_and_a_deleted_trial_is_not_run_again(
    postgresql: Callable[[], str], folder: Path, sweep: Sweep
) -> None:
    (folder / "toy.yaml").write_text(GRID)
    there = postgresql()
    arguments = ["launch", "toy.yaml", "--workers", "1", "--tracking-uri", there]
    killed = subprocess.Popen(
        [sys.executable, "-m", "orchestrator", *arguments], start_new_session=True, stdout=subprocess.DEVNULL
    )
    client = MlflowClient(tracking_uri=there)
    deadline = time.monotonic() + 90
    ended: list[str] = []
    while not ended and time.monotonic() < deadline:
        time.sleep(0.1)
        experiment = client.get_experiment_by_name("toy")
        found = client.search_runs([experiment.experiment_id], "tags.outcome = 'completed'") if experiment else []
        ended = [run.info.run_id for run in found]
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    deleted = client.get_run(ended[0]).info.run_name  # a second one may have ended by now
    client.delete_run(ended[0])
    again = sweep(*arguments)
    assert again.returncode == 0, again.stderr
    assert "1 trial is in MLflow's trash, and not counted" in again.stdout + again.stderr
    assert outcomes(there, "toy") == dict.fromkeys({"x=1", "x=2", "x=3"} - {deleted}, "completed")
    assert all(found == [*range(1, 7)] for found in curves(there).values())
    assert {run.info.status for run in children(there, "toy")} == {"FINISHED"}
    client.restore_run(ended[0])
    assert sweep(*arguments).returncode == 0
    assert len(children(there, "toy")) == 3


@pytest.fixture
def server(postgresql: Callable[[], str], folder: Path) -> Iterator[str]:
    """The address of a server of MLflow's, with PostgreSQL behind it, that keeps the artifacts itself."""
    with served(postgresql(), folder / "remote") as url:
        yield url


def runs_of(client: MlflowClient, name: str, label: str) -> list[Run]:
    experiment = client.get_experiment_by_name(name)
    found = client.search_runs([experiment.experiment_id]) if experiment else []
    return [run for run in found if run.info.run_name == label]


@pytest.mark.timeout(300)
def test_what_is_deleted_on_a_server_while_a_sweep_runs_is_neither_counted_nor_run_again(
    server: str, folder: Path, command: Sweep
) -> None:
    (folder / "toy.yaml").write_text(GRID.replace("0.1", "0.5"))
    client, deleted = MlflowClient(tracking_uri=server), dict[str, str]()

    def delete() -> None:
        """The run of the first trial as soon as it has reported; then that of the sweep."""
        deadline = time.monotonic() + 100
        while "toy" not in deleted and time.monotonic() < deadline:
            for label in ("x=1", "toy"):
                for run in runs_of(client, "toy", label) if label not in deleted else []:
                    if run.data.metrics or deleted:
                        deleted[label] = run.info.run_id
                        client.delete_run(run.info.run_id)
            time.sleep(0.1)

    somebody = Thread(target=delete)
    somebody.start()
    arguments = ["launch", "toy.yaml", "--workers", "1", "--tracking-uri", server]
    done = command(*arguments)
    somebody.join()
    assert done.returncode == 0, done.stderr
    assert f"x=1: its run {deleted['x=1']} was deleted in MLflow" in done.stdout
    assert f"mlflow runs restore --run-id {deleted['toy']}" in done.stdout
    refused = command(*arguments)
    assert refused.returncode == 2
    assert f"mlflow runs restore --run-id {deleted['toy']}" in refused.stderr
    client.restore_run(deleted["toy"])
    again = command(*arguments)
    assert (again.returncode, again.stdout.count("started")) == (0, 0), again.stderr
    assert outcomes(server, "toy") == {"x=2": "completed", "x=3": "completed"}
    client.restore_run(deleted["x=1"])
    (before,) = runs_of(client, "toy", "x=2")
    for tag in ("trial_key", "outcome", "params"):
        client.delete_tag(before.info.run_id, tag)
    again = command(*arguments)
    assert again.returncode == 0, again.stderr
    assert "x=2: started" not in again.stdout
    assert outcomes(server, "toy") == dict.fromkeys(("x=1", "x=2", "x=3"), "completed")
    for points in curves(server).values():
        assert sorted({*points}) == [*range(1, 7)]


LEAVING = """
import os, socket

def train(what: str, workdir):
    folder = workdir / "artifacts"
    (folder / "deep").mkdir(parents=True)
    (folder / "good.txt").write_text("good")
    (folder / "deep" / "file").write_text("deep")
    match what:
        case "pipe":
            os.mkfifo(folder / "pipe")
            os.mkfifo(folder / "deep" / "other")
        case "socket":
            socket.socket(socket.AF_UNIX).bind(os.path.relpath(folder / "socket"))
        case "links":
            (folder / "within").symlink_to("deep/file")
            (folder / "below").symlink_to("deep")
            (folder / "passwd").symlink_to("/etc/passwd")
            (folder / "etc").symlink_to("/etc")
            (folder / "nowhere").symlink_to("nothing")
            (folder / "self").symlink_to("self")
        case "link":
            (workdir / "real").mkdir()
            folder.rename(workdir / "moved")
            folder.symlink_to("/etc")
    yield {"epoch": 1, "score": 1.0}
"""
SAID = {
    "pipe": ["artifacts/pipe is a named pipe", "artifacts/deep/other is a named pipe"],
    "socket": ["artifacts/socket is a socket"],
    "links": [
        "artifacts/passwd links to /etc/passwd, outside of the trial's folder",
        "artifacts/etc links to /etc, outside of the trial's folder",
        "artifacts/nowhere leads nowhere",
        "artifacts/self leads nowhere",
    ],
    "link": ["artifacts links to /etc, outside of the trial's folder"],
    "fine": [],
}


@pytest.mark.timeout(300)
def test_only_regular_files_within_a_trials_folder_come_to_a_server(server: str, folder: Path, sweep: Sweep) -> None:
    (folder / "leaving.py").write_text(LEAVING)
    text = f"trial: leaving:train\nparameters: {{what: {{values: {[*SAID]}}}}}\n"
    (folder / "leaving.yaml").write_text(text)
    done = sweep("launch", "leaving.yaml", "--workers", "2", "--tracking-uri", server)
    assert done.returncode == 0, done.stderr
    by_name = {str(run.info.run_name).removeprefix("what="): run for run in children(server, "leaving")}
    for what, lines in SAID.items():
        problem = by_name[what].data.tags.get("artifacts.problem", "")
        assert [line for line in lines if line not in problem] == []
        assert bool(problem) == bool(lines)
        if what != "link":
            assert {"good.txt", "deep"} <= artifacts(server, by_name[what])
            assert artifacts(server, by_name[what], "deep") == {"deep/file"}
    assert {"within", "below"} <= artifacts(server, by_name["links"])
    assert artifacts(server, by_name["links"], "below") == {"below/file"}
    there = [
        path for path in (folder / "remote").rglob("*") if path.name in ("passwd", "etc", "hosts", "pipe", "socket")
    ]
    assert there == []
