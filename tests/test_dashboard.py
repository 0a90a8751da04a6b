"""A sweep in optuna-dashboard, asked as a browser asks."""

import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from orchestrator.samplers.dashboard import study
from orchestrator.spec import load
from orchestrator.system.loopback import guarded
from orchestrator.trial import Outcome
from orchestrator.trials.record import Record

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]
SEARCH = """
trial: toys:train
method: tpe
metric: {{name: score, goal: maximize}}
run_cap: {cap}
parameters: {{x: {{min: 0.1, max: 10, distribution: log_uniform_values}}, mode: {{values: [fine, rise]}}, epochs: 7}}
"""


@pytest.fixture
def port() -> int:
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def dashboard(store: str, port: int) -> Iterator[Callable[[str], None]]:
    running: list[subprocess.Popen[bytes]] = []

    def start(sweep: str) -> None:
        command = [sys.executable, "-m", "orchestrator", "dashboard", sweep, "--port", str(port)]
        running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ))

    yield start
    for process in running:
        process.terminate()
        assert process.wait(20) == -signal.SIGTERM


def asked(port: int, path: str) -> Any:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=10) as answer:
                return json.load(answer)
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.mark.slow
def test_the_dashboard_shows_a_search_and_follows_it(
    write: Write, sweep: Sweep, dashboard: Callable[[str], None], port: int
) -> None:
    path = write(SEARCH.format(cap=8))
    assert sweep("launch", path).returncode == 0
    path.unlink()  # the store has the file, too
    dashboard("toy")
    (study,) = asked(port, "api/studies")["study_summaries"]
    assert (study["study_name"], study["directions"]) == ("toy", ["maximize"])
    detail = asked(port, f"api/studies/{study['study_id']}?after=0")
    assert len(detail["trials"]) == 8
    for trial in detail["trials"]:
        told = {one["key"]: one["value"] for one in trial["user_attrs"]}
        exploded = told["outcome"] == "loss explosion"
        assert trial["state"] == "Complete"
        assert any(far > 0 for far in trial["constraints"]) == exploded  # which the dashboard calls infeasible
        assert (float(told["explosion_margin"]) > 0) == exploded
        assert {one["name"] for one in trial["params"]} == {"x", "mode"}

    with closing(HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", "/api/studies", headers={"Host": "evil.example"})
        assert connection.getresponse().status == 403

    write(SEARCH.format(cap=10))
    sweep("launch", path)
    deadline = time.monotonic() + 60
    while len(asked(port, f"api/studies/{study['study_id']}?after=0")["trials"]) < 10:
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_an_explosion_is_infeasible_also_where_it_had_no_value_yet(write: Write) -> None:
    spec = load(
        write("trial: toys:plain\nmetric: {name: final_score, goal: maximize}\nparameters: {x: {values: [1, 2]}}")
    )
    params = dict(spec.function.resolve({}))
    ends = {1.0: Outcome.EXPLODED, 2.0: Outcome.PRUNED}
    records = [
        Record(f"run {x}", f"key {x}", f"x={x}", outcome, "FAILED", {**params, "x": x}, {}, {})
        for x, outcome in ends.items()
    ]
    exploded, pruned = study(spec, records).trials
    assert (exploded.state.name, exploded.values) == ("COMPLETE", [-math.inf])
    assert any(far > 0 for far in exploded.constraints.values())
    assert (pruned.state.name, pruned.values) == ("PRUNED", None)


@pytest.mark.slow
def test_a_port_that_is_taken_is_said(store: str, write: Write, sweep: Sweep, port: int) -> None:
    path = write(SEARCH.format(cap=1))
    sweep("launch", path)
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", port))
        one.listen()
        said = sweep("dashboard", path, "--port", port)
    assert said.returncode == 2
    assert f"--port {port}: Address already in use" in said.stderr


@pytest.mark.parametrize("call", [("ui",), ("dashboard", "toy")])
@pytest.mark.parametrize("port", ["-1", "0", "65536", "99999", "eight"])
def test_a_port_that_is_none_is_said_to_be_none(call: tuple[str, ...], port: str, store: str, sweep: Sweep) -> None:
    said = sweep(*call, "--port", port)
    assert said.returncode == 2
    assert said.stderr.startswith("sweep: Invalid value for '--port'")
    assert said.stdout == ""


def test_a_port_that_the_ui_finds_taken_is_said_before_any_link(store: str, sweep: Sweep, port: int) -> None:
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", port))
        one.listen()
        said = sweep("ui", "--port", port)
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr == f"sweep: --port {port}: Address already in use; use another\n"


@pytest.mark.parametrize(
    ("host", "is_answered"),
    [
        ("127.0.0.1:8080", True),
        ("LOCALHOST", True),
        ("[::1]:80", True),
        ("evil.example", False),
        ("evil.example:8080", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example:80", False),
        ("localhost@evil.example", False),
        ("192.168.0.1:8080", False),
        ("", False),
    ],
)
def test_a_host_that_is_not_this_machine_gets_nothing(host: str, is_answered: bool) -> None:
    assert asking(HTTP_HOST=host) == ("200 OK" if is_answered else "403 Forbidden")
    assert asking(HTTP_HOST="localhost", HTTP_ORIGIN=f"http://{host}") == ("200 OK" if is_answered else "403 Forbidden")


def test_other_hosts_are_answered_where_the_user_allows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_SERVER_ALLOWED_HOSTS", "hub.example, *.lab:8080")
    assert asking(HTTP_HOST="hub.example:99") == asking(HTTP_HOST="a.lab:8080") == "200 OK"
    assert asking(HTTP_HOST="localhost", HTTP_ORIGIN="null") == asking(HTTP_HOST="a.lab:81") == "403 Forbidden"


def asking(**headers: str) -> str:
    """How a guarded app answers a request with these headers."""
    answers: list[str] = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [])
        return [b"here"]

    body = guarded(app)({**headers}, lambda status, _: answers.append(status))
    assert (b"here" in body) == (answers == ["200 OK"])
    return answers[0]
