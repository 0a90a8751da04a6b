"""The names under which MLflow has metrics: as they are reported where it takes them, else the nearest that it takes.

The name that was reported stands in a tag of the run, `metric.<name in MLflow>`, and is used everywhere else.
Parameters and tags are named by the same rule, pictures by a stricter one. Tests hold both to MLflow's own.
"""

import hashlib
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

PREFIX = "metric."  # of tags
LONGEST = 240  # characters of a name, so that it fits into a tag's key; MLflow takes 250
LONGEST_PICTURE = 150  # MLflow adds some ninety, of the 255 bytes that file systems take
LONGEST_FILE = 60  # of a name that is changed, before its ending, and of that
NOT_IN_FILES = "#%?\\:"
TAKEN = re.compile(r"(?!\.$)[\w\-.:/ ]{1,250}")


@dataclass(frozen=True)
class MetricNames:
    """The names of a run's metrics."""

    stored_by: dict[str, str] = field(default_factory=dict)  # the name in MLflow, by the name as it is reported

    @classmethod
    def of(cls, reported: Iterable[str], tags: Mapping[str, str]) -> "MetricNames":
        """Those of a run that has these metrics, by the names as they were reported, and these tags."""
        renamed = {name: tag.removeprefix(PREFIX) for tag, name in tags.items() if tag.startswith(PREFIX)}
        return cls({name: name for name in reported} | renamed)

    def copy(self) -> "MetricNames":
        """A separate copy."""
        return MetricNames(dict(self.stored_by))

    def stored(self, name: str) -> str:
        """The name in MLflow of a metric, which is the run's from now on."""
        if name not in self.stored_by:
            found = nearest(name)
            # some databases, and all artifacts on some disks, take names for one that differ in case alone
            used = found.casefold() in map(str.casefold, self.stored_by.values())
            self.stored_by[name] = _distinct(found, name) if used else found
        return self.stored_by[name]

    @property
    def tags(self) -> dict[str, str]:
        """A tag for each metric that MLflow has under another name."""
        return {PREFIX + stored: name for stored, name in self.renamed(self.stored_by).items()}

    def renamed(self, names: Iterable[str]) -> dict[str, str]:
        """Those of some names that MLflow has under others, by these."""
        return {self.stored(name): name for name in [*names] if self.stored(name) != name}


def nearest(name: str) -> str:
    """The name itself if MLflow takes it, else the nearest that it takes."""
    if TAKEN.fullmatch(name) and name[0] not in " /" and not name.startswith("..") and posixpath.normpath(name) == name:
        return name
    allowed = re.sub(r"[^\w\-.:/ ]", "_", name)
    # MLflow makes paths of names, so no part may be empty, or lead elsewhere
    found = "/".join(re.sub(r"^(\.$|\.\.| |$)", "_", part) for part in allowed.split("/"))
    return found if len(found) <= LONGEST else _distinct(found, name)


def picture(name: str) -> str:
    """The name itself if MLflow takes it for pictures; else the nearest that it takes, with a digest of the name."""
    found = re.sub(r"[^a-zA-Z0-9_\-. ]", "_", name)
    return name if found == name and len(name) <= LONGEST_PICTURE else _distinct(found, name, LONGEST_PICTURE)


def file_name(name: str) -> str:
    """The name of a file or folder itself if every store keeps it, else the nearest that they do, with a digest.

    MLflow's servers refuse some names, and silently cut or decode what means something in a URL.
    """
    found = "".join("_" if c in NOT_IN_FILES or not c.isprintable() else c for c in name)
    found = f"_{found[2:]}" if found.startswith("..") else found
    if found == name:
        return name
    stem, dot, suffix = found.rpartition(".")
    return f"{_distinct(stem or suffix, name, LONGEST_FILE)}{dot and stem and f'.{suffix[:LONGEST_FILE]}'}"


def _distinct(found: str, name: str, longest: int = LONGEST) -> str:
    digest = hashlib.sha256(name.encode(errors="backslashreplace")).hexdigest()[:8]
    return f"{found[: longest - len(digest) - 1]}.{digest}"
