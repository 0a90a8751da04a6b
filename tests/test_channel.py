"""The worker's end of what a program logs: what it takes from any process that connects, and what it does not."""

import json
import math
import select
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from orchestrator.programs.channel import LONGEST_LINE, Channel
from orchestrator.programs.logged import Ended, Logged, Message, StepMetric

Caller = Callable[[Channel], socket.socket]
FIRST = Logged("wandb", {"loss": 0.5}, None, 1.0)
LINE = json.dumps({"kind": "Logged", "source": "wandb", "metrics": {"loss": 0.5}, "step": None, "at": 1.0}).encode()
ENDED = b'{"kind": "Ended", "source": "wandb"}\n'
NONSENSE = {
    "no JSON": b"loss=0.5",
    "not UTF-8": b'{"kind": "Ended", "source": "\xff"}',
    "no object": b"[1, 2]",
    "no kind": b'{"source": "wandb"}',
    "an unknown kind": b'{"kind": "Shutdown", "source": "wandb"}',
    "a kind that is none": b'{"kind": ["Ended"], "source": "wandb"}',
    "an unknown source": b'{"kind": "Ended", "source": "elsewhere"}',
    "a missing field": b'{"kind": "StepMetric", "source": "wandb", "metric": "loss"}',
    "words for numbers": LINE.replace(b"0.5", b'"low"'),
    "a deep nest": b"[" * 200_000,
    "nothing": b"",
}


@pytest.fixture
def channel(tmp_path: Path) -> Iterator[Channel]:
    channel = Channel(tmp_path)
    yield channel
    channel.close()


@pytest.fixture
def caller() -> Iterator[Caller]:
    """Connects to a channel, as a process of a program does."""
    with ExitStack() as opened:

        def connect(channel: Channel) -> socket.socket:
            connection = opened.enter_context(socket.socket(socket.AF_UNIX))
            connection.connect(str(channel.path))
            connection.settimeout(10)
            return connection

        yield connect


def heard(channel: Channel) -> list[Message]:
    """What `receive` returns once `select` says that there is something."""
    assert select.select(channel.filenos(), [], [], 10)[0]
    return channel.receive()


def test_messages_of_several_processes_are_received_and_answered(channel: Channel, caller: Caller) -> None:
    assert channel.receive() == []
    one, other = caller(channel), caller(channel)
    one.sendall(LINE + b"\n" + ENDED)
    assert heard(channel) == [FIRST, Ended("wandb")]
    other.sendall(b'{"kind": "StepMetric", "source": "wandb", "metric": "val/*", "step_metric": "epoch"}\n')
    assert heard(channel) == [StepMetric("wandb", "val/*", "epoch")]
    one.sendall(ENDED)  # which is not received when those before it are answered
    channel.release()
    assert (one.recv(9), other.recv(9)) == (b"\n\n", b"\n")
    assert heard(channel) == [Ended("wandb")]
    channel.release()
    assert one.recv(9) == b"\n"


def test_values_that_are_not_finite_are_received(channel: Channel, caller: Caller) -> None:
    caller(channel).sendall(LINE.replace(b"0.5", b"NaN") + b"\n" + LINE.replace(b"0.5", b"-Infinity") + b"\n")
    values = [message.metrics["loss"] for message in heard(channel) if isinstance(message, Logged)]
    assert math.isnan(values[0])
    assert values[1] == -math.inf


@pytest.mark.parametrize("kind", NONSENSE)
def test_what_is_no_message_is_dropped_and_answered(channel: Channel, caller: Caller, kind: str) -> None:
    process = caller(channel)
    process.sendall(NONSENSE[kind] + b"\n" + ENDED)
    received = heard(channel)
    while not received:
        received = heard(channel)
    assert received == [Ended("wandb")]
    channel.release()
    assert process.recv(9) == b"\n\n"


def test_a_line_in_pieces_is_one_message(channel: Channel, caller: Caller) -> None:
    process = caller(channel)
    for piece in (LINE[:1], LINE[1:30], LINE[30:]):
        process.sendall(piece)
        assert heard(channel) == []
    channel.release()
    process.sendall(b"\n")
    assert heard(channel) == [FIRST]


def test_a_process_that_dies_within_a_line_harms_no_other(channel: Channel, caller: Caller) -> None:
    dying, other = caller(channel), caller(channel)
    dying.sendall(LINE + b"\n" + LINE[:20])
    dying.close()
    assert heard(channel) == [FIRST]
    assert len(channel.filenos()) == 2  # the socket itself, and the other one
    channel.release()
    other.sendall(ENDED)
    assert heard(channel) == [Ended("wandb")]


def test_a_process_that_dies_before_its_answer_harms_no_other(channel: Channel, caller: Caller) -> None:
    dying, other = caller(channel), caller(channel)
    dying.sendall(LINE + b"\n")
    other.sendall(ENDED)
    received = heard(channel)
    dying.close()
    channel.release()
    assert sorted(map(str, received)) == sorted(map(str, [FIRST, Ended("wandb")]))
    assert other.recv(9) == b"\n"


@pytest.mark.parametrize("length", [LONGEST_LINE + 1, 3 * LONGEST_LINE])
def test_a_line_that_is_too_long_is_dropped_and_the_next_one_heard(
    channel: Channel, caller: Caller, length: int
) -> None:
    process = caller(channel)
    process.setblocking(False)
    unsent, received = b'"' + b"x" * length + b'"\n' + ENDED, []
    while unsent or not received:
        with suppress(BlockingIOError):
            unsent = unsent[process.send(unsent) :]
        received += channel.receive()
    assert received == [Ended("wandb")]
    channel.release()
    process.setblocking(True)
    assert process.recv(9) == b"\n\n"


def test_the_socket_is_private_and_gone_when_it_is_closed(tmp_path: Path, caller: Caller) -> None:
    channel = Channel(tmp_path)
    folder, process = channel.path.parent, caller(channel)
    process.sendall(ENDED)
    heard(channel)
    assert tmp_path in folder.parents
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    channel.close()
    assert process.recv(9) == b""  # it waits for nothing
    assert not folder.exists()
    assert channel.filenos() == []


def test_a_folder_with_a_long_path_is_no_obstacle(tmp_path: Path, caller: Caller) -> None:
    deep = tmp_path / ("long" * 30)
    deep.mkdir()
    channel = Channel(deep)
    caller(channel).sendall(ENDED)
    assert heard(channel) == [Ended("wandb")]
    folder = channel.path.parent
    channel.close()
    assert ([*deep.iterdir()], folder.exists()) == ([], False)
