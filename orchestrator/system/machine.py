"""What this machine has, and how a sweep's trials share it."""

import ctypes
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
ASKED = os.environ.get(THREAD_VARIABLES[0], "")  # by whoever launches; trials that run inline change it
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # of malloc.h
LARGEST_MMAP_THRESHOLD = 32 * 2**20  # that glibc takes
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")
MEMORY_OF_A_WORKER = 5 * 2**28  # bytes: of a worker that trains the report's model in batches of 1,024
MEMORY_KEPT = 2**30
MEMORY_TAKEN_AT_ONCE = 2**26


@dataclass(frozen=True)
class Shares:
    """How many workers, how many threads each, and the GPUs that they take in turn."""

    workers: int
    threads: int
    gpus: tuple[str, ...]


def share(trials: int | None, workers: int | None) -> Shares:
    """Divide the machine among the workers of a sweep.

    By default one worker for each GPU, or for each core, and no more than trials, nor than memory holds. The number of
    trials is that of the whole sweep, not of what is left of it: results depend on the number of threads to the bit.
    It is None where the sweep runs until it is stopped. Where the environment has OMP_NUM_THREADS, each worker has as
    many.
    """
    cores, gpus = _cores(), _gpus()
    most = min(len(gpus) or cores, _memory() // MEMORY_OF_A_WORKER)
    chosen = workers or max(1, most if trials is None else min(trials, most))
    asked = int(ASKED) if ASKED.isdecimal() else 0
    return Shares(chosen, asked or max(1, cores // chosen), gpus)


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


def threads() -> int:
    """How many threads numerical libraries have been given."""
    return int(os.environ.get(THREAD_VARIABLES[0]) or os.cpu_count() or 1)


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
    import psutil

    total = int(psutil.virtual_memory().total)
    try:
        return min(total, int(MEMORY_LIMIT.read_text()))
    except (OSError, ValueError):  # no container, or one without a limit: "max"
        return total


def _gpus() -> tuple[str, ...]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return tuple(name.strip() for name in visible.split(",") if name.strip() not in ("", "-1"))
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(listed.stdout.split())
