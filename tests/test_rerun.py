"""Trials that run anew because somebody has asked for it."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from reading import steps
from test_launch import TOY, Sweep, Write

from orchestrator import workspace as workspace_module
from orchestrator.errors import SweepError
from orchestrator.launching import RESUME
from orchestrator.sweep import Loop
from orchestrator.system import regular
from orchestrator.trackers import Store, replacement
from orchestrator.trackers.anew import Renewing
from orchestrator.trackers.more import CONTINUES
from orchestrator.trial import Outcome
from orchestrator.workspace import Workspace

# Goes on from its own state, and fails at its third epoch until somebody has mended it.
GOES_ON = """
from pathlib import Path

def train(workdir: Path, x: float = 1.0):
    state = workdir / "state"
    first = int(state.read_text()) + 1 if state.exists() else 1
    for epoch in range(first, 5):
        if epoch == 3 and not Path("mended").exists():
            raise OSError("no space left on device")
        yield {"epoch": epoch, "loss": 1 / epoch, "first": first}
        state.write_text(str(epoch))
"""


@pytest.fixture
def launched(store: str, write: Write, sweep: Sweep) -> Path:
    """The file of a sweep of which one trial has completed, and one has failed."""
    path = write(TOY + "parameters: {mode: {values: [fine, raise]}, epochs: 2}")
    assert sweep("launch", path, "--executor", "inline").returncode == 1
    return path


@pytest.fixture
def client(store: str) -> MlflowClient:
    return MlflowClient(tracking_uri=store)


def trials(client: MlflowClient, label: str) -> list[Run]:
    """The runs of a trial, the first one first."""
    experiment = client.get_experiment_by_name("toy")
    assert experiment is not None
    named = f"attributes.run_name = '{label}'"
    return [*client.search_runs([experiment.experiment_id], named, order_by=["attributes.start_time ASC"])]


@pytest.mark.parametrize(("asked", "label"), [("--failed", "mode=raise"), ("fine", "mode=fine")])
def test_a_trial_runs_anew_with_the_next_launch_and_what_it_was_is_kept(
    client: MlflowClient, store: str, launched: Path, sweep: Sweep, asked: str, label: str
) -> None:
    asked = "mode=fine" if asked == "fine" else asked
    done = sweep("rerun", "toy", asked)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{label} runs anew; what it was is kept, and counts no longer: ")
    assert f"run them with: python -m orchestrator launch {launched}" in done.stdout or "sweep launch" in done.stdout
    before, now = trials(client, label)
    assert before.data.tags["replaced_by"] == now.info.run_id
    assert (now.data.tags["replaces"], now.data.tags["outcome"]) == (before.info.run_id, "interrupted")
    assert len(Store(store).records("toy")) == 2
    assert sweep("launch", launched, "--executor", "inline").returncode == 1
    before, now = trials(client, label)
    assert now.data.tags["outcome"] == before.data.tags["outcome"]
    for tag in ("code.digest", "version.python", "mlflow.user"):
        assert now.data.tags[tag] == before.data.tags[tag]
    assert len(Store(store).records("toy")) == 2


def test_a_rerun_that_was_cut_off_is_done_by_the_next_launch(
    client: MlflowClient, store: str, launched: Path, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, "set_tag", lambda *_: (_ for _ in ()).throw(SystemExit(9)))
        record = next(one for one in Store(store).records("toy") if one.label == "mode=fine")
        with pytest.raises(SystemExit):
            replacement.again(Store(store).client, client.get_experiment_by_name("toy").experiment_id, record, {})
    sweep("launch", launched, "--executor", "inline")
    before, now = trials(client, "mode=fine")
    assert before.data.tags["replaced_by"] == now.info.run_id
    assert now.data.tags["outcome"] == "completed"


@pytest.mark.slow
def test_a_trial_begins_at_its_first_epoch_though_the_rerun_was_asked_for_in_another_folder(
    client: MlflowClient, store: str, write: Write, sweep: Sweep, folder: Path
) -> None:
    (folder / "goes_on.py").write_text(GOES_ON)
    path = write("trial: goes_on:train\nmetric: {name: loss}\nparameters: {x: {values: [1.0]}}\n")
    assert sweep("launch", path, "--workers", "1").returncode == 1
    (failed,) = Store(store).records("toy")
    work = Workspace(store, "toy").folder
    work.rename(folder / "work")
    with Workspace(store, "toy") as workspace:  # of another folder: nothing of the trial is there
        Renewing(store).again("toy", [failed], workspace)
    regular.remove(work)
    (folder / "work").rename(work)
    (folder / "mended").touch()
    assert sweep("launch", path, "--workers", "1").returncode == 0
    (now,) = Store(store).records("toy")
    assert now.tags["anew"] == failed.run_id
    assert steps(store, client.get_run(now.run_id), "loss") == [1, 2, 3, 4]
    assert now.metrics["first"] == 1.0
    assert not [*work.glob("*/state")]


@pytest.mark.slow
def test_a_trial_with_other_code_begins_at_its_first_epoch_though_its_rerun_was_begun_in_another_folder(
    client: MlflowClient, store: str, write: Write, sweep: Sweep, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "goes_on.py").write_text(GOES_ON)
    path = write("trial: goes_on:train\nmetric: {name: loss}\nparameters: {x: {values: [1.0]}}\n")
    assert sweep("launch", path, "--workers", "1").returncode == 1
    work = Workspace(store, "toy").folder
    work.rename(folder / "work")
    (folder / "goes_on.py").write_text(GOES_ON.replace("range(first, 5)", "range(first, 1 + 4)"))
    with monkeypatch.context() as lost:
        lost.setattr(Loop, "run", broken)
        assert sweep("launch", path, "--workers", "1", "--rerun").returncode == 1
    regular.remove(work)
    (folder / "work").rename(work)
    (folder / "mended").touch()
    assert sweep("launch", path, "--workers", "1").returncode == 0
    (now,) = Store(store).records("toy")
    assert now.metrics["first"] == 1.0
    assert steps(store, client.get_run(now.run_id), "loss") == [1, 2, 3, 4]


def broken(*_: object) -> None:
    raise SweepError("this machine is lost")


@pytest.mark.slow
def test_a_folder_that_cannot_go_is_said_and_the_trial_begins_at_its_first_epoch_once_it_can(
    store: str, write: Write, sweep: Sweep, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "goes_on.py").write_text(GOES_ON)
    path = write("trial: goes_on:train\nmetric: {name: loss}\nparameters: {x: {values: [1.0]}}\n")
    assert sweep("launch", path, "--workers", "1").returncode == 1
    (failed,) = Store(store).records("toy")
    work = Workspace(store, "toy").folder / failed.trial_key
    kept = folder / "kept"
    shutil.copytree(work, kept)
    assert sweep("rerun", "toy", "--failed").returncode == 0
    shutil.copytree(kept, work)  # as if it had been asked for elsewhere
    (folder / "mended").touch()
    with monkeypatch.context() as held:
        held.setattr(workspace_module.regular, "remove", refusing(work))
        refused = sweep("launch", path, "--workers", "1")
    assert refused.returncode == 1
    assert refused.stderr == f"sweep: {work}: Permission denied; {RESUME}\n"
    assert sweep("launch", path, "--workers", "1").returncode == 0
    (now,) = Store(store).records("toy")
    assert now.metrics["first"] == 1.0


def refusing(folder: Path) -> Callable[[Path], None]:
    """What removes all but this folder and what is in it."""
    remove = regular.remove

    def refuses(path: Path) -> None:
        if path.is_relative_to(folder):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        remove(path)

    return refuses


def test_a_trial_of_a_launch_that_was_taken_over_still_says_from_which_run_it_goes_on(
    client: MlflowClient, store: str, launched: Path
) -> None:
    longer = next(one for one in Store(store).records("toy") if one.outcome is Outcome.COMPLETED)
    client.set_tag(longer.run_id, CONTINUES, "a0")
    experiment = client.get_run(longer.run_id).info.experiment_id
    (longer,) = (one for one in Store(store).records("toy") if one.run_id == longer.run_id)
    replacement.renew(client, experiment, longer, {})
    (now,) = (one for one in Store(store).records("toy") if one.trial_key == longer.trial_key)
    assert (now.run_id != longer.run_id, now.tags[CONTINUES], now.outcome) == (True, "a0", Outcome.INTERRUPTED)


def test_no_tag_of_the_store_says_what_is_removed(
    client: MlflowClient, launched: Path, sweep: Sweep, folder: Path
) -> None:
    (folder / "outside").mkdir()
    (failed,) = trials(client, "mode=raise")
    client.set_tag(failed.info.run_id, "trial_key", "../../../outside")
    assert sweep("rerun", "toy", "--failed").returncode == 0
    assert (folder / "outside").is_dir()


@pytest.mark.slow
def test_what_cannot_run_anew_is_said_in_a_line(store: str, launched: Path, sweep: Sweep) -> None:
    cases = {
        (): "rerun needs a TRIAL, --failed or --infeasible",
        ("mode=rise",): "toy has no trial mode=rise; it has 1 (mode=fine), 2 (mode=raise)",
    }
    for arguments, line in cases.items():
        done = sweep("rerun", "toy", *arguments)
        assert (done.returncode, done.stderr.startswith(f"sweep: {line}")) == (2, True), done.stderr
    with Workspace(store, "toy"):
        held = sweep("rerun", "toy", "--failed")
    assert (held.returncode, held.stderr.startswith("sweep: the launch of toy takes no requests")) == (2, True)
    none = sweep("rerun", "toy", "--infeasible")
    assert (none.returncode, none.stdout) == (0, "no trial of toy is infeasible\n")
    sweep("rerun", "toy", "mode=fine")
    twice = sweep("rerun", "toy", "mode=fine")
    assert (twice.returncode, twice.stderr) == (
        2,
        "sweep: mode=fine has not come to an end; the next launch goes on with it\n",
    )
