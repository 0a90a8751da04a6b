"""A program that a sweep runs as its trials, as a worker sees it."""

from dataclasses import dataclass
from pathlib import Path

from orchestrator.programs.command import Command

GRACE = 10.0  # seconds


class ProgramFailedError(Exception):
    """A program has ended with another status than 0, or could not be started; the message has its last lines."""


@dataclass(frozen=True)
class Program:
    """How a program is called, and what is known of its metrics.

    Args:
        command: its command line, with macros for the parameters of a trial.
        folder: where it runs, which relative paths start from.
        nested: names of parameters that the sweep file has nested: the program gets them so again.
        seed_parameter: what the program calls its seed.
        grace: seconds that it has to end by itself: half of them after SIGINT, the other half after SIGTERM.
        compared: the metric by which its trials are compared.
        maximized: names of metrics that the sweep maximizes.
        losses: names of the losses to watch for explosions; None watches what is called a loss.
        pattern: a regular expression for metrics in what it prints; with it, what is printed counts at once.
    """

    command: Command
    folder: Path
    nested: tuple[str, ...] = ()
    seed_parameter: str = "seed"
    grace: float = GRACE
    compared: str | None = None
    maximized: tuple[str, ...] = ()
    losses: tuple[str, ...] | None = None
    pattern: str | None = None

    @property
    def script(self) -> Path | None:
        """The program's own file: the first word of its command that is a file of its folder."""
        words = [self.command.program, *self.command.words]
        paths = (self.folder / word for word in words if word and "${" not in word)
        return next((path for path in paths if path.is_file()), None)

    @property
    def title(self) -> str:
        """The program in a word: "train.py"."""
        return self.script.name if self.script else self.name

    @property
    def name(self) -> str:
        """The program for people, and in `trial_key`: its command as it is written."""
        return self.command.identity
