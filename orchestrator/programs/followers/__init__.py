"""Ways to follow a program from outside: `poll()` reads what is new, and never blocks."""

from collections.abc import Sequence
from typing import Protocol

from orchestrator.programs.logged import Message


class ProgramFollower(Protocol):
    """Follows one place to which a program logs."""

    def poll(self) -> Sequence[Message]:
        """Everything that has come since the last call, in order."""

    def end(self) -> Sequence[Message]:
        """What is left when the program has ended."""
