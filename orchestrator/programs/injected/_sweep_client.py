"""Tells the worker of a trial what its script logs: one JSON line a message, each of which is answered.

This folder is for the interpreter of any user's script: the standard library alone, Python 3.8 and later. Nothing here
raises into the script, and without a worker that listens nothing happens.
"""

from __future__ import annotations

import os
import time
from _thread import RLock  # threading itself would cost each start of an interpreter a millisecond
from typing import Any, Mapping, Sequence

PATH = os.environ.get("SWEEP_CHANNEL")
SECONDS_TO_BE_KILLED = 10.0  # by what watches over the worker
RANKS = ("RANK", "LOCAL_RANK", "OMPI_COMM_WORLD_RANK", "SLURM_PROCID")


def is_heard() -> bool:
    """Whether a worker listens to this process: to the first one of several that train together."""
    ranks = [os.environ.get(name, "") for name in RANKS]
    return PATH is not None and not any(rank.isdigit() and int(rank) > 0 for rank in ranks)


class Client:
    """A connection to the worker, made by the first message, and another one in each process that is forked."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew: in a child, where the lock may be held by a thread that only its parent has."""
        self._lock = RLock()  # a signal's handler may log while a call that it interrupts waits
        self._socket: Any = None
        self._is_gone = False

    def send(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Send messages, and wait until the worker lets this process go on.

        An interrupt passes through, so that a script that waits can be ended, and can save what it has.
        """
        if not messages or not is_heard() or self._is_gone:
            return
        import json

        lines = [json.dumps(message).encode() + b"\n" for message in messages]  # NaN and inf as Python writes them
        with self._lock:
            try:
                connection = self._connect()
                connection.sendall(b"".join(lines))
                _wait(connection, len(lines))
            except OSError:
                self._close()
                self._is_gone = True
                _await_the_end()
            except BaseException:
                self._close()  # an answer is on its way that no later call may take for its own
                raise

    def _connect(self) -> Any:
        if self._socket is None:
            import socket

            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._socket.settimeout(None)  # a script may have set another default
            self._socket.connect(PATH)
        return self._socket

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _wait(connection: Any, answers: int) -> None:
    while answers:
        received = connection.recv(answers)
        if not received:
            raise ConnectionResetError("the worker has ended")
        answers -= len(received)


def _await_the_end() -> None:
    """Wait to be killed, where the worker has died: a checkpoint saved now would be of what nobody has heard.

    A worker that ends otherwise has taken its socket away before.
    """
    deadline = time.monotonic() + SECONDS_TO_BE_KILLED
    while os.path.exists(PATH or "") and time.monotonic() < deadline:
        time.sleep(0.02)


client = Client()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=client.forget)


def number(value: Any) -> float | None:
    """A number, a truth value, or a scalar of numpy, torch and their like; None for all else."""
    if value is None or isinstance(value, (str, bytes)):
        return None
    if not isinstance(value, (int, float)) and not hasattr(value, "item") and not hasattr(value, "__float__"):
        return None
    try:
        return float(value.item() if hasattr(value, "item") else value)
    except Exception:
        return None


def leaves(values: Mapping[Any, Any], before: str = "") -> dict[str, Any]:
    """The values of mappings within mappings, by dotted names, as W&B shows them."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found.update(leaves(value, f"{before}{name}."))
        else:
            found[f"{before}{name}"] = value
    return found


def numbers(values: Mapping[Any, Any]) -> dict[str, float]:
    """The numbers among values, by dotted names."""
    found = {name: number(value) for name, value in leaves(values).items()}
    return {name: value for name, value in found.items() if value is not None}


def logged(source: str, metrics: Mapping[str, float], step: Any = None) -> dict[str, Any]:
    """The message that a call has logged these numbers."""
    whole = number(step)
    step = int(whole) if whole is not None and abs(whole) < float("inf") else None
    return {"kind": "Logged", "source": source, "metrics": metrics, "step": step, "at": time.time()}


def report(metrics: Mapping[str, Any] | None = None, *, step: int | None = None, **more: Any) -> None:
    """Report numbers to the sweep that runs this script, such as `report(epoch=3, loss=0.1)`.

    Outside of a sweep, it does nothing. It returns once the sweep has decided that the trial goes on.

    Args:
        metrics: by name; what is no number is left out.
        step: where there is no `epoch` among them.
        more: further ones.
    """
    try:
        values = numbers({**(metrics or {}), **more})
        client.send([logged("report", values, step)] if values else [])
    except Exception:
        return
