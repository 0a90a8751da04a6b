"""Where trials run. Each executor keeps one contract: every submitted trial yields exactly one final event."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol

from orchestrator.events import Event, Heartbeat
from orchestrator.trial import Params, Trial

OnHeartbeat = Callable[[Trial, Heartbeat], None]  # is told which step a trial makes: about once a second, or more often


class Executor(Protocol):
    """Runs trials and tells what happens to them."""

    @property
    def has_free_slot(self) -> bool:
        """Whether a further trial could be started now."""

    @property
    def idle(self) -> bool:
        """Whether no trial is running, nor waits to."""

    def prepare(self, configs: Sequence[Params]) -> None:
        """Have the data of these configurations at hand.

        Raises:
            InputError: the trial function says that they are missing or corrupt.
        """

    def submit(self, trial: Trial, workdir: Path, threads: int | None = None) -> None:
        """Take a trial, to start it or go on with what its workdir holds of it before `events` waits for anything.

        Args:
            trial: the trial.
            workdir: its folder; made where it is missing.
            threads: None leaves the executor's number.
        """

    def stop(self, trial: Trial, reason: str) -> None:
        """Have a trial end as pruned, for this reason.

        It ends after the epoch that `events` tells of at this moment, or where it was only submitted, before it begins.
        """

    def events(self) -> Iterator[tuple[Trial, Event]]:
        """Wait until something happens, and tell it."""

    def __enter__(self) -> "Executor": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
