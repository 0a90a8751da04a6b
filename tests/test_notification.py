"""Who asks to be told of a launch's end is told, however that was; that this fails changes nothing else."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from processes import all_gone
from tenacity import wait_none

from orchestrator import notification
from orchestrator.errors import AlreadyRunningError, InputError, StoreError
from orchestrator.notification import notify, notifying
from orchestrator.progress.live import LiveProgress
from orchestrator.spec import OnFinish, load

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]
KEEP = "import sys; open('told.json', 'w').write(sys.stdin.read())"
TOY = f"""
trial: toys:train
metric: {{name: score, goal: maximize}}
on_finish: {{run: {json.dumps([sys.executable, "-c", KEEP])}}}
"""


class Listener(HTTPServer):
    """Keeps what is posted to it, and answers with these statuses, one after the other."""

    def __init__(self, *statuses: int) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.statuses = list(statuses)
        self.told: list[Any] = []
        self.url = f"http://user:secret@127.0.0.1:{self.server_port}/hook/secret"


class _Answer(BaseHTTPRequestHandler):
    server: Listener

    def do_POST(self) -> None:
        self.server.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        assert self.headers["Content-Type"] == "application/json"
        self.send_response(self.server.statuses.pop(0))
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def listen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Listener]]:
    monkeypatch.setattr(notification, "WAIT", wait_none())
    open_: list[Listener] = []

    def listen(*statuses: int) -> Listener:
        open_.append(Listener(*statuses))
        threading.Thread(target=open_[-1].serve_forever, args=(0.01,), daemon=True).start()
        return open_[-1]

    yield listen
    for listener in open_:
        listener.shutdown()
        listener.server_close()


def told(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "told.json").read_text())
    return found


@pytest.mark.slow
def test_a_command_gets_the_summary_of_a_launch(folder: Path, store: str, write: Write, sweep: Sweep) -> None:
    path = write(TOY + "configs: [{x: 1}, {x: 4}, {x: 2, mode: raise}, {x: 3, mode: nan}]")
    assert sweep("launch", path).returncode == 1
    summary = told(folder)
    assert time.strptime(summary.pop("ended"), "%Y-%m-%dT%H:%M:%S%z")
    assert 0 < summary.pop("seconds") < 100
    assert summary.pop("best") == {
        "trial": "x=1",
        "metric": "score",
        "value": pytest.approx(0.3),
        "params": {"x": 1.0, "mode": "fine", "epochs": 3, "seed": 0, "pause": 0.0},
    }
    assert summary == {
        "sweep": "toy",
        "status": "failed",
        "exit_status": 1,
        "trials": 4,
        "outcomes": {"completed": 2, "loss explosion": 1, "infeasible": 0, "pruned": 0, "failed": 1, "interrupted": 0},
        "error": None,
        "file": str(path),
        "store": store,
    }
    (folder / "told.json").unlink()
    write(TOY.replace("toys:train", "toys:missing_data"))
    assert sweep("launch", path).returncode == 2
    assert told(folder)["error"] == "/nowhere/data.bin: is missing; put it there"
    assert (told(folder)["status"], told(folder)["exit_status"]) == ("failed", 2)


@pytest.mark.slow
def test_a_command_that_fails_is_a_line_and_no_more(store: str, write: Write, sweep: Sweep) -> None:
    done = sweep("launch", write("trial: toys:train\non_finish: {run: 'false'}"), "--quiet")
    assert done.returncode == 0
    assert done.stderr == "sweep: on_finish: false: ended with status 1\n"
    assert "completed" in done.stdout


@pytest.mark.slow
def test_an_interrupted_launch_tells(folder: Path, store: str, write: Write) -> None:
    path = write(TOY + "parameters: {pause: 0.2, epochs: 1000}")
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "launch", str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert any("epoch 1/1000" in line for line in process.stdout)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert told(folder)["status"] == "interrupted"
    assert told(folder)["outcomes"]["interrupted"] == 1


@pytest.mark.parametrize(
    ("raised", "status", "exit_status", "error"),
    [(KeyboardInterrupt(), "interrupted", 130, None), (StoreError("MLflow is away"), "failed", 1, "MLflow is away")],
)
def test_every_end_is_told(
    folder: Path, write: Write, raised: BaseException, status: str, exit_status: int, error: str | None
) -> None:
    spec = load(write(TOY))
    with (
        pytest.raises(type(raised)),
        notifying(spec, "http://user:secret@host", LiveProgress(spec.name, spec.objectives[0])),
    ):
        raise raised
    summary = told(folder)
    assert (summary["status"], summary["exit_status"], summary["error"]) == (status, exit_status, error)
    assert summary["store"] == "http://host"


def test_a_launch_that_finds_another_one_has_no_end(folder: Path, write: Write) -> None:
    spec = load(write(TOY))
    with pytest.raises(AlreadyRunningError), notifying(spec, "", LiveProgress(spec.name, spec.objectives[0])):
        raise AlreadyRunningError("it is running")
    assert not (folder / "told.json").exists()


def test_a_launch_whose_sweep_is_taken_by_another_has_an_end(folder: Path, write: Write) -> None:
    spec = load(write(TOY))
    course = LiveProgress(spec.name, spec.objectives[0])
    course.begin(2, [], {})
    with pytest.raises(AlreadyRunningError), notifying(spec, "", course):
        raise AlreadyRunningError("it is running")
    summary = told(folder)
    assert (summary["exit_status"], summary["trials"], summary["error"]) == (2, 2, "it is running")


def test_a_url_gets_the_summary_after_as_many_attempts_as_it_takes(listen: Callable[..., Listener]) -> None:
    listener = listen(503, 500, 204)
    assert notify(OnFinish(url=listener.url), {"sweep": "toy"}) is None
    assert listener.told == [{"sweep": "toy"}] * 3


@pytest.mark.parametrize(
    ("statuses", "says"), [((404,), "answers 404 Not Found"), ((500,) * 3, "answers 500 Internal Server Error")]
)
def test_a_url_that_refuses_is_said_without_what_is_secret_in_it(
    listen: Callable[..., Listener], statuses: tuple[int, ...], says: str
) -> None:
    listener = listen(*statuses)
    assert notify(OnFinish(url=listener.url), {}) == f"127.0.0.1: {says}"
    assert len(listener.told) == len(statuses)


def test_a_url_that_nobody_listens_to_is_said_without_what_is_secret_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notification, "WAIT", wait_none())
    assert (
        notify(OnFinish(url="http://user:secret@127.0.0.1:1/x"), {}) == "127.0.0.1: does not answer (ConnectionError)"
    )


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("no-such-command", "x"), "no-such-command: No such file or directory"),
        (("false",), "false: ended with status 1"),
        (("true", "\0"), "true: embedded null byte"),
    ],
)
def test_a_command_that_cannot_be_run_is_said(command: tuple[str, ...], says: str) -> None:
    assert notify(OnFinish(command), {}) == says


def test_a_command_that_takes_too_long_is_ended_with_its_children(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notification, "SECONDS_OF_A_COMMAND", 0.5)
    command = ("sh", "-c", "sleep 600 & echo $! > child; wait")
    assert notify(OnFinish(command), {}) == "sh: took longer than 0.5 seconds"
    assert all_gone([int((folder / "child").read_text())])


def test_ctrl_c_ends_the_telling(folder: Path) -> None:
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        notify(OnFinish(("sleep", "600")), {})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("{}", "on_finish: needs either `run`, a command, or `post`, a URL"),
        ("{run: 'true', post: 'http://x'}", "on_finish: needs either `run`, a command, or `post`, a URL"),
        ('{run: "\'"}', "on_finish.run: cannot be split into words: no closing quotation"),
        ("{run: []}", "on_finish.run: names no command"),
        ("{run: ''}", "on_finish.run: names no command"),
        ("{post: 'ftp://x'}", "on_finish.post: is not a URL of the form https://host/path"),
        ("{post: 'http://[x'}", "on_finish.post: is not a URL of the form https://host/path"),
        ("{psot: 'http://x'}", "on_finish.psot: unknown key; did you mean post?"),
        ("echo", "on_finish: input should be a mapping"),
        ("{run: 5}", "on_finish.run: input should be a valid string, or a list"),
    ],
)
def test_mistakes_are_said_with_their_line_and_key(write: Write, key: str, says: str) -> None:
    path = write(f"trial: toys:train\n\non_finish: {key}\n")
    with pytest.raises(InputError) as error:
        load(path)
    assert str(error.value).splitlines()[0] == f"{path}:3: {says}"


def test_a_command_is_taken_apart_as_a_shell_does(write: Write) -> None:
    spec = load(write("trial: toys:train\non_finish: {run: \"mail -s 'it has ended' me\"}"))
    assert spec.on_finish == OnFinish(("mail", "-s", "it has ended", "me"))
