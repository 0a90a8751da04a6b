"""How much memory there is, and whether the system has killed a process for what it took."""

import resource
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

GIGABYTE = 1e9
GROUPS = Path("/proc/self/cgroup")  # a line for each hierarchy: "0::/user.slice", "4:memory:/docker/3f1c"
MOUNTED = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class _Group:
    """A cgroup, by its files, whose names differ between the two versions of cgroups."""

    folder: Path
    limit_file: str
    peak_file: str
    kills_file: str

    @property
    def limit(self) -> int | None:
        """In bytes."""
        return _number(self.folder / self.limit_file)

    @property
    def peak(self) -> int | None:
        """The most that its processes have taken together, in bytes."""
        return _number(self.folder / self.peak_file)

    @property
    def kills(self) -> int | None:
        """How many of its processes were killed for memory, by whatever limit."""
        try:
            lines = (self.folder / self.kills_file).read_text().splitlines()
        except OSError:
            return None
        return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)


class MemoryKills:
    """Whether processes beside this one, in its cgroup, were killed for memory, from now on.

    `was_memory` is whether the process that was asked about last was.
    """

    def __init__(self) -> None:
        self._groups = [*_groups()]
        self._known = self._count()
        self.was_memory = False

    def forget(self) -> None:
        """What was killed up to now is not meant."""
        self._known = self._count()

    def of_killed(self, taken: str) -> str:
        """What is known of a process that was killed: whether it was for memory, what it took, and what there was.

        Args:
            taken: what it took, in words; empty where nobody knows.

        Returns:
            Words to be added to how it has ended; empty where nothing is known.
        """
        if self._has_one_more():
            return f" for its memory, as the system says{self._facts(taken, was_memory=True)}"
        return self._facts(taken) if taken else ""

    def of_failed(self, taken: str) -> str:
        """Words to be added to how a process has ended, where another one beside it was killed for memory.

        The system counts such kills by cgroup, and keeps no list: it may be one that the process had started, which it
        has ended for, or any other there.

        Args:
            taken: what the process took, in words; empty where nobody knows.
        """
        if self._has_one_more():
            facts = self._facts(taken, was_memory=True)
            return (
                f" after a process, of this trial or of another, was killed for its memory, as the system says{facts}"
            )
        return ""

    def _has_one_more(self) -> bool:
        found = self._count() > self._known
        self._known += found
        self.was_memory = found
        return found

    def _facts(self, taken: str = "", *, was_memory: bool = False) -> str:
        return f" ({', '.join([*filter(None, [taken]), *self._there_was(was_memory)])})"

    def _count(self) -> int:
        return (self._groups[0].kills or 0) if self._groups else 0

    def _there_was(self, was_memory: bool) -> Iterator[str]:
        total = psutil.virtual_memory().total
        limits = [(limit, group) for group in self._groups if (limit := group.limit) is not None and limit < total]
        if not limits:
            yield f"the machine has {gigabytes(total)}"
            return
        limit, group = min(limits, key=lambda pair: pair[0])
        yield f"the limit of the cgroup is {gigabytes(limit)}"
        if was_memory and group.peak is not None:
            yield f"its processes took {gigabytes(group.peak)} at most"


def available() -> int:
    """The memory that this process may take at most, in bytes: of the machine, its cgroups, and its own limit."""
    own, _ = resource.getrlimit(resource.RLIMIT_AS)
    limits = [group.limit for group in _groups()] + [None if own == resource.RLIM_INFINITY else own]
    return min([psutil.virtual_memory().total, *filter(None, limits)])


def gigabytes(size: float) -> str:
    """Bytes as people read them, in one unit, so that sentences differ in their numbers alone."""
    return f"{size / GIGABYTE:.3g} GB" if size < GIGABYTE else f"{size / GIGABYTE:.1f} GB"


def _groups() -> Iterator[_Group]:
    """The cgroup of this process that counts memory, and those around it; none where there are no such."""
    with suppress(OSError):
        lines = [line.split(":", 2) for line in GROUPS.read_text().splitlines()]
        by_controller = {name: path for _, names, path in lines for name in names.split(",")}
        if "memory" in by_controller:
            root, path = MOUNTED / "memory", by_controller["memory"]
            files = "memory.limit_in_bytes", "memory.max_usage_in_bytes", "memory.oom_control"
        else:
            root, path = MOUNTED, by_controller.get("", "/")
            files = "memory.max", "memory.peak", "memory.events"
        own = root / path.lstrip("/")
        if not own.is_dir():  # a container sees the path of the host, and its own group as the root
            own = root
        yield from (_Group(folder, *files) for folder in (own, *own.parents) if folder.is_relative_to(root))


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # "max"
        return None
