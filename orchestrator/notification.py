"""Tells whom the sweep file names that a launch has ended: a command, or a URL."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from orchestrator.errors import AlreadyRunningError
from orchestrator.progress.live import LiveProgress
from orchestrator.progress.status import Status
from orchestrator.spec import OnFinish, SweepSpec
from orchestrator.system.paths import redacted
from orchestrator.terminal.consoles import warn
from orchestrator.trial import Outcome

SECONDS_OF_A_COMMAND = 60.0
SECONDS_OF_A_POST = 10.0  # for each attempt
ATTEMPTS = 3
WAIT = wait_exponential(multiplier=1, max=5)
TO_STDERR = 2  # where the command's own output goes: ours is for the result


class _NotToldError(Exception):
    """Nobody was told; the message says why."""


class _NoAnswerError(_NotToldError):
    """Another attempt may help."""


@dataclass
class End:
    """How a launch has ended, once that is known."""

    exit_status: int | None = None


@contextmanager
def notifying(spec: SweepSpec, uri: str, course: LiveProgress) -> Iterator[End]:
    """For the time of a launch: tells of its end, whatever that is. That this fails is a line on standard error."""
    end, error = End(), None
    try:
        yield end
    except BaseException as raised:
        if isinstance(raised, AlreadyRunningError) and not course.has_begun:
            spec = replace(spec, on_finish=None)
        if end.exit_status is None:
            end.exit_status = 130 if isinstance(raised, KeyboardInterrupt) else getattr(raised, "exit_status", 1)
            error = str(raised) or None
        raise
    finally:
        if spec.on_finish is not None:
            told = summary(course.status(), end.exit_status or 0) | {"error": error}
            told |= {"file": str(spec.source.path.absolute()), "store": redacted(uri)}
            try:
                problem = notify(spec.on_finish, told)
            except KeyboardInterrupt:
                warn("on_finish: was interrupted")
                raise
            if problem:
                warn(f"on_finish: {problem}")


def summary(status: Status, exit_status: int) -> dict[str, Any]:
    """What a launch has come to by its end, as JSON has it."""
    best = status.best
    counts = {str(outcome): status.outcomes.get(outcome, 0) for outcome in Outcome}
    counts[Outcome.INTERRUPTED] += len(status.running)  # what was given up at once has told no end
    return {
        "sweep": status.name,
        "status": {0: "finished", 130: "interrupted"}.get(exit_status, "failed"),
        "exit_status": exit_status,
        "trials": status.asked,
        "outcomes": counts,
        "best": best
        and {"trial": best.label, "metric": best.objective.name, "value": best.value, "params": dict(best.params)},
        "seconds": status.seconds,
        "ended": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def notify(whom: OnFinish, told: Mapping[str, Any]) -> str | None:
    """Tell a command or a URL; returns in a line why that failed, if it did."""
    text = json.dumps(told)
    try:
        if whom.command:
            _run(whom.command, text)
        else:
            retrying = Retrying(
                retry=retry_if_exception_type(_NoAnswerError),
                stop=stop_after_attempt(ATTEMPTS),
                wait=WAIT,
                reraise=True,
            )
            retrying(_post, whom.url, text)
    except (_NotToldError, OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return f"{whom.command[0] if whom.command else urlsplit(whom.url).hostname}: {why}"
    return None


def _run(command: tuple[str, ...], text: str) -> None:
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=TO_STDERR, text=True, start_new_session=True
    ) as process:
        try:
            process.communicate(text, timeout=SECONDS_OF_A_COMMAND)
        except BaseException as error:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with the children that it may have
            process.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                raise _NotToldError(f"took longer than {SECONDS_OF_A_COMMAND:g} seconds") from error
            raise
    if process.returncode:
        raise _NotToldError(f"ended with status {process.returncode}")


def _post(url: str, text: str) -> None:
    import requests  # takes a while

    try:
        headers = {"Content-Type": "application/json"}
        answer = requests.post(url, data=text.encode(), headers=headers, timeout=SECONDS_OF_A_POST)
    except requests.RequestException as error:  # whose message may have the whole URL, and with it a secret
        raise _NoAnswerError(f"does not answer ({type(error).__name__})") from error
    if not answer.ok:
        kind = _NoAnswerError if answer.status_code >= 500 else _NotToldError
        raise kind(f"answers {answer.status_code} {answer.reason}")
