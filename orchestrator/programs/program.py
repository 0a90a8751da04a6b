"""A program that a sweep runs as its trials, as a worker sees it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from orchestrator.programs import scripts
from orchestrator.programs.command import Command, hidden, renested
from orchestrator.system import regular
from orchestrator.system.code import Code, first_of
from orchestrator.system.regular import opened
from orchestrator.system.shortage import Shortage
from orchestrator.trial import Params

GRACE = 10.0  # seconds


class ProgramFailedError(Exception):
    """A program has ended with another status than 0, or could not be started; the message has its last lines.

    `lack` is set where it had run out of memory.
    """

    lack: Shortage | None = None


class ProgramKilledError(ProgramFailedError):
    """A program was killed by a signal. Unlike an exit status that it has chosen, that may not come again."""


@dataclass(frozen=True)
class Program:
    """How a program is called, and what is known of its metrics.

    Args:
        command: its command line, with macros for the parameters of a trial.
        folder: where it runs, which relative paths start from.
        nested: the keys by which the sweep file reaches its nested parameters, from the outermost one: the program
            gets them so again.
        seed_parameter: what the program calls its seed.
        infeasible_exit: the exit status by which it says that its configuration cannot be trained, if there is one.
        grace: seconds that it has to end by itself: half of them after SIGINT, the other half after SIGTERM.
        compared: the metric by which its trials are compared.
        pattern: a regular expression for metrics in what it prints; with it, what is printed counts at once.
    """

    command: Command
    folder: Path
    nested: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    seed_parameter: str = "seed"
    infeasible_exit: int | None = None
    grace: float = GRACE
    compared: str | None = None
    pattern: str | None = None

    def given(self, params: Params) -> dict[str, Any]:
        """The parameters of a trial as the program gets them: nested as in the file, the seed under its name.

        In W&B's order: by name, those that are nested after all others.
        """
        named = {self.seed_parameter if name == "seed" else name: value for name, value in params.items()}
        paths = {name: self.nested.get(name, (name,)) for name in named}
        return renested(
            {name: named[name] for name in sorted(named, key=lambda n: (len(paths[n]) > 1, paths[n]))}, paths
        )

    def line(self, params: Params) -> str:
        """The command line of a trial for people, without secrets."""
        words, _ = scripts.interpreter(os.environ.get("PATH", os.defpath))
        return self.command.line(self.given(params), words, "params.json", os.environ)

    def hide_secrets(self, log: Path, begin: int = 0) -> bool:
        """Take the values of secrets out of a log, from a place in bytes on; returns whether there were any.

        A log that cannot be looked through is removed.
        """
        secrets = self.command.secrets(os.environ)
        if secrets:
            regular.clear(log)
        if not secrets or not log.is_file():
            return False
        with opened(log, "r+b") as file:
            file.seek(begin)
            text = file.read().decode(errors="surrogateescape")
            if (shown := hidden(text, secrets)) != text:
                file.seek(begin)
                file.write(shown.encode(errors="surrogateescape"))
                file.truncate()
        return shown != text

    @property
    def script(self) -> Path | None:
        """The program's own file, as far as its command shows."""
        return scripts.script(self.command, self.folder)

    @cached_property
    def code(self) -> Code:
        """The program's own file, and what that imports from beside it, if it is Python's."""
        script = self.script
        return Code({}) if script is None else Code.of([], first_of([script.parent, self.folder]), script)

    @property
    def title(self) -> str:
        """The program in a word: "train.py"."""
        return self.script.name if self.script else self.name

    @property
    def name(self) -> str:
        """The program for people, and in `trial_key`: its command as it is written."""
        return self.command.identity
