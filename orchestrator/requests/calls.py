"""What can be asked of a launch, and the answer. It is data: nothing of it is executed."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

MOST_TRIALS = 1000  # that a request names
MOST_WORKERS = 10_000
LARGEST_NUMBER = 2**53
LARGEST = 2**20  # bytes of a request, or of an answer
STRICT = ConfigDict(extra="forbid")

Name = Annotated[str, Field(max_length=5000)]
Named = Annotated[tuple[Name, ...], Field(min_length=1, max_length=MOST_TRIALS)]


@dataclass(frozen=True)
class StopTrials:
    """End these running trials after their epoch."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    trials: Named
    kind: Literal["stop trials"] = "stop trials"


@dataclass(frozen=True)
class StopLaunch:
    """End the launch, as the first Ctrl-C does."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    kind: Literal["stop launch"] = "stop launch"


@dataclass(frozen=True)
class Resize:
    """Have at most so many trials (or stacks of them) run at once from now on; 0 pauses the sweep."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    workers: Annotated[int, Field(ge=0, le=MOST_WORKERS)]
    kind: Literal["resize"] = "resize"


@dataclass(frozen=True)
class Rerun:
    """Run these trials anew that have ended; or all that have failed, or are infeasible."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    trials: Annotated[tuple[Name, ...], Field(max_length=MOST_TRIALS)] = ()
    failed: bool = False
    infeasible: bool = False
    kind: Literal["rerun"] = "rerun"


@dataclass(frozen=True)
class More:
    """Have these trials go on to so many epochs that have completed; or the best of them, or all."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    epochs: Annotated[int, Field(ge=1, le=LARGEST_NUMBER)]
    trials: Annotated[tuple[Name, ...], Field(max_length=MOST_TRIALS)] = ()
    best: Annotated[int | None, Field(ge=1, le=LARGEST_NUMBER)] = None
    kind: Literal["more"] = "more"


Call = StopTrials | StopLaunch | Resize | Rerun | More


@dataclass(frozen=True)
class Request:
    """A call, and the token of the launch that it is for: no other one does it."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    launch: Annotated[str, Field(max_length=100)]
    call: Annotated[Call, Field(discriminator="kind")]


@dataclass(frozen=True)
class Answer:
    """What came of it, in lines, and with which status whoever has asked ends."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    lines: tuple[str, ...]
    status: int = 0


requests = TypeAdapter(Request)
answers = TypeAdapter(Answer)


def launch_of(content: bytes) -> str | None:
    """The launch that a request is for; None where it is no request that this version knows."""
    try:
        return requests.validate_json(content).launch
    except ValidationError:
        return None
