"""What this machine has, and how a sweep's trials share it."""

import os
import subprocess
from dataclasses import dataclass


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
