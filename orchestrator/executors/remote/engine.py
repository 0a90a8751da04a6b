"""What an engine owes that has machines to run trials on: it starts agents there, and says when one is lost."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from orchestrator.executors.remote.greeting import Address


@dataclass(frozen=True)
class Gone:
    """An agent has ended, or its machine is lost.

    Args:
        name: of the agent.
        reason: in words.
        is_for_memory: whether it was killed for the memory that its trial took.
        is_of_itself: whether it has ended by itself: its machine is still there.
        is_final: whether any other one would end so, too, as long as none has served: nothing can run.
    """

    name: str
    reason: str
    is_for_memory: bool = False
    is_of_itself: bool = False
    is_final: bool = False


class Engine(Protocol):
    """A cluster, or a queue. As a context it is connected with."""

    @property
    def host(self) -> str:
        """The address of this machine that agents can reach."""

    @property
    def code(self) -> Mapping[str, str]:
        """The folders of code that it carries, by their paths here: where they are in what is carried."""

    @property
    def room(self) -> int:
        """How many agents are of use: those that have a place, and a few for places that may come."""

    @property
    def remark(self) -> str:
        """What a person is to know once it is connected with; empty where there is nothing."""

    def fileno(self) -> int:
        """Becomes readable when there are news."""

    def begin(self, name: str, address: Address) -> None:
        """Ask for a place, and have an agent of this name there."""

    def end(self, name: str) -> None:
        """Take the place of an agent back; whatever is left of it there ends."""

    def news(self) -> Iterable[Gone]:
        """The agents that have ended since the last call.

        Raises:
            SweepError: the engine itself is lost.
        """

    def __enter__(self) -> "Engine":
        """Connect.

        Raises:
            InputError: there is none, or it refuses what is asked for.
        """

    def __exit__(self, *error: object) -> None:
        """End all agents."""
