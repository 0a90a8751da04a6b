"""Ray clusters for tests and torture, by `ray start`: on this machine alone, or on namespaces of it as hosts."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

RAY = str(Path(sys.executable).parent / "ray")
STORE = "--object-store-memory=80000000"
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "PYTHONUNBUFFERED": "1",
    "RAY_worker_niceness": "0",  # what runs beside a test must not starve its actors
}
os.environ["RAY_AUTH_MODE"] = "disabled"  # also of launches: a token in the home folder would have clusters ask for it


def lacking() -> str | None:
    """Why there can be no hosts here, or None."""
    if importlib.util.find_spec("ray") is None:
        return "Ray is not installed; `make clusters` installs it into an environment of its own"
    return None if os.geteuid() == 0 and shutil.which("ip") else "hosts of their own take root, and the command ip"


class Head:
    """The head of a cluster on this machine, at an address of the loopback network."""

    def __init__(self, address: str) -> None:
        self.address = address

    @classmethod
    @contextmanager
    def of_this_machine(cls, cpus: int = 4, gpus: int = 0) -> Iterator["Head"]:
        """Start one; it ends with the context."""
        place = tempfile.mkdtemp(prefix="ray-")  # short: paths of sockets have a limit
        command = [RAY, "start", "--head", "--block", "--port=26379", "--node-ip-address=127.0.0.1", STORE]
        command += [f"--num-cpus={cpus}", f"--num-gpus={gpus}", "--include-dashboard=false", f"--temp-dir={place}"]
        process = subprocess.Popen(
            command, env={**os.environ, **QUIET}, stdout=subprocess.DEVNULL, start_new_session=True
        )
        try:
            await_ray("127.0.0.1:26379")
            yield cls("127.0.0.1:26379")
        finally:
            end(process)
            shutil.rmtree(place, ignore_errors=True)


def await_ray(address: str, prefix: tuple[str, ...] = ()) -> None:
    """Wait until a cluster answers."""
    deadline = time.monotonic() + 120
    command = [*prefix, RAY, "health-check", "--address", address]
    while subprocess.run(command, capture_output=True, check=False).returncode:
        if time.monotonic() > deadline:
            raise TimeoutError(f"there is no Ray cluster at {address}")
        time.sleep(0.5)


def end(process: "subprocess.Popen[bytes]") -> None:
    """End a process and what it has started."""
    with suppress(psutil.Error):
        for child in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.Error):
                child.kill()
    process.kill()
    process.wait()


class Hosts:
    """Hosts with addresses and temporary files of their own: network namespaces, joined by a bridge; needs root.

    This process is on the bridge, and on none of the hosts.

    Args:
        number: of hosts.
        are_sharing: whether all of them see /var/tmp of this machine, and not the first alone.
    """

    network = "10.77.0"

    def __init__(self, number: int, *, are_sharing: bool = False) -> None:
        self._contexts = ExitStack()
        self.names = [f"ray{i}" for i in range(number)]
        self._seeing = self.names if are_sharing else self.names[:1]
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def address(self, name: str) -> str:
        return f"{self.network}.{10 + self.names.index(name)}"

    def __enter__(self) -> "Hosts":
        self._clear()
        run("ip", "link", "add", "ray-bridge", "type", "bridge")
        run("ip", "addr", "add", f"{self.network}.1/24", "dev", "ray-bridge")
        run("ip", "link", "set", "ray-bridge", "up")
        for name in self.names:
            run("ip", "netns", "add", name)
            run("ip", "link", "add", f"v{name}", "type", "veth", "peer", "name", "eth0", "netns", name)
            run("ip", "link", "set", f"v{name}", "master", "ray-bridge", "up")
            run(*self.on(name), "ip", "addr", "add", f"{self.address(name)}/24", "dev", "eth0")
            run(*self.on(name), "ip", "link", "set", "eth0", "up")
            run(*self.on(name), "ip", "link", "set", "lo", "up")
        return self

    def __exit__(self, *error: object) -> None:
        for name in [*self.running]:
            self.kill(name)
        self._clear()

    def _clear(self) -> None:
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
            subprocess.run(["ip", "link", "del", f"v{name}"], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", "ray-bridge"], capture_output=True, check=False)

    def on(self, name: str) -> tuple[str, ...]:
        """What comes before a command that is to run on a host."""
        return ("ip", "netns", "exec", name)

    def apart(self, name: str, command: str) -> list[str]:
        """A shell's command on a host, with temporary files of its own; some see /var/tmp of this machine."""
        folders = ["/tmp", "/dev/shm", *(["/var/tmp"] if name not in self._seeing else [])]  # noqa: S108
        mounts = " && ".join(f"mount -t tmpfs tmpfs {folder}" for folder in folders)
        return [*self.on(name), "unshare", "--mount", "--propagation", "private", "sh", "-c", f"{mounts} && {command}"]

    def start(self, name: str, cpus: int = 1, head: str | None = None, more: str = "", **environment: str) -> None:
        """Start Ray on a host: as the head, or with the one of another host.

        Args:
            name: of the host.
            cpus: that it has.
            head: the host that has the head.
            more: options of `ray start`.
            **environment: for it.
        """
        role = (
            "--head --port=6379 --include-dashboard=false" if head is None else f"--address={self.address(head)}:6379"
        )
        own = f"--node-ip-address={self.address(name)} --num-cpus={cpus} --num-gpus=0 {STORE} --disable-usage-stats"
        line = f"{RAY} start {role} {own} {more} --block >/dev/null 2>&1"
        self.running[name] = subprocess.Popen(
            self.apart(name, line), env={**os.environ, **QUIET, **environment}, start_new_session=True
        )

    def inside(self, name: str) -> list[str]:
        """What comes before a command that is to run on a host, in its mounts, where Ray's own files are."""
        return ["nsenter", "--target", str(self.running[name].pid), "--net", "--mount"]

    def processes(self, name: str) -> list[psutil.Process]:
        """What runs on a host."""
        listed = run("ip", "netns", "pids", name).split()
        return [psutil.Process(int(pid)) for pid in listed if psutil.pid_exists(int(pid))]

    def has_ended(self, name: str) -> bool:
        """Whether the Ray of a host has ended by itself."""
        return name in self.running and self.running[name].poll() is not None

    def kill(self, name: str) -> None:
        """End a host: all that runs there, at once."""
        for process in self.processes(name):
            with suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)
        if process_ := self.running.pop(name, None):
            process_.wait()

    def cut(self, name: str, *, off: bool = True) -> None:
        """Cut a host off from all others, or join it with them again."""
        run("ip", "link", "set", f"v{name}", "down" if off else "up")


def run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
