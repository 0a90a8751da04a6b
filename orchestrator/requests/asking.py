"""Asks a launch, from another process: makes a request, and waits for its answer."""

import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import ValidationError

from orchestrator.errors import InputError, SweepError
from orchestrator.requests.calls import LARGEST, MOST_TRIALS, Answer, Call, Request, answers, requests
from orchestrator.requests.mailbox import ANSWER, FOLDER, LAUNCH, REQUEST, opened, read, write
from orchestrator.system.paths import lock_folder
from orchestrator.workspace import Workspace

PATIENCE_SECONDS = 10.0  # five times what an answer may take
SECONDS_TO_BEGIN = 2.0  # for a launch that has just begun
SECONDS_BETWEEN_LOOKS = 0.05


class NobodyError(InputError):
    """No launch holds the sweep."""


def ask(uri: str, sweep: str, call: Call) -> Answer:
    """The answer of the launch that holds a sweep.

    Args:
        uri: of the store.
        sweep: its name.
        call: what is asked.

    Raises:
        NobodyError: nobody on this machine holds it.
        InputError: another user does; or the launch ended before it answered.
        SweepError: it does not answer.
    """
    if not Workspace(uri, sweep).is_held():
        raise NobodyError(f"no launch of {sweep} is at work")
    folder = lock_folder(uri, sweep) / FOLDER
    token = _token(folder, sweep)
    name = f"{time.time_ns():020d}-{secrets.token_hex(8)}"
    with _asked(folder, name, encoded(Request(token, call)), sweep) as descriptor:
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            # in this order: what has ended by then had answered before
            has_ended = read(descriptor, LAUNCH) != token.encode() or not Workspace(uri, sweep).is_held()
            if (content := read(descriptor, f"{name}{ANSWER}")) is not None:
                return read_answer(content, sweep)
            if has_ended:
                raise InputError(f"the launch of {sweep} ended before it answered; `sweep status` says how far it is")
            time.sleep(SECONDS_BETWEEN_LOOKS)
        try:
            os.unlink(f"{name}{REQUEST}", dir_fd=descriptor)
        except FileNotFoundError:
            done = "it may yet do what was asked"
        else:
            done = "nothing was done"
        raise SweepError(f"the launch of {sweep} does not answer, {done}; is it suspended, or its disk away?")


def encoded(request: Request) -> bytes:
    """A request as a launch takes it.

    Raises:
        InputError: it is more than a launch takes, or no text.
    """
    try:
        content = requests.dump_json(request)
        requests.validate_json(content)
    except ValueError as error:  # pydantic's, too
        raise InputError(f"a request names up to {MOST_TRIALS:,} trials, each in up to 5,000 letters") from error
    if len(content) > LARGEST:
        raise InputError(f"a request has up to {LARGEST:,} bytes; name fewer trials at once")
    return content


def _token(folder: Path, sweep: str) -> str:
    """That of the launch."""
    until = time.monotonic() + SECONDS_TO_BEGIN
    while True:
        with suppress(FileNotFoundError):
            found = folder.lstat()
            is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077
            if not is_ours:
                raise InputError(f"{folder}: is not of this user alone; ask as the user who has launched {sweep}")
            with opened(folder) as descriptor:
                if token := read(descriptor, LAUNCH):
                    return token.decode(errors="replace")
        if time.monotonic() > until:
            raise InputError(f"the launch of {sweep} takes no requests: it is about to end, or of an older version")
        time.sleep(SECONDS_BETWEEN_LOOKS)


@contextmanager
def _asked(folder: Path, name: str, content: bytes, sweep: str) -> Iterator[int]:
    """The folder while a request is in it; nothing of it stays."""
    try:
        with opened(folder) as descriptor:
            try:
                write(descriptor, f"{name}{REQUEST}", content)
                yield descriptor
            finally:
                for left in (f"{name}{REQUEST}", f"{name}{REQUEST}.unfinished", f"{name}{ANSWER}"):
                    with suppress(OSError):
                        os.unlink(left, dir_fd=descriptor)
    except OSError as error:
        raise InputError(f"{folder}: the launch of {sweep} cannot be asked ({error.strerror})") from error


def read_answer(content: bytes, sweep: str) -> Answer:
    """What a launch has answered.

    Raises:
        SweepError: it is of another version.
    """
    try:
        return answers.validate_json(content)
    except ValidationError as error:
        raise SweepError(f"the answer of the launch of {sweep} is not understood; is it of another version?") from error
