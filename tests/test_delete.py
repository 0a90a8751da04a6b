"""Sweeps that are deleted, into MLflow's trash or for good."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType
from test_launch import TOY, Sweep, Write
from test_local_files import running_server

from orchestrator.errors import InputError
from orchestrator.trackers.deletion import Deletion
from orchestrator.workspace import Workspace

KILLED = """
import os, signal
from orchestrator.cli import main
from orchestrator.trackers.deletion import Deletion

whole = Deletion._remove
Deletion._remove = lambda self, what: (whole(self, what), os.kill(os.getpid(), signal.SIGKILL))
main()
"""
GRID = TOY + "parameters: {x: {values: [1, 2]}, epochs: 1}\n"


@pytest.fixture
def launched(store: str, write: Write, sweep: Sweep) -> Path:
    """The file of a sweep that has ended."""
    path = write(GRID)
    assert sweep("launch", path, "--executor", "inline").returncode == 0
    return path


@pytest.fixture
def client(store: str) -> MlflowClient:
    return MlflowClient(tracking_uri=store)


def runs(client: MlflowClient, stage: int = ViewType.ALL) -> list[Run]:
    experiment = client.get_experiment_by_name("toy")
    return [] if experiment is None else [*client.search_runs([experiment.experiment_id], "", stage)]


def test_a_sweep_goes_to_the_trash_and_comes_back_whole(client: MlflowClient, launched: Path, sweep: Sweep) -> None:
    done = sweep("delete", launched, "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("toy: 3 runs (2 of trials), ")
    assert "all of it goes to MLflow's trash; mlruns/work/toy goes for good" in done.stdout
    assert runs(client, ViewType.ACTIVE_ONLY) == []
    assert len(runs(client)) == 3
    assert not Path("mlruns", "work", "toy").exists()
    assert Path("mlruns", "artifacts", "toy").is_dir()
    refused = sweep("launch", launched)
    assert refused.returncode == 2
    assert "the experiment toy is in MLflow's trash; restore it with" in refused.stderr
    again = sweep("delete", "toy", "--yes")
    assert (again.returncode, again.stderr) == (
        2,
        "sweep: toy is in MLflow's trash already; --purge removes it from there for good\n",
    )
    client.restore_experiment(client.get_experiment_by_name("toy").experiment_id)
    assert sweep("launch", launched, "--executor", "inline").returncode == 0
    assert len(runs(client, ViewType.ACTIVE_ONLY)) == 3


@pytest.mark.slow
@pytest.mark.parametrize("trashed", [False, True])
def test_what_is_purged_leaves_nothing(
    client: MlflowClient, launched: Path, sweep: Sweep, folder: Path, trashed: bool
) -> None:
    (folder / "precious").mkdir()
    (folder / "precious" / "file").touch()
    first = next(run for run in runs(client) if "trial_key" in run.data.tags)
    artifacts = folder / "mlruns" / "artifacts" / "toy" / first.info.run_id / "artifacts"
    (artifacts / "link").symlink_to(folder / "precious")
    if trashed:
        assert sweep("delete", "toy", "--yes").returncode == 0
    done = sweep("delete", "toy", "--purge", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert client.get_experiment_by_name("toy") is None
    assert not (folder / "mlruns" / "artifacts" / "toy").exists()
    assert not (folder / "mlruns" / "work" / "toy").exists()
    assert (folder / "precious" / "file").is_file()
    assert sweep("launch", launched, "--executor", "inline").returncode == 0
    assert len(runs(client)) == 3


@pytest.mark.parametrize("options", [[], ["--purge"]])
def test_only_runs_that_carry_the_tags_of_the_sweep_go(
    client: MlflowClient, launched: Path, sweep: Sweep, options: list[str]
) -> None:
    experiment = client.get_experiment_by_name("toy")
    foreign = client.create_run(experiment.experiment_id).info.run_id
    other = client.create_run(experiment.experiment_id, tags={"sweep": "other", "trial_key": "x"}).info.run_id
    done = sweep("delete", "toy", "--yes", *options)
    assert "2 runs or models of this experiment are not the sweep's, and stay" in done.stdout
    assert {run.info.run_id for run in runs(client, ViewType.ACTIVE_ONLY)} == {foreign, other}
    assert client.get_experiment_by_name("toy").lifecycle_stage == "active"
    assert len(runs(client)) == (2 if options else 5)


def test_without_a_terminal_it_does_not_ask(client: MlflowClient, launched: Path, sweep: Sweep) -> None:
    done = sweep("delete", "toy")
    assert done.returncode == 2
    assert done.stderr.startswith("sweep: delete asks first, but standard input is not a terminal; --yes")
    assert len(runs(client, ViewType.ACTIVE_ONLY)) == 3


def test_a_sweep_that_there_is_not_is_not_deleted(launched: Path, sweep: Sweep) -> None:
    done = sweep("delete", "toi", "--yes")
    assert (done.returncode, done.stderr) == (2, "sweep: the store has no sweep toi; it has toy\n")
    assert not Path("mlruns", "work", "toi").exists()


def test_a_sweep_that_a_launch_holds_is_not_deleted(
    client: MlflowClient, store: str, launched: Path, sweep: Sweep
) -> None:
    with Workspace(store, "toy"):
        done = sweep("delete", "toy", "--yes")
    assert done.returncode == 2
    assert done.stderr.startswith("sweep: this sweep is already running, in process")
    assert len(runs(client, ViewType.ACTIVE_ONLY)) == 3


def test_a_deletion_that_was_cut_off_goes_on(client: MlflowClient, store: str, launched: Path, sweep: Sweep) -> None:
    class Cut(Deletion):
        def _remove_files(self, place: str) -> None:
            if len(runs(client)) == 2:
                raise KeyboardInterrupt
            super()._remove_files(place)

    deletion = Cut(store, "toy", for_good=True)
    with pytest.raises(KeyboardInterrupt):
        deletion.delete(deletion.belongings())
    assert len(runs(client)) == 2
    assert sweep("delete", "toy", "--purge", "--yes").returncode == 0
    assert client.get_experiment_by_name("toy") is None


@pytest.mark.slow
@pytest.mark.parametrize("then", ["deleted", "launched"])
def test_of_a_deletion_that_is_killed_as_it_is_about_to_end_nothing_of_trials_is_left(
    client: MlflowClient, store: str, launched: Path, sweep: Sweep, then: str
) -> None:
    work = Path("mlruns", "work", "toy")
    (work / "0123456789abcdef").mkdir()
    (work / "0123456789abcdef" / "checkpoint").touch()
    command = [sys.executable, "-c", KILLED, "delete", "toy", "--purge", "--yes"]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert client.get_experiment_by_name("toy") is None
    assert not [path for path in work.iterdir() if path.is_dir()]
    if then == "deleted":
        assert sweep("delete", "toy", "--purge", "--yes").stderr == "sweep: the store has no sweep toy; it has none\n"
        assert not work.exists()
    else:
        assert sweep("launch", launched, "--executor", "inline").returncode == 0
        assert len(runs(client)) == 3


@pytest.mark.slow
def test_a_server_removes_nothing_for_good(
    client: MlflowClient, store: str, launched: Path, sweep: Sweep, tmp_path: Path
) -> None:
    with running_server(tmp_path, store) as uri:
        with pytest.raises(InputError, match="removes nothing for good when asked from here"):
            Deletion(uri, "toy", for_good=True)
        done = sweep("delete", "toy", "--yes", "--tracking-uri", uri)
    assert done.returncode == 0, done.stderr
    assert runs(client, ViewType.ACTIVE_ONLY) == []
