"""The process that is connected with a Ray cluster, for its orchestrator: it starts actors, and says when one ends."""

import json
import math
import os
import queue
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from orchestrator.system.printable import in_a_line
from orchestrator.worker.spawn import end_with_parent

SECONDS_BETWEEN_LOOKS = 2.0  # at what the cluster has
FURTHER = 2  # actors that wait for a place: so an autoscaler knows that more is wanted
WORKER_EXIT = "Worker exit"  # what Ray says of an actor whose process has ended
NO_TOKEN = b"InvalidAuthToken"  # in what it logs
OVERRIDE = "RAY_OVERRIDE_JOB_RUNTIME_ENV"  # of a job that was submitted with a working_dir of its own


def serve(connection: Connection, options: Mapping[str, Any], log: Path) -> None:
    """Connect, and live as long as the orchestrator.

    Args:
        connection: to the orchestrator.
        options: `address` and `runtime_env` as Ray takes them; `cpus` and `gpus` of an actor; `current`, the folder in
            which agents begin, and `path`, that of this program, in what is carried.
        log: for what Ray prints.
    """
    end_with_parent()
    with log.open("ab") as file:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(file.fileno(), stream.fileno())
    os.environ[OVERRIDE] = "1"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    before = log.stat().st_size
    try:
        gateway = _Gateway(connection, options)
    except Exception as error:  # Ray has many kinds, which mean to a person what they say
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        _tell(connection, kind="refused", reason=_of_token(log, before) or in_a_line(first))
        return
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        gateway.run()
    gateway.ray.shutdown()


def _of_token(log: Path, before: int) -> str:
    """What to do where Ray has logged that its cluster asks for a token, which its exception may not say."""
    with log.open("rb") as file:
        file.seek(before)
        if NO_TOKEN not in file.read():
            return ""
    return "it asks for a token: set RAY_AUTH_MODE=token, and have its token in ~/.ray/auth_token or RAY_AUTH_TOKEN"


def _tell(connection: Connection, **message: Any) -> None:
    connection.send_bytes(json.dumps(message).encode())


class _Gateway:
    def __init__(self, connection: Connection, options: Mapping[str, Any]) -> None:
        import ray

        self.ray = ray
        self._connection = connection
        self._options = options
        self._ended: queue.SimpleQueue[tuple[str, BaseException | None, Any]] = queue.SimpleQueue()
        self._reader, self._writer = os.pipe()
        self._actors: dict[str, Any] = {}
        self._room, self._looked = -1, -math.inf
        ray.init(
            address=options["address"],
            runtime_env=options["runtime_env"],
            log_to_driver=False,
            configure_logging=False,
            ignore_reinit_error=False,
        )
        self._host = ray.remote(max_restarts=0, num_cpus=options["cpus"], num_gpus=options["gpus"])(_actor())
        nodes = [node for node in ray.nodes() if node["Alive"]]
        lacks = lack([node["Resources"] for node in nodes], options["cpus"], options["gpus"])
        if lacks and not _may_grow(nodes):
            raise ValueError(lacks)
        _tell(connection, kind="connected", host=ray.util.get_node_ip_address(), lacks=lacks)

    def run(self) -> None:
        while True:
            self._look()
            ready = wait([self._connection, self._reader], SECONDS_BETWEEN_LOOKS)
            if self._reader in ready:
                os.read(self._reader, 4096)
            while self._connection.poll():
                self._obey(json.loads(self._connection.recv_bytes()))
            while not self._ended.empty():
                self._tell_end(*self._ended.get())

    def _obey(self, message: Mapping[str, Any]) -> None:
        name = message["name"]
        if message["kind"] == "end":
            self._kill(name)
            return
        options = self._options
        actor = self._actors[name] = self._host.remote()
        served = actor.serve.remote(name, json.dumps(message["address"]), options["path"], options["current"])
        served.future().add_done_callback(partial(self._on_end, name))

    def _on_end(self, name: str, future: Any) -> None:
        """Called by a thread of Ray's."""
        error = future.exception()
        self._ended.put((name, error, None if error else future.result()))
        os.write(self._writer, b"!")

    def _tell_end(self, name: str, error: BaseException | None, said: str | None) -> None:
        self._kill(name)
        errors = self.ray.exceptions
        if error is None:
            _tell(self._connection, kind="gone", name=name, reason=said or "its agent has ended", is_of_itself=True)
        elif isinstance(error, errors.RuntimeEnvSetupError):
            reason = f"Ray could not set up its runtime_env: {_last_line(error)}"
            _tell(self._connection, kind="gone", name=name, reason=reason, is_of_itself=True, is_final=True)
        else:
            is_for_memory = isinstance(error, errors.OutOfMemoryError)
            reason = (
                "Ray has killed its actor for its memory" if is_for_memory else f"its machine is lost{_cause(error)}"
            )
            # on a machine that is still there
            ended = is_for_memory or isinstance(error, errors.RayTaskError) or WORKER_EXIT in str(error)
            _tell(
                self._connection,
                kind="gone",
                name=name,
                reason=reason,
                is_for_memory=is_for_memory,
                is_of_itself=ended,
            )

    def _kill(self, name: str) -> None:
        if actor := self._actors.pop(name, None):
            with suppress(Exception):  # it may have ended, in many ways
                self.ray.kill(actor)

    def _look(self) -> None:
        """Tell how many actors there may be, where that was not looked at just now."""
        if time.monotonic() < self._looked + SECONDS_BETWEEN_LOOKS:
            return
        self._looked = time.monotonic()
        _tell(self._connection, kind="alive")  # where the head is away, the next line waits for it
        cpus, gpus = self._options["cpus"], self._options["gpus"]
        room = sum(fitting(node["Resources"], cpus, gpus) for node in self.ray.nodes() if node["Alive"]) + FURTHER
        if room != self._room:
            self._room = room
            _tell(self._connection, kind="room", room=room)


def fitting(resources: Mapping[str, float], cpus: int, gpus: float) -> int:
    """How many actors fit into a machine."""
    number = int(resources.get("CPU", 0) // cpus)
    if gpus:
        has = resources.get("GPU", 0)
        number = min(number, int(has // gpus) if gpus >= 1 else int(has) * int(1 / gpus))
    return number


def lack(machines: Sequence[Mapping[str, float]], cpus: int, gpus: float) -> str:
    """What no machine of the cluster has that an actor takes; empty where one has it.

    Args:
        machines: the resources of each.
        cpus: cores that an actor takes.
        gpus: and GPUs, or a part of one.
    """
    if any(fitting(resources, cpus, gpus) for resources in machines):
        return ""
    for name, unit, takes in (("CPU", "cores", cpus), ("GPU", "GPUs", gpus)):
        most = max((resources.get(name, 0) for resources in machines), default=0)
        if most < takes:
            return f"a trial takes {takes:g} {unit}, and no machine of the cluster has more than {most:g}"
    return f"a trial takes {cpus} cores and {gpus:g} GPUs, and no machine of the cluster has both"


def _may_grow(nodes: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the cluster has an autoscaler, which may add machines: then their types were named by somebody.

    Without one, Ray's monitor reports all the same, and each node as of a type of its own: `node_` and its identity.
    """
    from ray.experimental.internal_kv import _internal_kv_get

    report: Mapping[str, Any] = {}
    with suppress(ValueError, AttributeError):
        report = json.loads(_internal_kv_get(b"__autoscaling_status") or b"{}").get("autoscaler_report") or {}
    types = (report.get("node_type_mapping") or {}).items()
    of_second = _internal_kv_get(b"__autoscaler_v2_enabled", namespace=b"__autoscaler") == b"1"  # it reports elsewhere
    is_named = any((node.get("Labels") or {}).get("ray.io/node-group") for node in nodes)
    return any(kind != f"node_{node}" for node, kind in types) or (of_second and is_named)


def _last_line(error: BaseException) -> str:
    return in_a_line(([*filter(None, map(str.strip, str(error).splitlines()))] or [type(error).__name__])[-1])


def _cause(error: BaseException) -> str:
    """What Ray says of the end of an actor, as far as that is short."""
    for line in str(error).splitlines():
        for known in ("The node", "the node", WORKER_EXIT, "The actor died because"):
            if known in line and len(line) < 300:
                return f": {in_a_line(line[line.index(known) :])}"
    return ""


def _actor() -> type:
    """The class of actors. It is sent as it is, so that it needs nothing of ours where it arrives."""

    class AgentHost:
        def serve(self, name: str, address: str, path: str, current: str) -> str:
            import ray

            code = os.getcwd()  # noqa: PTH109
            own = os.environ.get("PYTHONPATH")
            paths = [os.path.join(code, path), os.path.join(code, current), *([own] if own else [])]  # noqa: PTH118
            node = ray.get_runtime_context().get_node_id()
            # -P, and no variable: what trials start is to find modules as it does elsewhere
            command = [sys.executable, "-P", "-m", "orchestrator.executors.remote.agent", "--name", name]
            agent = subprocess.Popen(
                [*command, "--code", code, "--machine", node],
                stdin=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=paths[1],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            )
            assert agent.stdin  # noqa: S101
            assert agent.stderr  # noqa: S101
            with suppress(BrokenPipeError):
                agent.stdin.write(address.encode())
                agent.stdin.flush()
            said = agent.stderr.read().decode(errors="replace").strip().splitlines()
            status = agent.wait()
            return f"its agent ended with status {status}: {said[-1]}" if status and said else ""

    return AgentHost
