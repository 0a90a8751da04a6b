"""What comes from YAML, exceptions and URIs cannot leave its place, reach the screen's controls, or tell secrets."""

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from mlflow import MlflowClient
from reading import artifacts, children

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]
CLEAR = "\x1b[2J\x1b]0;owned\x07"

ODD = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Config:
    word: str = "a"
    epochs: int = 1
    seed: int = 0

def train(config: Config):
    print(config.word)
    yield {"epoch": 1, "train_loss": 1.0}
    if "fail" in config.word:
        raise ValueError(config.word)
    return {"score": 1.0, "diagnosis": "it said " + config.word}
"""
SWEEP = """
trial: odd:train
parameters:
  word: {values: ["\\e[2J\\e]0;owned\\a", "fail \\e[2J", "../../outside", "[bold]markup[/]"]}
"""


def on_a_terminal(*arguments: str) -> bytes:
    """What the command writes to a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestrator", *arguments], stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            written += os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
    os.close(ours)
    process.wait()
    return written


@pytest.fixture
def odd(folder: Path, write: Write) -> Path:
    (folder / "odd.py").write_text(ODD)
    return write(SWEEP, "odd.yaml")


@pytest.mark.slow
def test_no_control_of_the_terminal_comes_from_names_values_or_errors(
    odd: Path, store: str, sweep: Sweep, folder: Path
) -> None:
    shown = on_a_terminal("launch", str(odd))
    assert b"owned" in shown
    assert b"]0;owned\x07" not in shown
    assert b"\x1b]0" not in shown
    assert CLEAR.encode()[:4] not in shown
    for arguments in (("launch", odd), ("plan", odd), ("status",)):
        piped = sweep(*arguments)
        assert "\x1b" not in piped.stdout + piped.stderr
    mistaken = sweep("plan", odd, "--set", "wrod=\x1b[2J")
    assert "\x1b" not in mistaken.stderr


@pytest.mark.slow
def test_no_path_leaves_its_folder_whatever_a_value_is(odd: Path, store: str, sweep: Sweep, folder: Path) -> None:
    before = {path.name for path in folder.parent.iterdir()}
    sweep("launch", odd)
    assert {path.name for path in folder.parent.iterdir()} == before
    assert not list(folder.rglob("*outside*"))
    assert len(children(store, "odd")) == 4


@pytest.mark.parametrize("name", ["", "\n", "\x1b[2J", "a\u202eb", "x" * 300])
def test_a_name_that_cannot_be_printed_in_a_line_is_refused(name: str, write: Write, sweep: Sweep) -> None:
    path = write(f'name: "{name.encode("unicode_escape").decode()}"\ntrial: toys:train')
    refused = sweep("plan", path)
    assert refused.returncode == 2
    assert "name" in refused.stderr
    assert "\x1b" not in refused.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["../../outside", "/etc/x", "..", "<script>alert(1)</script>|[x](javascript:y) [red]"])
def test_a_name_and_a_description_lead_nowhere_and_are_shown_as_text(
    name: str, write: Write, store: str, sweep: Sweep, folder: Path
) -> None:
    before = {*folder.parent.iterdir()}
    path = write(
        f"name: '{name}'\ndescription: '<b>{name}</b>'\ntrial: toys:train\nparameters: {{epochs: 1}}", "odd.yaml"
    )
    shown = sweep("launch", path, "--executor", "inline")
    assert shown.returncode == 0, shown.stderr
    assert name in shown.stdout
    assert sweep("status", name).stdout.count(name)
    pages = [Path(line) for line in sweep("report", name).stdout.splitlines()]
    assert {*folder.parent.iterdir()} == before
    assert {page.parent.parent for page in pages} == {Path("reports")}
    assert not any("<script>alert" in page.read_text() or "<b>" in page.read_text() for page in pages[:1])
    client = MlflowClient(tracking_uri=store)
    experiment = client.get_experiment_by_name(name)
    assert experiment.artifact_location.startswith((folder / "mlruns" / "artifacts").as_uri() + "/")
    (parent,) = client.search_runs([experiment.experiment_id], "tags.`sweep.role` = 'parent'")
    note = parent.data.tags["mlflow.note.content"]
    assert "<script>" not in note.replace("\\<", "")
    assert "<b>" not in note


def test_yaml_builds_no_objects(write: Write, sweep: Sweep, folder: Path) -> None:
    path = write(f'trial: toys:train\nparameters: {{x: !!python/object/apply:os.system ["touch {folder}/evil"]}}')
    refused = sweep("plan", path)
    assert refused.returncode == 2
    assert not (folder / "evil").exists()


@pytest.mark.slow
def test_a_password_in_the_tracking_uri_is_told_nowhere(
    write: Write, sweep: Sweep, monkeypatch: pytest.MonkeyPatch, store: str, folder: Path
) -> None:
    uri = "http://somebody:hunt@hunter2@127.0.0.1:9"
    path = write("trial: toys:train\nparameters: {x: 1}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    for arguments in (("launch", path, "--wait", "0.1"), ("status", path), ("plan", path)):
        done = sweep(*arguments, "--tracking-uri", uri)
        assert "hunter2" not in done.stdout + done.stderr, arguments
    monkeypatch.setattr(sys, "argv", ["sweep", "launch", "--tracking-uri", uri])
    from orchestrator.system.provenance import provenance

    provenance.cache_clear()
    assert "hunter2" not in str(provenance(folder))
    provenance.cache_clear()


@pytest.mark.slow
def test_artifacts_stay_in_the_store_of_their_run(store: str, write: Write, sweep: Sweep, folder: Path) -> None:
    assert sweep("launch", write("trial: toys:train\nparameters: {x: 1}")).returncode == 0
    (run,) = children(store, "toy")
    assert artifacts(store, run) == {"log.txt", "note.txt"}
    place = MlflowClient(tracking_uri=store).get_run(run.info.run_id).info.artifact_uri
    assert str(place).startswith((folder / "mlruns" / "artifacts" / "toy").as_uri())


def listeners(port: int) -> set[str]:
    """The addresses, as /proc writes them, on which the port is listened to."""
    tables = (Path("/proc/net") / name for name in ("tcp", "tcp6"))
    rows = [line.split() for table in tables for line in table.read_text().splitlines()[1:]]
    places = (row[1].split(":") for row in rows if row[3] == "0A")
    return {address for address, at in places if int(at, 16) == port}


@pytest.mark.slow
def test_the_ui_listens_on_this_machine_alone_and_ends_with_its_command(store: str) -> None:
    port = 5719
    command = [sys.executable, "-m", "orchestrator", "ui", "--port", str(port)]
    ui = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 60
    while not listeners(port) and time.monotonic() < deadline:
        time.sleep(0.2)
    found = listeners(port)
    ui.terminate()
    status = ui.wait()
    while listeners(port) and time.monotonic() < deadline:
        time.sleep(0.2)
    left = listeners(port)
    with suppress(ProcessLookupError):
        os.killpg(ui.pid, signal.SIGKILL)
    assert (found, status, left) == ({"0100007F"}, 128 + signal.SIGTERM, set())
