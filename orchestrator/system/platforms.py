"""The operating systems that this package is for."""

import sys

from orchestrator.errors import InputError

TESTED = "linux"
NAMES = {"darwin": "macOS", "win32": "Windows", "cygwin": "Cygwin"}
UNSUPPORTED = ("win32", "cygwin")  # without the signals, forks and sessions by which trials are ended


def check() -> None:
    """See that sweeps can run here.

    Raises:
        InputError: they cannot.
    """
    if sys.platform in UNSUPPORTED:
        raise InputError(f"sweeps do not run on {NAMES[sys.platform]}, only on Linux; there, in WSL or a container")


def remark() -> str:
    """That nobody has tried this system, in a line; empty for the one that is tested."""
    if sys.platform == TESTED:
        return ""
    name = NAMES.get(sys.platform, sys.platform)
    return f"sweeps are tested on Linux, and not on {name}"
