"""Signals in words, and in the statuses of processes that they have ended."""

import signal

SHELLS = 128  # what shells add to the signal that has killed their command
FATAL = (  # by which processes die that are killed, or crash
    *(signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGBUS),
    *(signal.SIGFPE, signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGXCPU, signal.SIGXFSZ, signal.SIGSYS),
)


def ended(status: int | None) -> str:
    """How a process of this status has ended, in words; a signal is a negative one."""
    if status is None or status >= 0:
        return f"exited with status {status}"
    names = {known.value: known.name for known in signal.Signals}
    return f"was killed by {names.get(-status, f'signal {-status}')}"  # those of real time have no names


def that_ended(status: int) -> int | None:
    """The signal that has ended a process of this status, or the command of a shell that has then exited."""
    if status < 0:
        return -status
    return status - SHELLS if status - SHELLS in FATAL else None
