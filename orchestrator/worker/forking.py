"""What a process has to have, and to leave alone, so that a fork of it is as good as a new process."""

import ctypes
import gc
import importlib
import os
import random
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from orchestrator.system import machine

OPENMP, OPENBLAS = ("libgomp", "libomp", "libiomp5"), ("openblas",)  # in the names of their files
OMP_PAUSE_HARD = 2  # of omp.h
CUDA_DRIVER = "libcuda.so"
LEAST_CHANCE_SEED = 2**32  # what torch draws for itself is hardly ever below, what people choose is
NVML_CHECK = "PYTORCH_NVML_BASED_CUDA_CHECK"  # torch.cuda.is_available() then leaves the driver alone
LATE_IMPORTS = {"torch": "torch._dynamo"}  # by libraries themselves: with the first optimizer, which takes a second
THREADS = Path("/proc/self/task")
FORK_SAFE = ("jemalloc_bg_thd",)  # names of threads that their library sees to when the process is forked; of pyarrow


class OneProcess:
    """A context that only the process that has entered it leaves: a fork that comes to its end is ended there."""

    def __enter__(self) -> None:
        self._pid = os.getpid()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if os.getpid() == self._pid:
            return
        status = 0
        if isinstance(error, SystemExit):
            status = error.code if isinstance(error.code, int) else int(error.code is not None)
        elif error is not None and not isinstance(error, StopIteration):
            traceback.print_exception(error)
            status = 1
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(status)


class Imports:
    """A context in which a process imports what it is to be forked with; it takes note of the random numbers."""

    def __enter__(self) -> "Imports":
        self._before = random.getstate()
        self._checks_as_told = NVML_CHECK in os.environ
        os.environ.setdefault(NVML_CHECK, "1")
        return self

    def __exit__(self, *_: object) -> None:
        after = random.getstate()
        for library, late in LATE_IMPORTS.items():
            if library in sys.modules:
                with suppress(Exception):
                    importlib.import_module(late)
        if not self._checks_as_told:
            os.environ.pop(NVML_CHECK, None)
        self._seeded = None if after == self._before else after
        gc.collect()
        gc.freeze()  # else the first collection in each fork would copy all memory

    @property
    def obstacle(self) -> str | None:
        """What a fork would lack, as the end of a sentence; None where a fork is as good as a new process.

        It ends the threads of OpenMP first: a fork would wait for them for ever. The next region begins new ones.
        """
        if sys.platform != "linux":
            return "only on Linux does a copy of a process stand for a new one"
        if others := [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]:
            return f"importing it starts a thread ({', '.join(others)})"
        if _has_gpu():
            return "importing it begins to use the GPU"
        _end_openmp_threads()
        names = [(thread / "comm").read_text().strip() for thread in THREADS.iterdir()]
        unknown = len([name for name in names if name not in FORK_SAFE]) - 1 - _openblas_threads()
        if unknown > 0:
            return f"importing it starts threads of a library ({unknown})"
        return None

    def renew(self) -> None:
        """Called in a fork: what an import has not seeded draws other numbers than other forks, as in a new process."""
        if self._seeded is not None:
            random.setstate(self._seeded)  # Python has seeded it anew for this process
        generator = getattr(getattr(sys.modules.get("numpy.random.mtrand"), "_rand", None), "_bit_generator", None)
        if getattr(generator, "_seed_seq", None) is not None:  # None once somebody has called seed()
            sys.modules["numpy"].random.seed()
        if (torch := sys.modules.get("torch")) and torch.initial_seed() >= LEAST_CHANCE_SEED:
            torch.default_generator.seed()


def _has_gpu() -> bool:
    """Whether this process has begun to use the driver of CUDA, which does not work in a fork of it then."""
    for library in _loaded((CUDA_DRIVER,)):
        with suppress(AttributeError):
            return bool(library.cuDeviceGetCount(ctypes.byref(ctypes.c_int())) == 0)
    return False


def _end_openmp_threads() -> None:
    for library in _loaded(OPENMP):
        with suppress(AttributeError):  # of old: before OpenMP 5
            library.omp_pause_resource_all(OMP_PAUSE_HARD)


def _openblas_threads() -> int:
    """The most threads that copies of OpenBLAS may have started; it ends them itself when the process is forked."""
    return (machine.threads() - 1) * len(list(_loaded(OPENBLAS)))


def _loaded(names: tuple[str, ...]) -> Iterator[Any]:
    """The libraries of this process whose files have one of these names."""
    mapped = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "/" in line}
    for path in sorted(mapped):
        if any(name in Path(path).name for name in names):
            with suppress(OSError):
                yield ctypes.CDLL(path, mode=os.RTLD_NOLOAD | os.RTLD_NOW)
