"""A launch that is stopped anywhere, and goes on after another has taken the sweep over, changes nothing."""

import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType
from mlflow.models import Model
from serving import served

from orchestrator.conclusion import Conclusion
from orchestrator.errors import SweepError
from orchestrator.events import Event, Finished, Progress, Started
from orchestrator.spec import SweepSpec, load
from orchestrator.trackers import Tracker, holding, kept_prior, lease
from orchestrator.trackers.fence import WRITES
from orchestrator.trackers.lease import Lease
from orchestrator.trackers.sweep_results import RESULTS_FILE
from orchestrator.trial import Outcome, Trial

Write = Callable[..., Path]
TOY = "trial: toys:train\nmetric: {name: score, goal: maximize}\n"
OF_A_LAUNCH = {"mlflow.parentRunId", "mlflow.runColor", "mlflow.source.name", "host", "replaces", holding.PROCESS}
TRIALS = [Trial("toys:train", 1, {"x": x}, f"x={x:g}") for x in (1.0, 2.0)]


def written(tracker: Tracker, trial: Trial, at: float, folder: Path) -> None:
    """Have a trial written as the recorder does it, in two goes."""
    parts: list[list[Event]] = [
        [Started(1, 1), Progress(1, {"train_loss": 2.0, "score": 0.5}, at)],
        [Progress(3, {"train_loss": 0.5, "score": 1.0}, at + 2), Finished(Outcome.COMPLETED, {"last": 7.0}, at=at + 3)],
    ]
    for events in parts:
        tracker.write(trial, events, folder)


def launched(tracker: Tracker, at: float, folder: Path) -> None:
    """A launch, as far as the store sees it."""
    known = tracker.open(len(TRIALS))
    kept_prior.keep(tracker, {})
    for trial in TRIALS:
        if trial.trial_key not in known or known[trial.trial_key].end is None:
            written(tracker, trial, at, folder)
            tracker.describe_so_far()
    now = tracker.settle()
    tracker.conclude({"boundary": at}, picture(folder, str(at)))
    tracker.describe(Conclusion.of(tracker.spec, TRIALS, now.values()).table)
    best = now[TRIALS[0].trial_key]
    if not tracker.has_model(best):
        tracker.keep_model(best, model(folder))
    tracker.clear_models(best)
    tracker.close("FINISHED")


def picture(folder: Path, content: str) -> Path:
    path = folder.parent / "boundary.png"
    path.write_text(content)
    return path


def model(folder: Path) -> Path:
    path = folder.parent / "model"
    path.mkdir(exist_ok=True)
    Model().save(str(path / "MLmodel"))
    return path


def seen(store: str, name: str) -> dict[str, object]:
    """All that there is of the sweep, without times and ids."""
    client = MlflowClient(tracking_uri=store)
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    runs: list[Run] = [*client.search_runs([experiment.experiment_id], run_view_type=ViewType.ACTIVE_ONLY)]
    (parent,) = (run for run in runs if run.info.run_name == name)
    trials = sorted((run for run in runs if run is not parent), key=lambda run: str(run.info.run_name))
    assert {run.data.tags["mlflow.parentRunId"] for run in trials} == {parent.info.run_id}
    models = client.search_logged_models([experiment.experiment_id])
    return {
        "tags": {key: told for key, told in experiment.tags.items() if key not in (lease.TAG, lease.HEARTBEAT)},
        "models": [(one.status, client.get_run(one.source_run_id).info.run_name) for one in models],
        "parent": what_is_of(client, parent, name),
        "trials": [what_is_of(client, run, name) for run in trials],
    }


def what_is_of(client: MlflowClient, run: Run, sweep: str) -> dict[str, object]:
    is_trial = "trial_key" in run.data.tags
    left_out = OF_A_LAUNCH | ({"mlflow.note.content"} if is_trial else set())  # its links have ids of runs
    histories = {
        name: client.get_metric_history(run.info.run_id, name)
        for name in sorted(run.data.metrics)
        if is_trial and "system" not in name
    }
    return {
        "metrics": run.data.metrics,
        "status": run.info.status,
        "params": run.data.params,
        "points": {name: [(point.step, point.value) for point in history] for name, history in histories.items()},
        "tags": {key: told.replace(sweep, "SWEEP") for key, told in run.data.tags.items() if key not in left_out},
        "artifacts": contents(client, run.info.run_id, sweep),
    }


def flat(things: object, path: str = "") -> dict[str, object]:
    """The leaves of nested dictionaries and lists."""
    if isinstance(things, list):
        things = dict(enumerate(things))
    if not isinstance(things, dict):
        return {path: things}
    return {where: leaf for name, inner in things.items() for where, leaf in flat(inner, f"{path}/{name}").items()}


def differences(one: Mapping[str, object], other: Mapping[str, object]) -> dict[str, tuple[object, object]]:
    """Where leaves are not the same."""
    return {path: (one.get(path), other.get(path)) for path in {**one, **other} if one.get(path) != other.get(path)}


def contents(client: MlflowClient, run_id: str, sweep: str) -> dict[str, str]:
    """The artifacts of a run by name."""
    found, folders = dict[str, str](), [""]
    while folders:
        for item in client.list_artifacts(run_id, folders.pop()):
            if item.is_dir:
                folders.append(item.path)
                continue
            if item.path == RESULTS_FILE:  # it has ids of runs, and times
                found[item.path] = ""
                continue
            with tempfile.TemporaryDirectory() as folder:
                content = Path(client.download_artifacts(run_id, item.path, folder)).read_bytes()
                found[item.path] = content.replace(sweep.encode(), b"SWEEP").decode(errors="replace")
    return found


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_whichever_call_a_launch_is_stopped_in_what_took_it_over_stands_as_if_alone(
    store: str, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.trackers.tracker.sqlite_path", lambda _: None)  # so that there is a lease
    monkeypatch.setattr(lease, "SECONDS_BETWEEN_HEARTBEATS", 1000.0)
    monkeypatch.setattr(lease, "SECONDS_WATCHED", 2000.0)
    monkeypatch.setattr(lease, "SECONDS_OF_A_RACE", 0.0)
    monkeypatch.setattr(Lease, "_changes", lambda *_: False)
    passed = [0.0]  # seconds, while launches were stopped
    monkeypatch.setattr(lease, "_now", lambda: time.monotonic() + sum(passed))
    monkeypatch.setattr(socket, "gethostname", lambda: "here")

    folder = tmp_path / "work"
    folder.mkdir()

    def begun(name: str) -> SweepSpec:
        """A sweep that was interrupted once."""
        first = Tracker(store, load(write(TOY, f"{name}.yaml")))
        first.open(len(TRIALS))
        first.write(TRIALS[1], [Started(1, 1), Finished(Outcome.INTERRUPTED)], folder)
        first.close("KILLED")
        return first.spec

    launched(Tracker(store, begun("by-itself")), 200.0, folder)
    alone = flat(seen(store, "by-itself"))
    for number in itertools.count():
        spec = begun(f"stopped-{number}")
        stopped = Tracker(store, spec)
        calls: list[str] = []

        def taken_over(spec: SweepSpec = spec) -> None:
            monkeypatch.setattr(socket, "gethostname", lambda: "there")
            launched(Tracker(store, spec), 200.0, folder)
            monkeypatch.setattr(socket, "gethostname", lambda: "here")
            passed.append(3000.0)

        stop_at(stopped.client, number, calls, taken_over)
        with suppress(SweepError):
            launched(stopped, 100.0 if number else 200.0, folder)  # the first is stopped before it has begun
        with suppress(SweepError):
            stopped.close("FAILED")
        if len(calls) <= number:
            break
        differ = differences(alone, flat(seen(store, spec.name)))
        assert differ == {}, f"stopped before call {number}, {calls[number]}, of {calls}"
    assert number > 15


LAUNCH = """
import os, signal, socket, sys
from orchestrator.cli import main
from orchestrator.trackers import lease

place, call, number, *arguments = sys.argv[1:]
lease.SECONDS_BETWEEN_HEARTBEATS, lease.SECONDS_WATCHED = 1.0, 5.0
socket.gethostname = lambda: place
if call:
    from mlflow import MlflowClient
    make, made = getattr(MlflowClient, call), []

    def stopping(*args, **named):
        made.append(args)
        if len(made) == int(number):
            os.kill(os.getpid(), signal.SIGSTOP)
        return make(*args, **named)

    setattr(MlflowClient, call, stopping)
sys.argv = ["sweep", *arguments]
main()
"""


@pytest.fixture
def server(postgresql: Callable[[], str], folder: Path) -> Iterator[str]:
    """The address of a real server of MLflow's, on PostgreSQL."""
    with served(postgresql(), folder / "remote") as url:
        yield url


class Machine:
    """A place of its own from which sweeps are launched: its folder, its name, its folder of locks."""

    def __init__(self, folder: Path, name: str, uri: str) -> None:
        self.folder, self.name, self.uri = folder / name, name, uri
        (self.folder / "tmp").mkdir(parents=True)
        shutil.copy(folder / "toys.py", self.folder)
        text = "parameters: {x: {values: [1, 2]}, epochs: 4, pause: 0.3}\n"
        for sweep in ("first-of-two", "other-of-two"):
            (self.folder / f"{sweep}.yaml").write_text(f"name: {sweep}\n{TOY}{text}")

    def launch(self, sweep: str, call: str = "", number: int = 0) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", LAUNCH, self.name, call, str(number)]
        command += ["launch", f"{sweep}.yaml", "--workers", "1", "--tracking-uri", self.uri]
        environment = {**os.environ, "TMPDIR": str(self.folder / "tmp")}
        return subprocess.Popen(
            command, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_process_that_is_stopped_in_a_write_to_a_server_and_goes_on_later_doubles_nothing(
    server: str, folder: Path
) -> None:
    here, there = Machine(folder, "here", server), Machine(folder, "there", server)
    stopped = here.launch("first-of-two", "create_run", 3)
    try:
        while Path(f"/proc/{stopped.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "T":
            assert stopped.poll() is None
            time.sleep(0.05)
        said, _ = there.launch("first-of-two").communicate(timeout=100)
        assert re.search(r"x=2: completed .*\[2/2\]", said)
        stopped.send_signal(signal.SIGCONT)
        said, _ = stopped.communicate(timeout=60)
    finally:
        stopped.kill()
    assert (stopped.returncode, "another launch has taken this sweep over, in process" in said) == (2, True), said
    said, _ = there.launch("other-of-two").communicate(timeout=100)
    differ = differences(flat(seen(server, "other-of-two")), flat(seen(server, "first-of-two")))
    assert {path: found for path, found in differ.items() if "wall_seconds" not in path} == {}


def stop_at(client: MlflowClient, number: int, calls: list[str], act: Callable[[], None]) -> None:
    """Have something happen before the call of this number is made."""

    def wrapped(name: str) -> Callable[..., object]:
        call = getattr(client, name)

        def made(*arguments: object, **named: object) -> object:
            calls.append(name)
            if len(calls) == number + 1:
                act()
            return call(*arguments, **named)

        return made

    for name in WRITES:
        setattr(client, name, wrapped(name))
