"""Ray as an engine: what its gateway says, and what that is to do."""

import importlib.util
import json
import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from orchestrator.errors import InputError, SweepError
from orchestrator.executors.ray import gateway
from orchestrator.executors.ray.packing import OF_OURS, Package, pack
from orchestrator.executors.remote.engine import Gone
from orchestrator.executors.remote.greeting import Address
from orchestrator.functions import TrialFunction
from orchestrator.spec.executor_forms import RayForm
from orchestrator.system.interrupt import Interrupt
from orchestrator.system.machine import Resources
from orchestrator.worker.spawn import start

SECONDS_TO_CONNECT = 120.0
SECONDS_TO_CLOSE = 10.0
SECONDS_OF_SILENCE = 75.0  # of the gateway; a head that is away for a minute may come back


class RayEngine:
    """Actors of a cluster, each with an agent.

    Args:
        function: of the trials.
        takes: what each of them has.
        form: of the cluster.
        interrupt: of the launch.
        log: for what Ray prints.
    """

    def __init__(
        self, function: TrialFunction, takes: Resources, form: RayForm, interrupt: Interrupt, log: Path
    ) -> None:
        self._function = function
        self._takes = takes
        self._form = form
        self._interrupt = interrupt
        self._log = log
        self._package: Package | None = None
        self._folder: Path | None = None
        self._connection: Connection
        self._process: SpawnProcess | None = None
        self._heard = time.monotonic()
        self.host = self.remark = ""
        self.room = 0

    @property
    def code(self) -> Mapping[str, str]:
        return self._package.code if self._package else {}

    def __enter__(self) -> "RayEngine":
        """Connect with the cluster, unless that has been done.

        Raises:
            InputError: Ray is not installed; or the cluster cannot be reached, or does not take the code of the trials.
        """
        if self._process is not None:
            return self
        if importlib.util.find_spec("ray") is None:
            raise InputError("the ray executor needs Ray: pip install 'vae-sweeps[ray]'")
        self._folder = Path(tempfile.mkdtemp(prefix="vae-sweeps-"))
        try:
            self._package = pack(self._function, self._form.include, self._folder / "code.zip", self._log.parent.parent)
            self._connect(self._package)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _connect(self, package: Package) -> None:
        options = {
            "address": self._form.address,
            "runtime_env": {**self._form.runtime_env, "working_dir": str(package.file)},
            "cpus": self._takes.cpus or 1,
            "gpus": self._takes.gpus or 0,
            "current": package.current,
            "path": OF_OURS,
        }
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        process = context.Process(target=gateway.serve, args=(theirs, options, self._log), name="ray")
        start(process)
        self._process = process
        theirs.close()
        said = self._first(process)
        if said.get("kind") != "connected":
            reason = said.get("reason", f"the connection was closed (see {self._log})")
            raise InputError(f"the Ray cluster at {self._form.address} cannot be used: {reason}")
        self.host, self._heard = said["host"], time.monotonic()
        if said["lacks"]:
            self.remark = f"{said['lacks']}: the launch waits until one is added that has it"

    def _first(self, process: SpawnProcess) -> Mapping[str, Any]:
        interrupt = self._interrupt
        while not self._connection.poll():
            ready = wait([self._connection, process.sentinel, interrupt.fileno()], SECONDS_TO_CONNECT)
            interrupt.drain()
            if not ready:
                return {"reason": f"it has not answered for {SECONDS_TO_CONNECT:.0f} seconds"}
            if interrupt.requested:
                return {"reason": "interrupted"}
        with suppress(EOFError, OSError):
            return dict(json.loads(self._connection.recv_bytes()))
        return {}

    def __exit__(self, *error: object) -> None:
        try:
            self._close()
        finally:
            if self._folder:
                shutil.rmtree(self._folder, ignore_errors=True)

    def _close(self) -> None:
        if self._process is None:
            return
        try:
            self._connection.close()
            self._process.join(SECONDS_TO_CLOSE)
        finally:  # also where Ctrl-C ends the waiting
            self._process.kill()
            self._process.join()
            self._process = None

    def fileno(self) -> int:
        return self._connection.fileno()

    def begin(self, name: str, address: Address) -> None:
        self._tell(kind="begin", name=name, address=asdict(address))

    def end(self, name: str) -> None:
        self._tell(kind="end", name=name)

    def news(self) -> Iterable[Gone]:
        found: list[Gone] = []
        try:
            while self._connection.poll():
                self._heard = time.monotonic()
                message = json.loads(self._connection.recv_bytes())
                kind = message.pop("kind")
                if kind == "room":
                    self.room = message["room"]
                elif kind == "gone":
                    found.append(Gone(**message))
        except (EOFError, OSError) as error:
            raise self._lost from error
        if not found and time.monotonic() - self._heard > SECONDS_OF_SILENCE:
            raise self._lost
        return found

    @property
    def _lost(self) -> SweepError:
        lost = f"the connection with the Ray cluster at {self._form.address} is lost"
        return SweepError(f"{lost}; once it is there again, launch again to go on")

    def _tell(self, **message: Any) -> None:
        with suppress(OSError):  # that it has ended is seen where its news are read
            self._connection.send_bytes(json.dumps(message).encode())
