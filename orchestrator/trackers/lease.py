"""Keeps launches of one sweep into one server apart where they share no disk: a tag on its experiment.

It names the holder of the sweep, and changes every few seconds while the holder lives. On one machine the lock of the
operating system does this at once; across machines a newcomer watches whether the tag still changes.
"""

import json
import os
import socket
import tempfile
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path

from mlflow import MlflowClient

from orchestrator.errors import AlreadyRunningError

TAG = "sweep.holder"
SECONDS_BETWEEN_HEARTBEATS = 5.0
SECONDS_WATCHED = 3 * SECONDS_BETWEEN_HEARTBEATS
SECONDS_OF_A_RACE = 0.5


class Lease:
    """This launch's lease of a sweep."""

    def __init__(self, client: MlflowClient, experiment_id: str, host: str | None = None) -> None:
        self._client = client
        self._experiment_id = experiment_id
        self._me = {
            "pid": os.getpid(),
            "place": f"{os.getuid()}@{host or socket.gethostname()}, {_folder_of_locks()}",
            "host": host or socket.gethostname(),
            "since": time.strftime("%Y-%m-%d %H:%M:%S"),
            "token": uuid.uuid4().hex,
        }
        self._beats = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)
        self._lost: AlreadyRunningError | None = None

    def take(self) -> None:
        """Hold the sweep from now on.

        Raises:
            AlreadyRunningError: a launch on another machine holds it, and lives.
        """
        before = self._read()
        if before and before["place"] != self._me["place"] and self._changes(before):
            raise _held(before)
        self._beat()
        time.sleep(SECONDS_OF_A_RACE)
        self._verify()
        self.check()
        self._thread.start()

    def check(self) -> None:
        """See that the sweep is still ours.

        Raises:
            AlreadyRunningError: another launch has taken it, while this machine slept or was cut off.
        """
        if self._lost is not None:
            raise self._lost

    def release(self) -> None:
        """Let the next launch in at once."""
        if not self._ended.is_set():
            self._ended.set()
            self._thread.join(SECONDS_BETWEEN_HEARTBEATS)
            if self._lost is None:
                self._client.delete_experiment_tag(self._experiment_id, TAG)

    def _renew(self) -> None:
        while not self._ended.wait(SECONDS_BETWEEN_HEARTBEATS) and self._lost is None:
            with suppress(Exception):  # the server is away, for the newcomer, too
                self._verify()
                if self._lost is None and not self._ended.is_set():
                    self._beat()

    def _verify(self) -> None:
        holder = self._read()
        if holder and holder["token"] != self._me["token"]:
            self._lost = _held(holder)

    def _beat(self) -> None:
        self._beats += 1
        self._client.set_experiment_tag(self._experiment_id, TAG, json.dumps({**self._me, "beats": self._beats}))

    def _changes(self, before: dict[str, str]) -> bool:
        deadline = time.monotonic() + SECONDS_WATCHED
        while time.monotonic() < deadline:
            time.sleep(0.5)
            if (now := self._read()) != before:
                return now is not None
        return False

    def _read(self) -> dict[str, str] | None:
        text = self._client.get_experiment(self._experiment_id).tags.get(TAG)
        return json.loads(text) if text else None


def _folder_of_locks() -> str:
    """What distinguishes the places of the operating system's locks: containers share host names."""
    there = Path(tempfile.gettempdir()).stat()
    return f"{there.st_dev}:{there.st_ino}"


def _held(holder: dict[str, str]) -> AlreadyRunningError:
    where = f"in process {holder['pid']} on {holder['host']} since {holder['since']}"
    return AlreadyRunningError(f"this sweep is already running, {where}")
