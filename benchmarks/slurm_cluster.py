"""A real Slurm cluster of one node on this machine, for tests and torture: munge, slurmctld and slurmd of its own.

    python benchmarks/slurm_cluster.py FOLDER [--cpus 8]

It runs until Ctrl-C and prints the line that has commands of Slurm talk to it. It needs root, `slurmctld`, `slurmd`,
`slurm-client` and `munge`. The node says that it has so many CPUs and two GPUs, whatever the machine has.
"""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel")
PACKAGES = "slurmctld slurmd slurm-client munge"
PLACES = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
SECONDS_TO_START, SECONDS_TO_STOP = 60.0, 15.0
# Of the partitions: `high` takes nodes from `low`, whose jobs are put back into the queue; `short` has a limit.
TAKES = "RealMemory=64000 Gres=gpu:2"
CONFIGURATION = """
ClusterName=trial
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=bf_interval=1,sched_interval=2,requeue_delay=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
SlurmdTimeout=20
KillWait=5
MinJobAge=30
EnforcePartLimits=ALL
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} Sockets=1 CoresPerSocket={cpus} ThreadsPerCore=1 {takes}
PartitionName=main Nodes=ALL Default=YES PriorityTier=5 PreemptMode=OFF
PartitionName=low Nodes=ALL PriorityTier=1 PreemptMode=REQUEUE GraceTime=20
PartitionName=high Nodes=ALL PriorityTier=10 PreemptMode=OFF
PartitionName=short Nodes=ALL PriorityTier=5 MaxTime=1 PreemptMode=OFF
"""


def lacking() -> str | None:
    """Why there can be no cluster here, or None."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=PLACES) is None]
    if missing:
        return f"{missing[0]} is not installed (as root: apt-get install --no-install-recommends {PACKAGES})"
    return None if os.geteuid() == 0 else "it takes root to start slurmd"


@dataclass
class Cluster:
    """The daemons of a cluster, in a folder of its own."""

    folder: Path
    cpus: int = 8
    environment: dict[str, str] = field(default_factory=dict)  # that commands of Slurm need

    def start(self) -> None:
        """Start all of it, and wait until its node takes jobs."""
        for name in ("state", "spool"):
            (self.folder / name).mkdir(parents=True)
        for folder in (self.folder, *self.folder.parents):  # munge wants to be found by everybody
            if folder.owner() == "root" and folder.is_relative_to("/tmp") and folder != Path("/tmp"):  # noqa: S108
                folder.chmod(folder.stat().st_mode | 0o711)
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        host = socket.gethostname().partition(".")[0]
        ports = _free(2)
        configuration = self.folder / "slurm.conf"
        configuration.write_text(
            CONFIGURATION.format(host=host, ports=ports, folder=self.folder, cpus=self.cpus, takes=TAKES).lstrip()
        )
        (self.folder / "gres.conf").write_text("Name=gpu File=/dev/null\nName=gpu File=/dev/zero\n")
        self.environment = {"SLURM_CONF": str(configuration)}
        named = {"key-file": key, "socket": "munge.socket", "pid-file": "munged.pid", "seed-file": "munge.seed"}
        options = [f"--{option}={self.folder / name}" for option, name in {**named, "log-file": "munged.log"}.items()]
        self._run("munged", "--force", *options)
        self.start_controller()
        self.start_node()
        deadline = time.monotonic() + SECONDS_TO_START
        while self.run("sinfo", "--noheader", "--partition=main", "--format=%T").strip() not in ("idle", "mixed"):
            if time.monotonic() > deadline:
                raise TimeoutError(f"no node of the cluster gets ready (see {self.folder}/slurmctld.log)")
            time.sleep(0.2)

    def start_controller(self) -> None:
        self._run("slurmctld")

    def start_node(self) -> None:
        self._run("slurmd")

    def stop_controller(self, sent: int = signal.SIGTERM) -> None:
        self._end("slurmctld", sent)

    def stop_node(self, sent: int = signal.SIGTERM) -> None:
        """End slurmd; what its jobs run goes on."""
        self._end("slurmd", sent)

    def stop(self) -> None:
        """Cancel all jobs, and end all of it."""
        with suppress(subprocess.SubprocessError):
            self.run("scancel", "--user=root")
            deadline = time.monotonic() + SECONDS_TO_STOP
            while self.run("squeue", "--noheader").strip() and time.monotonic() < deadline:
                time.sleep(0.2)
        for name in ("slurmd", "slurmctld", "munged"):
            self._end(name, signal.SIGTERM)

    def run(self, *command: str) -> str:
        """What a command of Slurm says; empty where the controller does not answer."""
        done = subprocess.run(
            command, env={**os.environ, **self.environment}, capture_output=True, text=True, timeout=60, check=False
        )
        return done.stdout

    def _run(self, name: str, *arguments: str) -> None:
        program = shutil.which(name, path=PLACES) or name
        subprocess.run([program, *arguments], env={**os.environ, **self.environment}, check=True, timeout=30)

    def _end(self, name: str, sent: int) -> None:
        with suppress(OSError, ValueError):
            pid = int((self.folder / f"{name}.pid").read_text())
            os.kill(pid, sent)
            deadline = time.monotonic() + SECONDS_TO_STOP
            while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
                time.sleep(0.05)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            (self.folder / f"{name}.pid").unlink(missing_ok=True)


@contextmanager
def started(folder: Path, cpus: int = 8) -> Iterator[Cluster]:
    """A cluster, while the block runs."""
    cluster = Cluster(folder, cpus)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def _free(number: int) -> list[int]:
    """Ports at which nothing listens."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def main() -> None:
    parser = argparse.ArgumentParser(description="A Slurm cluster of one node on this machine.")
    parser.add_argument("folder", type=Path, help="of its own, which does not exist")
    parser.add_argument("--cpus", type=int, default=8)
    asked = parser.parse_args()
    if lack := lacking():
        sys.exit(lack)
    with started(asked.folder.absolute(), asked.cpus), suppress(KeyboardInterrupt):
        print(f"export SLURM_CONF={asked.folder.absolute()}/slurm.conf", flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
