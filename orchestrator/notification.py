"""Notifies a command or a URL, which the sweep file names, that a launch has ended."""

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


class _NotifyError(Exception):
    """The notification failed; the message gives the reason."""


class _NoAnswerError(_NotifyError):
    """Another attempt may help."""


@dataclass
class End:
    """How a launch has ended, once that is known."""

    exit_status: int | None = None


@contextmanager
def notifying(spec: SweepSpec, uri: str, course: LiveProgress) -> Iterator[End]:
    """For the time of a launch: notifies of its end, in whatever way. A failure of this is a line on standard error."""
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
            payload = summary(course.status(), end.exit_status or 0) | {"error": error}
            payload |= {"file": str(spec.source.path.absolute()), "store": redacted(uri)}
            try:
                problem = notify(spec.on_finish, payload)
            except KeyboardInterrupt:
                warn("on_finish: was interrupted")
                raise
            if problem:
                warn(f"on_finish: {problem}")


def summary(status: Status, exit_status: int) -> dict[str, Any]:
    """The result of a launch, as JSON."""
    best = status.best
    counts = {str(outcome): status.outcomes.get(outcome, 0) for outcome in Outcome}
    counts[Outcome.INTERRUPTED] += len(status.running)  # trials that were given up at once have reported no end
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


def notify(target: OnFinish, payload: Mapping[str, Any]) -> str | None:
    """Notify a command or a URL; returns the reason in a line if that failed."""
    text = json.dumps(payload)
    try:
        if target.command:
            _run(target.command, text)
        else:
            retrying = Retrying(
                retry=retry_if_exception_type(_NoAnswerError),
                stop=stop_after_attempt(ATTEMPTS),
                wait=WAIT,
                reraise=True,
            )
            retrying(_post, target.url, text)
    except (_NotifyError, OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return f"{target.command[0] if target.command else urlsplit(target.url).hostname}: {why}"
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
                raise _NotifyError(f"took longer than {SECONDS_OF_A_COMMAND:g} seconds") from error
            raise
    if process.returncode:
        raise _NotifyError(f"ended with status {process.returncode}")


def _post(url: str, text: str) -> None:
    import requests  # takes a while

    try:
        headers = {"Content-Type": "application/json"}
        answer = requests.post(url, data=text.encode(), headers=headers, timeout=SECONDS_OF_A_POST)
    except requests.RequestException as error:  # whose message may have the whole URL, and with it a secret
        raise _NoAnswerError(f"does not answer ({type(error).__name__})") from error
    if not answer.ok:
        kind = _NoAnswerError if answer.status_code >= 500 else _NotifyError
        raise kind(f"answers {answer.status_code} {answer.reason}")
