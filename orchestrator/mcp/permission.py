"""What a server may launch: files beneath a folder, within limits."""

import os
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import InputError
from orchestrator.system import paths


@dataclass(frozen=True)
class Permission:
    """What a server may launch.

    Args:
        folder: beneath which files are taken; None: nothing is launched.
        max_trials: that each launch may begin.
        max_seconds: that each launch may take.
    """

    folder: Path | None
    max_trials: int
    max_seconds: float

    @property
    def in_words(self) -> str:
        """What it may do, in a sentence for who asks it."""
        if self.folder is None:
            return "This server only reads, as it was started without --allow-launch: it does not plan, launch or stop."
        limits = f"at most {self.max_trials} trials and {self.max_seconds:g} seconds for each launch"
        return f"This server plans and launches sweep files beneath {self.folder}, with {limits}."

    @property
    def options(self) -> list[str]:
        """The options by which a launch keeps to the limits by itself."""
        return [f"--max-trials={self.max_trials}", f"--max-time={self.max_seconds}"]

    def check(self, what: str) -> None:
        """See that something may be done that does more than read.

        Raises:
            InputError: it may not.
        """
        if self.folder is None:
            raise InputError(
                f"this server only reads, and does not {what}: a sweep file is code; "
                "who starts the server may allow it with --allow-launch FOLDER"
            )

    def file(self, given: str) -> str:
        """The real path of a sweep file.

        Raises:
            InputError: it is not beneath the folder, or there is no folder.
        """
        self.check("take files")
        real = Path(os.path.realpath(given))
        if self.folder is None or not real.is_relative_to(self.folder):
            raise InputError(f"{given}: is not beneath {self.folder}, and this server takes no other files")
        return str(real)

    def sweep(self, given: str) -> str:
        """A sweep by its name, which anybody may read; or by its file, which is code.

        Raises:
            InputError: it is a file that is not beneath the folder.
        """
        return self.file(given) if paths.is_file(given) else given
