"""A launch in the kernel of a notebook: what becomes of it when that is interrupted, or killed."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager, start_new_kernel

from orchestrator.trackers import Store

TRAIN = """
import signal, subprocess, time
from pathlib import Path
import orchestrator

def train(lr: float, workdir: Path, epochs: int = 100):
    state = workdir / "epoch"
    first = int(state.read_text()) + 1 if state.exists() else 1
    for epoch in range(first, epochs + 1):
        time.sleep(0 if Path("go").exists() else 0.2)
        yield {"epoch": epoch, "loss": lr / epoch, "first": first}
        state.write_text(str(epoch))
"""
OWN = """
def own():
    numbers = signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGALRM
    return Path.cwd(), [signal.getsignal(number) for number in numbers], child.poll()

child = subprocess.Popen(["sleep", "600"], start_new_session=True)
before = own()
"""
LAUNCH = "sweep = orchestrator.launch(train, parameters={'lr': [1.0, 2.0]}, workers=2, metric={'name': 'loss'})"


class Kernel:
    """A kernel, and what its cells come to."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager, self.client = manager, client

    def begin(self, code: str) -> str:
        """Have a cell run; returns the name of its request."""
        return self.client.execute(code)

    def end(self, request: str) -> str:
        """Wait for its end; returns the error that it has raised, or ok."""
        while True:
            reply = self.client.get_shell_msg(timeout=60)
            if reply["parent_header"]["msg_id"] == request:
                return str(reply["content"].get("ename", "ok"))

    def run(self, code: str) -> str:
        return self.end(self.begin(code))

    def kill(self) -> None:
        os.kill(self.manager.provisioner.process.pid, signal.SIGKILL)
        self.manager.shutdown_kernel(now=True)


@pytest.fixture
def kernel(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Kernel]]:
    """Starts kernels in the current folder."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    begun: list[Kernel] = []

    def start() -> Kernel:
        manager, client = start_new_kernel(kernel_name="python3", cwd=str(folder))
        begun.append(Kernel(manager, client))
        return begun[-1]

    yield start
    for one in begun:
        one.client.stop_channels()
        one.manager.shutdown_kernel(now=True)


def wait_for_epoch(folder: Path, least: int) -> None:
    """Until each of the two trials has had an epoch."""

    def reached() -> bool:
        states = [path.read_text() for path in (folder / "mlruns/work/train").glob("*/epoch")]
        return len([state for state in states if state and int(state) >= least]) == 2

    while not reached():
        time.sleep(0.1)


@pytest.mark.slow
def test_a_launch_goes_on_after_its_kernel_was_killed_or_interrupted(
    store: str, folder: Path, kernel: Callable[[], Kernel]
) -> None:
    killed = kernel()
    killed.run(TRAIN)
    killed.begin(LAUNCH)
    wait_for_epoch(folder, 2)
    killed.kill()

    again = kernel()
    again.run(TRAIN + OWN)
    request = again.begin(LAUNCH)
    wait_for_epoch(folder, 6)
    again.manager.interrupt_kernel()
    assert again.end(request) == "KeyboardInterrupt"
    assert {record.outcome for record in Store(store).records("train")} == {"interrupted"}

    (folder / "go").touch()
    assert again.run(LAUNCH) == "ok"
    assert again.run("assert own() == before, own()") == "ok"
    assert again.run("assert list(sweep.trials['outcome']) == ['completed'] * 2, sweep.trials") == "ok"
    assert again.run("assert len(sweep.curves) == 200 and sweep.curves['first'].max() >= 7, sweep.curves") == "ok"
    assert again.run("child.kill()") == "ok"
    assert len(Store(store).records("train")) == 2
