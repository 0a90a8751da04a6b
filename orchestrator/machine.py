"""What this machine has, and how a sweep's trials share it."""

import ctypes
import os
import subprocess
from contextlib import suppress
from dataclasses import dataclass

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # of malloc.h
LARGEST_MMAP_THRESHOLD = 32 * 2**20  # that glibc takes
MEMORY_KEPT = 2**30
MEMORY_TAKEN_AT_ONCE = 2**26


@dataclass(frozen=True)
class Shares:
    """How many workers, how many threads each, and the GPUs that they take in turn."""

    workers: int
    threads: int
    gpus: tuple[str, ...]


def share(trials: int, workers: int | None) -> Shares:
    """Divide the machine among the workers of a sweep.

    By default one worker for each GPU, or for each core, and no more than trials. The number of trials is that of the
    whole sweep, not of what is left of it: results depend on the number of threads to the bit.
    """
    cores, gpus = _cores(), _gpus()
    chosen = workers or max(1, min(trials, len(gpus) or cores))
    return Shares(chosen, max(1, cores // chosen), gpus)


def keep_freed_memory() -> None:
    """Have glibc keep what this process frees, for its next step, instead of giving it back and asking anew.

    A training step frees and takes the same hundreds of megabytes each time; having the kernel clear them takes a tenth
    of the step. Other C libraries have their own ways, and are left alone.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)
        mallopt(M_TRIM_THRESHOLD, MEMORY_KEPT)
        mallopt(M_TOP_PAD, MEMORY_TAKEN_AT_ONCE)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
