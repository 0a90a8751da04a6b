"""What this machine has, and how a sweep's trials share it."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, ConfigDict, Field

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
WAIT_VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
GPU_VARIABLE = "CUDA_VISIBLE_DEVICES"
ASKED = os.environ.get(THREAD_VARIABLES[0], "")  # by whoever launches; trials that run inline change it
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # of malloc.h
LARGEST_MMAP_THRESHOLD = 32 * 2**20  # that glibc takes
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")
MEMORY_OF_A_WORKER = 5 * 2**28  # bytes: of a worker that trains the report's model in batches of 1,024
MEMORY_KEPT = 2**30
MEMORY_TAKEN_AT_ONCE = 2**26


def whole_or_shared(gpus: float) -> float:
    """A number of GPUs that a trial can take; validates it for pydantic."""
    if gpus > 1 and not gpus.is_integer():
        raise ValueError("should be a whole number of GPUs, or a part of a GPU, between 0 and 1")
    return gpus


@dataclass(frozen=True)
class Resources:
    """What a trial takes of a machine; what is left out is divided among the workers."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)  # where it is read

    cpus: Annotated[
        int | None, Field(ge=1, description="Cores, which are its threads. Default: divided among the workers.")
    ] = None
    gpus: Annotated[
        Annotated[float, Field(ge=0), AfterValidator(whole_or_shared)] | None,
        Field(description="GPUs of its own; 0.5 lets two trials share a GPU, 0 hides them all. Default: a GPU each."),
    ] = None


ANY = Resources()


@dataclass(frozen=True)
class Shares:
    """How many workers, how many threads each, and the GPUs that they take in turn, named as CUDA takes them."""

    workers: int
    threads: int
    gpus: tuple[str, ...]
    threads_given: bool = field(default=False, compare=False)  # whether the file or the environment says how many


def share(trials: int | None, workers: int | None, resources: Resources = ANY) -> Shares:
    """Divide the machine among the workers of a sweep.

    By default one worker for each GPU, or for each core, and no more than trials, nor than memory holds. Where a trial
    takes certain resources, there are no more than fit, whatever was asked for, but at least one. The number of
    trials is that of the whole sweep, not of what is left of it: results depend on the number of threads to the bit.
    It is None where the sweep runs until it is stopped. Where the environment has OMP_NUM_THREADS, each worker has as
    many.
    """
    cores, gpus = _cores(), _gpus()
    by_gpus = len(gpus) if resources.gpus is None else 0  # else they bound the workers as what a trial takes
    most = min(by_gpus or cores, _memory() // MEMORY_OF_A_WORKER)
    wanted = workers or (most if trials is None else min(trials, most))
    chosen = max(1, min(wanted, _fitting(resources, cores, len(gpus))))
    asked = int(ASKED) if ASKED.isdecimal() else 0
    given = asked or resources.cpus
    return Shares(chosen, given or max(1, cores // chosen), _of_a_worker(gpus, resources.gpus), bool(given))


def most_workers(resources: Resources) -> int | None:
    """How many workers fit by what a trial takes; None where that bounds none of them."""
    fitting = _fitting(resources, _cores(), len(_gpus()) if resources.gpus else 0)
    return None if fitting == sys.maxsize else max(1, fitting)


def lacking(resources: Resources) -> dict[str, str]:
    """What a single trial takes beyond what this machine has: a sentence for each kind of resource."""
    lacks = {}
    if resources.cpus is not None and resources.cpus > (cores := _cores()):
        lacks["cpus"] = f"a trial takes {resources.cpus} cores, and this machine has {cores}"
    if resources.gpus and resources.gpus > (gpus := len(_gpus())):
        lacks["gpus"] = f"a trial takes {resources.gpus:g} GPUs, and this machine has {gpus or 'none'}"
    return lacks


@contextmanager
def seeing(gpus: str) -> Iterator[None]:
    """A context in which libraries that look for GPUs first find these alone: their names with commas between them."""
    before = os.environ.get(GPU_VARIABLE)
    os.environ[GPU_VARIABLE] = gpus
    try:
        yield
    finally:
        os.environ.pop(GPU_VARIABLE)
        os.environ |= {} if before is None else {GPU_VARIABLE: before}


def keep_freed_memory() -> bool:
    """Have glibc keep what this process frees, for its next step, instead of giving it back and asking anew.

    A training step frees and takes the same hundreds of megabytes each time; having the kernel clear them takes a tenth
    of the step. Other C libraries have their own ways, and are left alone: then it returns False.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = {
        M_MMAP_THRESHOLD: LARGEST_MMAP_THRESHOLD,
        M_TRIM_THRESHOLD: MEMORY_KEPT,
        M_TOP_PAD: MEMORY_TAKEN_AT_ONCE,
    }
    return all(mallopt(name, value) for name, value in settings.items())


def limit_threads(threads: int) -> None:
    """Give numerical libraries this many threads; before torch is imported, or after."""
    for name in THREAD_VARIABLES:
        os.environ[name] = str(threads)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(threads)


def wait_passively() -> None:
    """Have threads of OpenMP that wait for each other give way, unless the user has said how they wait.

    Where they spin, two that share cores with other work wait for each other for most of the time.
    """
    if not any(name in os.environ for name in WAIT_VARIABLES):
        os.environ[WAIT_VARIABLES[0]] = "passive"


def threads() -> int:
    """How many threads numerical libraries have been given."""
    return int(os.environ.get(THREAD_VARIABLES[0]) or os.cpu_count() or 1)


def _fitting(resources: Resources, cores: int, gpus: int) -> int:
    """How many trials fit into the machine by what each of them takes."""
    fitting = sys.maxsize
    if resources.cpus:
        fitting = cores // resources.cpus
    if resources.gpus:
        fitting = min(fitting, gpus // int(resources.gpus) if resources.gpus >= 1 else gpus * int(1 / resources.gpus))
    return fitting


def _of_a_worker(gpus: tuple[str, ...], taken: float | None) -> tuple[str, ...]:
    """The GPUs by worker: each in turn, or in groups of as many as a trial takes."""
    if taken == 0:
        return ("",)
    size = max(1, int(taken or 1))
    return tuple(",".join(gpus[i : i + size]) for i in range(0, len(gpus) - size + 1, size))


def _cores() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, _quota()))


def _quota() -> int:
    """Cores that a container may use; its file has microseconds of processor time, and the period for them."""
    try:
        quota, period = CPU_QUOTA.read_text().split()
        return int(quota) // int(period)
    except (OSError, ValueError):  # no container, or one without a limit: "max 100000"
        return sys.maxsize


def _memory() -> int:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):  # a system that does not say
        return sys.maxsize
    try:
        return min(total, int(MEMORY_LIMIT.read_text()))
    except (OSError, ValueError):  # no container, or one without a limit: "max"
        return total


def _gpus() -> tuple[str, ...]:
    visible = os.environ.get(GPU_VARIABLE)
    if visible is not None:
        return tuple(name.strip() for name in visible.split(",") if name.strip() not in ("", "-1"))
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(listed.stdout.split())
