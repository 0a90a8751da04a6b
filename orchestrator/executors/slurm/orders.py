"""What an orchestrator has a job do, and what the job says to it."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from orchestrator.executors.limits import Limits, WorkerLoss
from orchestrator.worker import serve

HEAD = struct.Struct("!BQ")  # the kind of what is said, and the attempt that it belongs to


@dataclass(frozen=True)
class Serve:
    """How trials run in this launch, before all other orders; what runs goes on."""

    around: serve.Surroundings
    warm: bool
    idle: float  # seconds without a trial after which the job ends
    limits: Limits  # of trials, which the job keeps where the launch is away
    kind: Literal["serve"] = "serve"


@dataclass(frozen=True)
class Pass:
    """Give a message to the worker; one that begins something has a new attempt, and a worker that lives."""

    attempt: int
    message: serve.Message
    kind: Literal["pass"] = "pass"


@dataclass(frozen=True)
class Adopt:
    """Take the trials of these places, which an earlier launch has begun, as those of this attempt."""

    attempt: int
    rows: Sequence[int]
    kind: Literal["adopt"] = "adopt"


@dataclass(frozen=True)
class Kill:
    """End the worker and what its trials have started; it is answered with KILLED."""

    attempt: int
    kind: Literal["kill"] = "kill"


@dataclass(frozen=True)
class EndJob:
    """End the job."""

    kind: Literal["end"] = "end"


Order = Serve | Pass | Adopt | Kill | EndJob
orders: TypeAdapter[Order] = TypeAdapter(
    Annotated[Order, Field(discriminator="kind")], config=ConfigDict(defer_build=True)
)


class Word(IntEnum):
    """What is said by a job."""

    SENT = 0  # a message of the worker
    DIED = 1  # the worker has died: a WorkerLoss
    KILLED = 2  # so it was, as it was asked to be
    LEAVING = 3  # the job is about to end, for this WorkerLoss; what runs ends after its epoch
    FREE = 4  # what an earlier launch had begun has ended
    LEFT = 5  # nothing runs in the job any more, and it ends
    HELLO = 6  # it has come: a Hello


@dataclass(frozen=True)
class Hello:
    """What a job says first to each launch.

    Args:
        job: as `squeue` calls it.
        node: on which it is.
        held: the folders of trials that it runs, by their place, which another launch has begun.
        awaits_verdicts: whether they wait after each epoch.
        leaving: why it is about to end, if it is.
    """

    job: str
    node: str
    held: Mapping[int, str]
    awaits_verdicts: bool = False
    leaving: WorkerLoss | None = None


hellos: TypeAdapter[Hello] = TypeAdapter(Hello)
losses: TypeAdapter[WorkerLoss] = TypeAdapter(WorkerLoss)


def said(word: Word, attempt: int, content: bytes = b"") -> bytes:
    """A message of a job."""
    return HEAD.pack(word, attempt) + content


def heard(message: bytes) -> tuple[Word, int, bytes]:
    """What `said` wrote."""
    word, attempt = HEAD.unpack_from(message)
    return Word(word), attempt, message[HEAD.size :]
