"""Keeps launches of one sweep into one server apart where they share no disk: two tags on its experiment.

One names the holder of the sweep, and is written once; the other changes every few seconds while the holder lives.
On one machine the lock of the operating system does this at once; across machines a newcomer watches whether it still
changes.
"""

import itertools
import json
import math
import os
import socket
import tempfile
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from orchestrator.errors import AlreadyRunningError
from orchestrator.system.paths import sqlite_path
from orchestrator.trackers.resending import without_long_waits

TAG = "sweep.holder"
ENDED = "has ended"
HEARTBEAT = "sweep.heartbeat"  # apart: what a holder sends that was stopped halfway must not name it the holder again
SECONDS_BETWEEN_HEARTBEATS = 5.0
SECONDS_WATCHED = 3 * SECONDS_BETWEEN_HEARTBEATS
SECONDS_OF_A_RACE = 0.5


class Lease:
    """This launch's lease of a sweep."""

    def __init__(self, client: MlflowClient, experiment_id: str, host: str | None = None) -> None:
        self._client = client
        self._experiment_id = experiment_id
        self._me: dict[str, Any] = {
            "pid": os.getpid(),
            "place": _place(host),
            "host": host or socket.gethostname(),
            "since": time.strftime("%Y-%m-%d %H:%M:%S"),
            "token": uuid.uuid4().hex,
        }
        self._beats = itertools.count(1)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, name="lease", daemon=True)
        self._lost: AlreadyRunningError | None = None
        self._known_at = -math.inf  # when it was certain last that the sweep is ours
        self.was_anothers = False  # whether it was taken from a launch elsewhere that may yet go on

    def take(self) -> None:
        """Hold the sweep from now on.

        Raises:
            AlreadyRunningError: a launch on another machine holds it, and lives.
        """
        before, beat = self.look()
        if before and (before["place"] != self._me["place"] or "after" in before):
            self.was_anothers = True
            self._me["after"] = before["place"]  # for the next launch, should this one die before it has seen to that
        self._hold()
        if self._is_living(self.read()[1], beat):  # it writes on until it sees that the sweep is no longer its own
            self.was_anothers = True
            time.sleep(SECONDS_WATCHED)
        self._beat()
        time.sleep(SECONDS_OF_A_RACE)
        self.check(afresh=True)
        self._thread.start()

    def look(self) -> tuple[dict[str, Any] | None, str | None]:
        """The launch that has held the sweep last, where it has not given it back, and the last heartbeat.

        It does not live, or is of this place, where the operating system's lock is for that.

        Raises:
            AlreadyRunningError: it lives, on another machine.
        """
        holder, beat = self.read()
        if holder is None or beat == _last_beat(holder):
            return None, beat
        if holder["place"] != self._me["place"] and self._changes(holder, beat):
            raise AlreadyRunningError(f"this sweep is already running, {_where(holder)}")
        return holder, beat

    def check(self, afresh: bool = False) -> None:
        """See that the sweep is still ours; the server is asked where so much time has passed that it may not be.

        Raises:
            AlreadyRunningError: another launch has taken it, while this machine slept or was cut off.
        """
        if self._lost is None and (afresh or _now() - self._known_at > SECONDS_WATCHED - SECONDS_BETWEEN_HEARTBEATS):
            self._renew()
        if self._lost is not None:
            raise self._lost

    @property
    def token(self) -> str:
        """What tells it from all others."""
        return str(self._me["token"])

    def mark_settled(self) -> None:
        """Know that nothing is left to which the launch from which this one has taken the sweep could write."""
        self.was_anothers = False

    def release(self) -> None:
        """Let the next launch in at once, unless it has to see to what the one before this has left."""
        if not self._ended.is_set():
            self._ended.set()
            self._thread.join(SECONDS_BETWEEN_HEARTBEATS)
            # the tag of the holder stays: whoever has taken the sweep since is not to lose it
            if self._lost is None and not self.was_anothers:
                self._tell(HEARTBEAT, _last_beat(self._me))

    def _beat_on(self) -> None:
        while not self._ended.wait(SECONDS_BETWEEN_HEARTBEATS) and self._lost is None:
            with suppress(Exception):  # the server is away, for the newcomer, too
                self._renew()

    def _renew(self) -> None:
        """See that the sweep is ours, and have it so for as long as others then watch it: both, or it is not known."""
        asked_at = _now()
        holder, _ = self.read()
        if holder and holder["token"] != self._me["token"]:
            self._lost = AlreadyRunningError(f"another launch has taken this sweep over, {_where(holder)}")
        elif not self._ended.is_set():
            self._beat()
        self._known_at = asked_at

    def _hold(self) -> None:
        self._tell(TAG, json.dumps(self._me))

    def _beat(self) -> None:
        self._tell(HEARTBEAT, f"{self._me['token']} {next(self._beats)}")

    def _tell(self, tag: str, text: str) -> None:
        with without_long_waits():
            self._client.set_experiment_tag(self._experiment_id, tag, text)

    def _changes(self, holder: dict[str, str], beat: str | None) -> bool:
        deadline = time.monotonic() + SECONDS_WATCHED
        while time.monotonic() < deadline:
            time.sleep(0.5)
            held_by, now = self.read()
            if (held_by, now) != (holder, beat):
                return held_by != holder or self._is_living(now, beat)
        return False

    @staticmethod
    def _is_living(now: str | None, before: str | None) -> bool:
        """Whether a heartbeat is one of a launch that goes on since there was another one."""
        return now != before and not (now or "").endswith(ENDED)

    def read(self) -> tuple[dict[str, str] | None, str | None]:
        """The holder, and its last heartbeat."""
        with without_long_waits():
            tags = self._client.get_experiment(self._experiment_id).tags
        return json.loads(tags[TAG]) if TAG in tags else None, tags.get(HEARTBEAT)


@dataclass(frozen=True)
class Holder:
    """Who holds a sweep, its last heartbeat, and where it is."""

    token: str
    beat: str | None
    where: str


def holder_elsewhere(client: MlflowClient, experiment_id: str) -> Holder | None:
    """Who holds a sweep, unless it has given it back, or is of this place: then the lock of its folder tells."""
    holder, beat = Lease(client, experiment_id).read()
    if holder is None or beat == _last_beat(holder) or holder["place"] == _place(None):
        return None
    return Holder(holder["token"], beat, _where(holder))


def check_free(client: MlflowClient, uri: str, experiment_id: str) -> None:
    """See that no launch on another machine holds a sweep; that of this machine has the lock of its folder.

    Raises:
        AlreadyRunningError: one does.
    """
    if sqlite_path(uri) is None:
        Lease(client, experiment_id).look()


def _last_beat(holder: dict[str, Any]) -> str:
    """What stands for the heartbeat once a holder has given the sweep back."""
    return f"{holder['token']} {ENDED}"


def _now() -> float:
    """Seconds that go on while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _place(host: str | None) -> str:
    """Where launches keep each other out by a lock."""
    return f"{os.getuid()}@{host or socket.gethostname()}, {_folder_of_locks()}"


def _folder_of_locks() -> str:
    """What distinguishes the places of the operating system's locks: containers share host names."""
    there = Path(tempfile.gettempdir()).stat()
    return f"{there.st_dev}:{there.st_ino}"


def _where(holder: dict[str, Any]) -> str:
    return f"in process {holder['pid']} on {holder['host']} since {holder['since']}"
