"""What Slurm's own commands are asked: to take jobs, how they are, to end them."""

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import InputError

SECONDS_OF_A_COMMAND = 60.0
SECONDS_TO_REGISTER, SECONDS_BETWEEN_TRIES = 20.0, 2.0  # of a node, with a controller
UNAVAILABLE = "node configuration is not available"  # in what Slurm says also where no node has registered yet
ENDING = "COMPLETING"
LIVING = ("RUNNING", ENDING, "STOPPED", "SUSPENDED", "SIGNALING", "STAGE_OUT")  # on a node
WAITING = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT")
# reasons for which a job waits that no waiting ends
HOPELESS = re.compile(
    r"^(BadConstraints|PartitionConfig|PartitionNodeLimit|PartitionTimeLimit|InvalidAccount|InvalidQOS|AccountNotAllowed"
    r"|QOSNotAllowed|.*Max\w+PerJob\w*)$"
)
PREFIX = re.compile(r"^(sbatch|squeue|scancel|allocation failure)(: error)?: *|^slurm_load_jobs error: *")


@dataclass(frozen=True)
class Job:
    """A job as `squeue` has it."""

    identity: str  # as in 12_3
    state: str
    reason: str
    command: str = ""  # that it runs

    @property
    def is_living(self) -> bool:
        """Whether it may have processes."""
        return self.state in LIVING

    @property
    def is_waiting(self) -> bool:
        """Whether it has yet to begin."""
        return self.state in WAITING


class Slurm:
    """The commands, for the jobs of one sweep.

    Args:
        name: that all of its jobs have, and no others.
        options: of `sbatch`, which say what a job takes.
        folder: for the logs of jobs.
    """

    def __init__(self, name: str, options: Sequence[str], folder: Path) -> None:
        self.name = name
        self._options = options
        self._folder = folder

    def submit(self, script: Path, number: int) -> str:
        """Have so many jobs in the queue, which run a script; the number of their array.

        Raises:
            InputError: Slurm does not take them.
        """
        place = f"{self._folder}/job-%A_%a-%N.log"
        array = f"--array=1-{number}"
        own = ("--parsable", "--requeue", "--open-mode=append", f"--job-name={self.name}", f"--output={place}", array)
        return _asked("sbatch", *own, *self._options, str(script)).partition(";")[0].strip()

    def look(self) -> "Look":
        """Ask for all jobs of the sweep that wait or run, with one call, for whose answer nobody waits."""
        return Look("squeue", "--me", "--noheader", "--array", f"--name={self.name}", "--format=%i|%T|%r|%o")

    def cancel(self, identities: Iterable[str]) -> None:
        """End these jobs; what Slurm says to it is seen in `jobs`."""
        if known := [*identities]:
            _try("scancel", *known)

    def cancel_all(self) -> None:
        """End all jobs of the sweep."""
        _try("scancel", "--me", f"--name={self.name}")


class Query:
    """A command that is under way. The end of its process is a signal, which wakes who waits for those."""

    def __init__(self, *command: str) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  # read once the process has ended
        self._until = time.monotonic() + SECONDS_OF_A_COMMAND
        with suppress(OSError):
            self._process: subprocess.Popen[bytes] | None = None
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=self._said, stderr=subprocess.DEVNULL, start_new_session=True
            )

    @property
    def is_over(self) -> bool:
        """Whether the answer is there, or none will come."""
        if self._process is not None and time.monotonic() > self._until:
            self._process.kill()
        return self._process is None or self._process.poll() is not None

    def answer(self) -> str | None:
        """What it says, once it has ended; None where Slurm does not answer."""
        if self._process is None:
            return None
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, self._until - time.monotonic()))
        if not self.is_over:
            self._process.wait()
        self._said.seek(0)
        said = self._said.read().decode(errors="replace")
        self._said.close()
        return said if self._process.returncode == 0 else None


class Look(Query):
    """A look at the queue that is under way."""

    def wait(self) -> Mapping[str, Job] | None:
        """The jobs, once they are known; None where Slurm does not answer."""
        said = self.answer()
        if said is None:
            return None
        rows = [line.split("|", 3) for line in said.splitlines()]
        return {row[0].strip(): Job(*(cell.strip() for cell in row)) for row in rows if len(row) == 4}


def check(options: Sequence[str], number: int) -> None:
    """See whether Slurm takes so many jobs with these options of sbatch.

    Nodes whose daemon, or whose controller, has just been started are not known to have anything for some seconds.

    Raises:
        InputError: it does not, for the reason that it gives; or it is not there.
    """
    until = time.monotonic() + SECONDS_TO_REGISTER
    while True:
        try:
            _asked("sbatch", "--test-only", f"--array=1-{number}", *options, "--wrap", "true")
        except InputError as error:
            if UNAVAILABLE not in str(error) or time.monotonic() > until:
                raise
            time.sleep(SECONDS_BETWEEN_TRIES)
        else:
            return


def _asked(*command: str) -> str:
    """What a command answers.

    Raises:
        InputError: it refuses, or is not there.
    """
    try:
        done = _run(*command)
    except FileNotFoundError:
        raise InputError(f"there is no command {command[0]} here: launch where Slurm's commands are") from None
    except (OSError, subprocess.SubprocessError) as error:
        raise InputError(f"Slurm does not answer: {error}") from error
    if done.returncode != 0:
        raise InputError(f"Slurm does not take the jobs: {why(done.stderr) or f'exit status {done.returncode}'}")
    return done.stdout


def why(said: str) -> str:
    """What a command of Slurm's gives as reasons, in a line."""
    lines = [PREFIX.sub("", line).strip() for line in said.splitlines() if line.strip()]
    reasons = [re.sub(r"^Batch job submission failed: *", "", line) for line in lines]
    return "; ".join(dict.fromkeys(reasons))


def _try(*command: str) -> None:
    with suppress(OSError, subprocess.SubprocessError):
        _run(*command)


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    # a launch may itself run in a job, whose variables are not for the jobs that it submits
    is_in_job = "SLURM_JOB_ID" in os.environ
    environment = {name: value for name, value in os.environ.items() if not (is_in_job and _is_of_a_job(name))}
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_OF_A_COMMAND,
        env=environment,
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for the launch
    )


def _is_of_a_job(name: str) -> bool:
    return name.startswith("SLURM_") and name not in ("SLURM_CONF", "SLURM_CLUSTERS")
