"""What is asked of a launch on another machine, through a real MLflow server. It stands for another machine where
the folder of temporary files is another one: launches and whoever asks meet there otherwise."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from serving import served
from test_launch import TOY, Write, started

from orchestrator.errors import InputError
from orchestrator.requests.asking import NobodyError
from orchestrator.requests.calls import Answer, Call, Request, StopLaunch, StopTrials, requests
from orchestrator.trackers import lease, noticeboard
from orchestrator.trackers.elsewhere import Elsewhere
from orchestrator.trackers.lease import Lease
from orchestrator.trackers.noticeboard import REQUEST, Noticeboard
from orchestrator.trackers.open_run import LONGEST_TAG

NAME = "00000000000000000001-0123456789abcdef"
LONG = TOY + "parameters: {x: {values: [1, 2]}, epochs: 5000, pause: 0.2}"
ASKING = """
import os, signal, sys
from orchestrator.requests.calls import StopTrials
from orchestrator.trackers import elsewhere

elsewhere.time.sleep = lambda _: os.kill(os.getpid(), signal.SIGKILL)  # instead of waiting for the answer
elsewhere.Elsewhere(sys.argv[1]).ask("toy", StopTrials(("x=1",)))
"""


@pytest.fixture
def board(store: str) -> Noticeboard:
    """Of a launch on another machine that holds the sweep; nothing answers yet."""
    client = MlflowClient(tracking_uri=store)
    experiment = client.create_experiment("toy", tags={"sweep.sweeps": "true"})
    parent = client.create_run(experiment, tags={"sweep": "toy", "sweep.role": "parent"}).info.run_id
    return Noticeboard(client, parent, "token")


def put(board: Noticeboard, name: str, content: str) -> None:
    board._client.set_tag(board._parent, f"{REQUEST}{name}", content)


def asked(token: str, call: Call) -> str:
    return requests.dump_json(Request(token, call)).decode()


def left(board: Noticeboard) -> list[str]:
    return [tag for tag in board._tags() if tag.startswith((noticeboard.REQUEST, noticeboard.ANSWER))]


def test_a_request_is_taken_once_and_one_for_another_launch_is_not(board: Noticeboard) -> None:
    put(board, NAME, asked("token", StopLaunch()))
    put(board, NAME.replace("1-", "2-"), asked("another", StopLaunch()))
    put(board, "x", asked("token", StopLaunch()))
    assert [name for name, _ in board.taken()] == [NAME]
    assert [*board.taken()] == []
    put(board, NAME.replace("1-", "3-"), asked("token", StopLaunch()))
    board.clear()
    assert [name for name, _ in board.taken()] == [NAME.replace("1-", "3-")]
    assert left(board) == []


def test_what_is_no_request_is_answered_so(board: Noticeboard) -> None:
    put(board, NAME, '{"launch": "token", "call": {"kind": "stop launch", "command": "rm"}}')
    assert [content for _, content in board.taken()] == [
        b'{"launch": "token", "call": {"kind": "stop launch", "command": "rm"}}'
    ]


def test_an_answer_that_is_too_long_says_how_much_is_missing(board: Noticeboard) -> None:
    board.answer(NAME, Answer(tuple(f"x={n} ends after its epoch, as pruned" for n in range(1000))))
    (tag,) = left(board)
    assert len(board._tags()[tag]) <= LONGEST_TAG
    assert board._tags()[tag].count("lines more") == 1


def test_an_answer_that_nobody_fetches_goes(board: Noticeboard, monkeypatch: pytest.MonkeyPatch) -> None:
    board.answer(NAME, Answer(("done",)))
    assert len(left(board)) == 1
    monkeypatch.setattr(noticeboard, "SECONDS_OF_AN_ANSWER", -1.0)
    assert [*board.taken()] == []
    assert left(board) == []


def test_where_nobody_holds_the_sweep_or_only_a_launch_that_has_ended_here_nobody_is_asked(
    board: Noticeboard, store: str
) -> None:
    def nobody() -> None:
        with pytest.raises(NobodyError, match=r"^no launch of toy is at work$"):
            Elsewhere(store).ask("toy", StopLaunch())

    nobody()
    for host in (None, "there"):
        held = Lease(board._client, "1", host=host)
        held.take()
        if host is None:
            nobody()  # the lock of its folder tells that it has ended
        held.release()
        nobody()
    assert left(board) == []


def test_a_request_longer_than_a_tag_is_refused(board: Noticeboard, store: str) -> None:
    held = Lease(board._client, "1", host="there")
    held.take()
    with pytest.raises(InputError, match="name fewer trials at once"):
        Elsewhere(store).ask("toy", StopTrials(("x" * 5000, "y" * 5000)))
    held.release()


@pytest.mark.slow
def test_a_launch_that_is_silent_has_not_done_what_was_asked(
    board: Noticeboard, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.trackers.elsewhere.PATIENCE_SECONDS", 2.5)
    monkeypatch.setattr(lease, "SECONDS_BETWEEN_HEARTBEATS", 0.2)
    held = Lease(board._client, "1", host="there")
    held.take()
    with pytest.raises(
        Exception, match=r"the launch of toy, in process \d+ on there since .*, does not answer; nothing was done"
    ):
        Elsewhere(store).ask("toy", StopLaunch())
    held._ended.set()  # as if it were killed
    time.sleep(0.5)
    with pytest.raises(
        NobodyError, match=r"nothing is heard of the one in process \d+ on there since .*; nothing was done"
    ):
        Elsewhere(store).ask("toy", StopLaunch())
    assert left(board) == []


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[str]:
    place = tmp_path_factory.mktemp("server")
    (place / "mlflow.db").write_bytes(empty_store.read_bytes())
    with served(f"sqlite:///{place / 'mlflow.db'}", place / "artifacts") as url:
        yield url


@pytest.fixture
def named(server: str, folder: Path, write: Write, request: pytest.FixtureRequest) -> tuple[Path, str]:
    """A sweep of a name of its own, and that name: all tests have one server."""
    name = f"toy{abs(hash(request.node.name))}"
    return write(LONG, f"{name}.yaml"), name


Asks = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def there(server: str, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Asks:
    """The command on another machine."""
    place = tmp_path_factory.mktemp("there")
    own = os.environ | {"TMPDIR": str(place), "MLFLOW_TRACKING_URI": server}

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "orchestrator", *map(str, arguments)]
        return subprocess.run(command, cwd=place, env=own, capture_output=True, text=True, check=False)

    return run


def tags(server: str, name: str) -> dict[str, str]:
    client = MlflowClient(tracking_uri=server)
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    (parent,) = client.search_runs([experiment.experiment_id], "tags.`sweep.role` = 'parent'")
    return dict(parent.data.tags)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_launch_is_steered_from_another_machine_and_nothing_of_it_stays(
    server: str, folder: Path, named: tuple[Path, str], there: Asks, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, name = named
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    process = started(folder, path, "--workers", "2")
    stopped = there("stop", name, "x=1")
    assert stopped.stdout == "x=1 ends after its epoch, as pruned\n", stopped.stderr
    paused = there("workers", name, 0)
    assert paused.stdout.startswith(f"{name} is paused: "), paused.stderr
    refused = there("stop", name, "x=3")
    assert (refused.returncode, refused.stderr.startswith(f"sweep: {name} has no trial x=3")) == (2, True)
    again = there("rerun", name, "x=2")
    assert (again.returncode, "x=2 runs; only what has ended" in again.stderr) == (2, True)
    assert there("stop", name).returncode == 0
    out, err = process.communicate(timeout=100)
    assert process.returncode == 130, err
    assert "asked by hand: x=1 ends after its epoch, as pruned" in out
    assert not [tag for tag in tags(server, name) if tag.startswith((noticeboard.REQUEST, noticeboard.ANSWER))]
    late = there("stop", name)
    assert (late.returncode, late.stderr) == (2, f"sweep: no launch of {name} is at work\n")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_whoever_is_killed_while_asking_through_a_server_leaves_nothing_stuck(
    server: str, folder: Path, named: tuple[Path, str], there: Asks, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path, name = named
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    process = started(folder, path, "--workers", "2")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    command = [sys.executable, "-c", ASKING.replace('"toy"', f'"{name}"'), server]
    killed = subprocess.run(command, env=os.environ | {"TMPDIR": str(elsewhere)}, check=False)
    assert killed.returncode == -signal.SIGKILL
    twice = there("stop", name, "x=1")
    assert twice.stdout in ("x=1 was asked to end already\n", "x=1 has ended: pruned: stopped by hand\n")
    assert there("stop", name).returncode == 0
    _, err = process.communicate(timeout=100)
    assert process.returncode == 130, err
