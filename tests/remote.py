"""Agents of this machine in place of those of a cluster: each is a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

from orchestrator.executors.contract import Setup
from orchestrator.executors.remote.engine import Gone
from orchestrator.executors.remote.executor import RemoteExecutor
from orchestrator.executors.remote.greeting import Address
from orchestrator.system.machine import Shares


class LocalEngine:
    """Starts agents here, as an engine does on the machines that it has.

    Args:
        temporary: where agents have their own folders.
        room: how many may be there.
    """

    host = "127.0.0.1"
    remark = ""
    code: Mapping[str, str]

    def __init__(self, temporary: Path, room: int = 2, machines: int = 2) -> None:
        self.code = {}
        self.room = room
        self.machines = machines
        self.agents: dict[str, subprocess.Popen[bytes]] = {}
        self.begun: list[str] = []
        self._temporary = temporary
        self._ends = [*os.pipe()]
        self.pending: list[Gone] = []

    def fileno(self) -> int:
        return self._ends[0]

    def begin(self, name: str, address: Address) -> None:
        machine = f"machine {len(self.begun) % self.machines}"
        command = [sys.executable, "-m", "orchestrator.executors.remote.agent", "--name", name, "--machine", machine]
        self._temporary.mkdir(exist_ok=True)
        environment = {**os.environ, "TMPDIR": str(self._temporary), "PYTHONPATH": os.pathsep.join(sys.path)}
        process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)
        assert process.stdin
        process.stdin.write(json.dumps(asdict(address)).encode())
        process.stdin.flush()
        self.agents[name] = process
        self.begun.append(name)

    def end(self, name: str) -> None:
        if name in self.agents:
            self.lose(name)
            self._close(name)

    def news(self) -> Iterable[Gone]:
        news, self.pending = self.pending, []
        for name in [name for name, process in self.agents.items() if process.poll() is not None]:
            news.append(Gone(name, f"its machine is gone, with status {self.agents[name].returncode}"))
            self._close(name)
        return news

    def lose(self, name: str) -> None:
        """A machine is lost, with all that runs there."""
        self.agents[name].kill()
        self.agents[name].wait()

    def __enter__(self) -> "LocalEngine":
        return self

    def __exit__(self, *error: object) -> None:
        for name in [*self.agents]:
            self.end(name)
        if self._ends:
            for end in (self._ends.pop(), self._ends.pop()):
                os.close(end)

    def _close(self, name: str) -> None:
        process = self.agents.pop(name)
        if process.stdin:
            process.stdin.close()


def executor(setup: Setup, temporary: Path, *, apart: bool, engine: LocalEngine | None = None) -> RemoteExecutor:
    """One that runs its trials by agents.

    Args:
        setup: of it.
        temporary: where agents have their own folders.
        apart: whether agents take the folders of trials for those of another machine.
        engine: that starts them.
    """
    workers = setup.workers or 1
    threads = setup.resources.cpus or 1
    gpus = setup.resources.gpus
    own = () if gpus is None else (",".join(os.environ["CUDA_VISIBLE_DEVICES"].split(",")[: int(gpus)]),)
    made = RemoteExecutor(setup, Shares(workers, threads, own), engine or LocalEngine(temporary, workers))
    if apart:
        made._marked = lambda workdir: (workdir / "no marker", "")  # type: ignore[method-assign]
    return made
