"""Ways to follow a program from outside: `poll()` reads what is new, and never blocks."""

from typing import Protocol

from orchestrator.programs.logged import Message


class ProgramFollower(Protocol):
    """Follows one place to which a program logs."""

    def poll(self) -> list[Message]:
        """Everything that has come since the last call, in order."""
