"""What went wrong."""

from typing import Literal, Self

from orchestrator.documents.base import Document
from orchestrator.errors import (
    AlreadyRunningError,
    InputError,
    StoreAwayError,
    StoreBusyError,
    StoreError,
    SweepError,
)

Cause = Literal["input", "already_running", "store_away", "store_busy", "store", "sweep", "interrupted"]
CAUSES: dict[type[SweepError], Cause] = {
    AlreadyRunningError: "already_running",
    StoreAwayError: "store_away",
    InputError: "input",
    StoreBusyError: "store_busy",
    StoreError: "store",
    SweepError: "sweep",
}


class ErrorDocument(Document):
    """The command has ended without its result; standard error has the same, for people."""

    kind: Literal["error"] = "error"
    cause: Cause
    """`input`: arguments, YAML or data are wrong. `already_running`: another launch holds the sweep. `store_away`,
    `store_busy`: the store does not answer, and may later. `store`: it refuses. `sweep`: the sweep cannot go on."""
    exit_status: int
    mistakes: list[str]
    """What is wrong, a line for each."""

    @classmethod
    def of(cls, error: SweepError) -> Self:
        """An error of the command."""
        cause = next(cause for kind, cause in CAUSES.items() if isinstance(error, kind))
        return cls(cause=cause, exit_status=error.exit_status, mistakes=str(error).splitlines())

    @classmethod
    def of_interrupt(cls) -> Self:
        """Somebody has interrupted the command."""
        return cls(cause="interrupted", exit_status=130, mistakes=["interrupted"])
