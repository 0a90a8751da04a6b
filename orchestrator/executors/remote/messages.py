"""What goes between an orchestrator and its agents: a line of JSON, and bytes behind it.

A token counts the attempts of an agent. What has an older one is of an attempt that is over, and is dropped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from orchestrator.worker.serve import Surroundings

Mark = tuple[int, int]  # of a file: the time of its last change in nanoseconds, and its mode


@dataclass(frozen=True)
class WorkerSettings:
    """Down, first of all: what an agent starts workers with.

    Args:
        around: of the workers, with the folders that this machine has.
        warm: as `Setup.warm`.
        environment: variables that the launch was started with, for where the node has none of that name.
        code: the folders of code that were carried, by their paths here: where they are in what was carried.
    """

    around: Surroundings
    warm: bool
    environment: Mapping[str, str]
    code: Mapping[str, str]
    kind: Literal["settings"] = "settings"


@dataclass(frozen=True)
class FileState:
    """A file of a trial's folder, by its path in it."""

    path: str
    size: int
    digest: str
    mark: Mark


@dataclass(frozen=True)
class TrialFolder:
    """The folder of a trial on the orchestrator's machine.

    Args:
        path: of it.
        marker: a file beside it; whoever finds it with the nonce in it, sees the same folder.
        nonce: what the marker has.
        files: what is in the folder.
    """

    path: str
    marker: str
    nonce: str
    files: Sequence[FileState]


@dataclass(frozen=True)
class Begin:
    """Down: run the stack that follows as bytes, once its folders are there."""

    token: int
    folders: Sequence[TrialFolder]
    kind: Literal["begin"] = "begin"


@dataclass(frozen=True)
class FilesWanted:
    """Up: files that the node does not have, by the place of their trial, and path. All others are as here."""

    token: int
    files: Sequence[tuple[int, str]]
    kind: Literal["wanted"] = "wanted"


@dataclass(frozen=True)
class Piece:
    """Both ways: the next bytes of a file. It is in place once it is whole and a Commit names it."""

    token: int
    row: int
    path: str
    offset: int
    kind: Literal["piece"] = "piece"


@dataclass(frozen=True)
class Commit:
    """Both ways: put in place the files of which all pieces were sent, and remove others. Down: then begin.

    Args:
        token: of the attempt.
        row: of the trial.
        made: files of which all pieces were sent.
        gone: files that are to be removed; these first.
        marks: of those, and of files of which nothing else has changed.
    """

    token: int
    row: int
    made: Sequence[str]
    gone: Sequence[str] = ()
    marks: Mapping[str, Mark] = field(default_factory=dict)
    kind: Literal["commit"] = "commit"


@dataclass(frozen=True)
class Tail:
    """Up: a file goes on from here with the bytes that follow; what it had behind is no longer part of it."""

    token: int
    row: int
    path: str
    offset: int
    kind: Literal["tail"] = "tail"


@dataclass(frozen=True)
class Reading:
    """Up: what trials have left is being read, which takes its time."""

    token: int
    kind: Literal["reading"] = "reading"


@dataclass(frozen=True)
class Say:
    """Both ways: bytes are for the worker, or of it."""

    token: int
    kind: Literal["say"] = "say"


@dataclass(frozen=True)
class Renew:
    """Down: kill the worker and have another one; all that has an older token is over."""

    token: int
    kind: Literal["renew"] = "renew"


@dataclass(frozen=True)
class Leave:
    """Down: end."""

    kind: Literal["leave"] = "leave"


@dataclass(frozen=True)
class Ready:
    """Up: an agent has its settings, and a worker."""

    machine: str
    kind: Literal["ready"] = "ready"


@dataclass(frozen=True)
class Renewed:
    """Up: what a Renew has asked for is done; what ran before writes nothing any more."""

    token: int
    kind: Literal["renewed"] = "renewed"


@dataclass(frozen=True)
class Died:
    """Up: the worker has died, of this. All that its trials have left has been sent."""

    token: int
    reason: str
    is_for_memory: bool = False
    kind: Literal["died"] = "died"


Message = (
    WorkerSettings
    | Begin
    | FilesWanted
    | Piece
    | Commit
    | Tail
    | Reading
    | Say
    | Renew
    | Renewed
    | Leave
    | Ready
    | Died
)
_adapter: TypeAdapter[Message] = TypeAdapter(
    Annotated[Message, Field(discriminator="kind")], config=ConfigDict(defer_build=True)
)


@dataclass(frozen=True)
class Letter:
    """A message, and the bytes that go with it."""

    message: Message
    body: bytes = field(default=b"", repr=False)

    def encode(self) -> bytes:
        """As it is sent."""
        return _adapter.dump_json(self.message) + b"\n" + self.body

    @classmethod
    def decode(cls, sent: bytes) -> "Letter":
        """What `encode` wrote."""
        head, _, body = sent.partition(b"\n")
        return cls(_adapter.validate_json(head), body)
