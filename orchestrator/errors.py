"""What can go wrong, as a user sees it.

SweepError                the sweep cannot go on; exit status 1
├── StoreError            MLflow refuses, or has not answered for too long
│   ├── StoreBusyError    it does not answer now, and may later
│   └── RunDeletedError   somebody has deleted the run of a trial, which counts no longer; the sweep goes on
└── InputError            arguments, YAML or data are wrong: a line for each mistake; exit status 2
    ├── StoreAwayError    the store does not answer as a command begins, and may later
    └── AlreadyRunningError   another launch of the same sweep is running
"""

from collections.abc import Iterable


class SweepError(Exception):
    """The sweep cannot go on; the message gives the reason and what to do."""

    exit_status = 1
    interrupted = False  # whether the launch that it ended was to end anyway


class StoreError(SweepError):
    """MLflow refuses, or has not answered for too long."""


class StoreBusyError(StoreError):
    """MLflow does not answer now, and may later."""


class RunDeletedError(StoreError):
    """Somebody has deleted the run of a trial in MLflow, so that the trial counts no longer."""


class InputError(SweepError):
    """Arguments, YAML or data are wrong. Carries one line for each mistake."""

    exit_status = 2

    def __init__(self, *mistakes: str) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes

    @classmethod
    def of(cls, mistakes: Iterable[str]) -> "InputError":
        """The error of these mistakes, each listed once."""
        return cls(*dict.fromkeys(mistakes))


class StoreAwayError(InputError):
    """The store does not answer as a command begins, and may later."""


class AlreadyRunningError(InputError):
    """Another launch of the same sweep is running."""
