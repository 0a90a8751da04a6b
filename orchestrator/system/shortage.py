"""Whether an error, or what a program printed at its end, says that memory has run out, and by how much."""

import errno
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

from orchestrator.system.memory import available

TYPES = ("OutOfMemoryError", "ResourceExhaustedError")  # of torch, JAX and TensorFlow, which nothing here imports
MOST_CAUSES = 10
SAID = r"out of memory|can't allocate memory|_STATUS_ALLOC_FAILED|std::bad_alloc"
_SAID = re.compile(SAID, re.IGNORECASE)
_DEVICE = re.compile(rf"\b({'|'.join(TYPES)}|CUDA|HIP|XPU|MPS|GPU)\b|_STATUS_ALLOC_FAILED|RESOURCE_EXHAUSTED")
_SIZE = r"([\d.]+) ?([KMGTP]?i?B|bytes)"
_TRIED = re.compile(f"(?:tried to allocate|unable to allocate) {_SIZE}", re.IGNORECASE)
_CAPACITY = re.compile(f"total capacity of {_SIZE}|{_SIZE} total capacity")
_FREE = re.compile(f"{_SIZE} (?:is )?free")
_LINE = re.compile(  # the last line of a traceback, which some launchers mark with a rank
    rf"^(?:\[rank\d+\]:\s*)?(?:(?:[\w.]+\.)?(?:_?Array)?(?:MemoryError|{'|'.join(TYPES)})\b"
    rf"|(?:[\w.]+\.)?\w*Error: .*(?:{SAID})|.*std::bad_alloc)",
)
TRACEBACK = "Traceback (most recent call last):"
LAST_LINES = 20  # to look at, where there is no traceback
UNITS = {"b": 1, "bytes": 1} | {f"{unit}ib": 1024**power for power, unit in enumerate("kmgtp", 1)}
UNITS |= {f"{unit}b": 1000**power for power, unit in enumerate("kmgtp", 1)}


@dataclass(frozen=True)
class Shortage:
    """That memory has run out; `margin` is log10(asked for / had), above 0, or None where nobody knows.

    `is_of_device` says that it is the memory of a GPU or the like, and not that of the machine.
    """

    margin: float | None = None
    is_of_device: bool = False


def of_error(error: BaseException) -> Shortage | None:
    """The shortage that an exception tells of, itself or as the cause that it names."""
    for one in _causes(error):
        says_so = isinstance(one, RuntimeError) and _SAID.search(str(one))
        is_named_so = any(kind.__name__ in TYPES for kind in type(one).__mro__)
        if isinstance(one, MemoryError) or is_named_so or says_so or getattr(one, "errno", None) == errno.ENOMEM:
            is_of_device = is_named_so or _DEVICE.search(str(one)) is not None
            return Shortage(_margin(str(one), taken=psutil.Process().memory_info().rss), is_of_device)
    return None


def of_text(text: str) -> Shortage | None:
    """The shortage that a program has printed as its last error.

    Args:
        text: the end of what it printed.
    """
    _, mark, last = text.rpartition(TRACEBACK)
    lines = last.splitlines() if mark else last.splitlines()[-LAST_LINES:]
    said = next((line for line in lines if _LINE.match(line)), None)
    return None if said is None else Shortage(_margin(said, taken=0), _DEVICE.search(said) is not None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    one: BaseException | None = error
    for _ in range(MOST_CAUSES):
        if one is None:
            return
        yield one
        one = one.__cause__


def _margin(text: str, taken: int) -> float | None:
    """From the sizes that a message names; `taken` is what the process has of the machine's memory, in bytes."""
    tried, capacity, free = (_bytes(pattern.search(text)) for pattern in (_TRIED, _CAPACITY, _FREE))
    if tried is None:
        return None
    asked, had = (tried + capacity - free, capacity) if capacity and free is not None else (tried + taken, available())
    return math.log10(asked / had) if asked > had else None  # else others have had it


def _bytes(found: re.Match[str] | None) -> float | None:
    if found is None:
        return None
    number, unit = (str(group) for group in found.groups() if group is not None)
    try:
        return float(float(number) * UNITS[unit.lower()])
    except ValueError:
        return None
