"""The folder through which a launch is asked for something, between real processes."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator.errors import InputError, SweepError
from orchestrator.requests import asking, mailbox
from orchestrator.requests.asking import ask
from orchestrator.requests.calls import Answer, Call, Request, StopLaunch, StopTrials, requests
from orchestrator.requests.listening import answering
from orchestrator.requests.mailbox import Mailbox
from orchestrator.workspace import Workspace

NAME = "00000000000000000001-0123456789abcdef"
FOLDER = Path("mlruns", "work", "toy", "requests")
LAUNCH = """
import os, signal, sys, time
from pathlib import Path
from orchestrator.requests.calls import Answer
from orchestrator.requests.listening import answering
from orchestrator.workspace import Workspace

def answer(call):
    if sys.argv[2] == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    return Answer(("done",))

with Workspace(sys.argv[1], "toy") as workspace, answering(workspace.meeting, answer, print):
    print("ready", flush=True)
    time.sleep(600)
"""
ASKING = """
import os, signal, sys
from orchestrator.requests import asking
from orchestrator.requests.calls import StopLaunch

asking.time.sleep = lambda _: os.kill(os.getpid(), signal.SIGKILL)  # instead of waiting for the answer
asking.ask(sys.argv[1], "toy", StopLaunch())
"""


@pytest.fixture
def uri(folder: Path) -> str:
    """Of a store, of which nothing is needed here but its place."""
    return f"sqlite:///{folder}/mlruns/mlflow.db"


@pytest.fixture
def workspace(uri: str) -> Iterator[Workspace]:
    """That of a launch which holds the sweep."""
    with Workspace(uri, "toy") as held:
        yield held


@pytest.fixture
def asked(workspace: Workspace) -> Iterator[list[Call]]:
    """What the launch was asked for; it answers with how many that are."""
    calls: list[Call] = []

    def answer(call: Call) -> Answer:
        calls.append(call)
        return Answer((str(len(calls)),))

    with answering(workspace.meeting, answer, pytest.fail):
        yield calls


def put(name: str, content: bytes) -> Path:
    path = FOLDER / f"{name}.request"
    path.with_suffix(".new").write_bytes(content)
    return path.with_suffix(".new").rename(path)


def test_a_request_is_answered_by_the_launch_that_holds_the_sweep(uri: str, asked: list[Call]) -> None:
    call = StopTrials(("lr=0.1 seed=0", "3f1c"))
    assert ask(uri, "toy", call) == Answer(("1",))
    assert asked == [call]
    assert [path.name for path in FOLDER.iterdir()] == ["launch"]


def test_where_nobody_holds_the_sweep_nobody_is_asked(uri: str) -> None:
    with pytest.raises(InputError, match=r"^no launch of toy is at work$"):
        ask(uri, "toy", StopLaunch())


def test_requests_at_once_are_each_done_once(uri: str, asked: list[Call]) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = [*pool.map(lambda n: ask(uri, "toy", StopTrials((str(n),))), range(8))]
    assert sorted(answer.lines[0] for answer in answers) == [str(n) for n in range(1, 9)]
    assert len({*asked}) == len(asked) == 8


def test_the_folder_is_for_its_user_alone_and_goes_with_the_launch(workspace: Workspace) -> None:
    with answering(workspace.meeting, lambda _: Answer(()), pytest.fail):
        assert stat.S_IMODE(FOLDER.stat().st_mode) == 0o700
        assert stat.S_IMODE((FOLDER / "launch").stat().st_mode) == 0o600
    assert not FOLDER.exists()


def test_what_was_asked_of_an_earlier_launch_does_nothing(uri: str, asked: list[Call]) -> None:
    put(NAME, requests.dump_json(Request("another", StopLaunch())))
    assert ask(uri, "toy", StopTrials(("a",))).lines == ("1",)
    answer = (FOLDER / f"{NAME}.answer").read_text()
    assert "asked of an earlier launch, and does nothing" in answer


def test_what_an_earlier_launch_has_left_is_gone_when_the_next_begins(workspace: Workspace) -> None:
    with Mailbox(workspace.meeting) as first:
        pass
    FOLDER.mkdir()
    put(NAME, requests.dump_json(Request(first.token, StopLaunch())))
    with Mailbox(workspace.meeting) as second:
        assert second.token != first.token
        assert [*second.taken()] == []
        assert [path.name for path in FOLDER.iterdir()] == ["launch"]


def test_a_link_in_the_place_of_the_folder_is_not_followed(workspace: Workspace, folder: Path) -> None:
    (folder / "mine").mkdir()
    (folder / "mine" / "precious").touch()
    FOLDER.symlink_to(folder / "mine")
    with Mailbox(workspace.meeting):
        assert not FOLDER.is_symlink()
    assert (folder / "mine" / "precious").is_file()


def test_only_regular_files_of_its_user_are_taken(uri: str, asked: list[Call], folder: Path) -> None:
    token = (FOLDER / "launch").read_text()
    (folder / "elsewhere").write_bytes(requests.dump_json(Request(token, StopLaunch())))
    names = [f"0000000000000000000{n}-0123456789abcdef" for n in range(6)]
    (FOLDER / f"{names[0]}.request").symlink_to(folder / "elsewhere")
    os.mkfifo(FOLDER / f"{names[1]}.request")
    (FOLDER / f"{names[2]}.request").mkdir()
    put(names[3], b"[" * 2**21)
    put(names[4], b'{"launch": "x", "call": {"kind": "stop launch", "command": "rm"}}')
    put(names[5], b"\xff[")
    put("../x", b"")
    assert ask(uri, "toy", StopTrials(("a",))).lines == ("1",)
    assert [call.kind for call in asked] == ["stop trials"]


def test_a_folder_that_others_may_enter_is_not_asked_through(uri: str, asked: list[Call]) -> None:
    FOLDER.chmod(0o755)
    with pytest.raises(InputError, match="is not of this user alone; ask as the user who has launched toy"):
        ask(uri, "toy", StopLaunch())
    assert asked == []


def test_a_launch_that_does_not_answer_is_not_waited_for_and_has_nothing_to_do_later(
    uri: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "PATIENCE_SECONDS", 0.2)
    with Mailbox(workspace.meeting) as here:
        with pytest.raises(SweepError, match="the launch of toy does not answer, nothing was done"):
            ask(uri, "toy", StopLaunch())
        assert [*here.taken()] == []


def test_a_launch_that_takes_no_requests_says_so(
    uri: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "SECONDS_TO_BEGIN", 0.1)
    with pytest.raises(InputError, match="the launch of toy takes no requests"):
        ask(uri, "toy", StopLaunch())


def test_what_fails_in_a_launch_is_an_answer_and_ends_nothing(uri: str, workspace: Workspace) -> None:
    def answer(call: Call) -> Answer:
        raise ValueError("a bug")

    with answering(workspace.meeting, answer, pytest.fail):
        for _ in range(2):
            assert ask(uri, "toy", StopLaunch()) == Answer(("the launch could not do this: ValueError: a bug",), 1)


def launched(uri: str, how: str) -> subprocess.Popen[str]:
    """A process that holds the sweep, and takes requests."""
    process = subprocess.Popen([sys.executable, "-c", LAUNCH, uri, how], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.slow
def test_a_launch_that_is_killed_before_it_answers_leaves_nothing_stuck(uri: str) -> None:
    process = launched(uri, "dies")
    with pytest.raises(InputError, match="the launch of toy ended before it answered"):
        ask(uri, "toy", StopLaunch())
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    process = launched(uri, "lives")
    assert ask(uri, "toy", StopLaunch()) == Answer(("done",))
    process.kill()
    process.communicate()


def test_whoever_is_killed_while_asking_leaves_nothing_stuck(
    uri: str, workspace: Workspace, asked: list[Call], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert subprocess.run([sys.executable, "-c", ASKING, uri], check=False).returncode == -signal.SIGKILL
    while not asked:
        time.sleep(0.01)
    monkeypatch.setattr(mailbox, "SECONDS_OF_AN_ANSWER", 0.0)
    assert ask(uri, "toy", StopLaunch()) == Answer(("2",))
    assert ask(uri, "toy", StopLaunch()) == Answer(("3",))
    assert [path.name for path in FOLDER.iterdir()] == ["launch"]
