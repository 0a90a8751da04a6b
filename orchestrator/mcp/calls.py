"""Calls of the command: those that are waited for, and those that go on when whoever has begun them is gone."""

import asyncio
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.errors import InputError
from orchestrator.system.itself import COMMAND

SECONDS_TO_BEGIN = 60.0  # of a launch, which says when its trials begin
SECONDS_FOR_A_MISTAKE = 10.0  # where nothing says that
SECONDS_BETWEEN_LOOKS = 0.1

Told = dict[str, Any]  # a document


async def document(name: str, options: Sequence[str], operands: Sequence[str], environment: Mapping[str, str]) -> Told:
    """What a call prints with --json.

    Raises:
        InputError: it ends with an error.
    """
    call = [*COMMAND, name, "--json", *options, "--", *operands]
    process = await asyncio.create_subprocess_exec(
        *call,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, **environment},
    )
    out, _ = await process.communicate()
    return _checked([json.loads(line) for line in out.splitlines()], name)


class Background:
    """Calls that run trials. They outlive this process, and keep to their limits by themselves."""

    def __init__(self) -> None:
        self._begun: list[subprocess.Popen[bytes]] = []

    async def begin(
        self,
        name: str,
        options: Sequence[str],
        operands: Sequence[str],
        environment: Mapping[str, str],
        patience: float = SECONDS_TO_BEGIN,
    ) -> Told:
        """Begin a call; returns its result where it ends at once, else what is known when its trials begin.

        Args:
            name: of the call.
            options: of it.
            operands: of it.
            environment: that it has beside this process's.
            patience: seconds for it to say that its trials begin.

        Raises:
            InputError: it ends with an error.
        """
        self._begun = [process for process in self._begun if process.poll() is None]  # so that none stays a zombie
        call = [*COMMAND, name, "--json", *options, "--", *operands]
        descriptor, log = tempfile.mkstemp(prefix="sweep-", suffix=".jsonl")
        with os.fdopen(descriptor, "wb") as file:
            process = subprocess.Popen(
                call,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **environment},
                start_new_session=True,
            )
        self._begun.append(process)
        until = time.monotonic() + patience
        while process.poll() is None and time.monotonic() < until:
            if any(one["kind"] == "begun" for one in _lines(Path(log))):
                break
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
        told: Told = {"pid": process.pid, "log": log, "has_ended": process.poll() is not None}
        if told["has_ended"]:
            told["result"] = _checked([*_lines(Path(log))], name)
        return told


def _lines(log: Path) -> Iterator[Told]:
    """The documents that a call has printed so far."""
    whole, _, _ = log.read_bytes().rpartition(b"\n")
    return (json.loads(line) for line in whole.splitlines())


def _checked(lines: Sequence[Told], name: str) -> Told:
    if not lines:
        raise InputError(f"sweep {name} has ended without a result")
    if lines[-1]["kind"] == "error":
        raise InputError(*lines[-1]["mistakes"])
    return lines[-1]
