"""Which file a sweep of the store is of, so that two files of one name never fall into one sweep silently.

A file without a `name:` is called by its file name, and half of all sweep files are called sweep.yaml.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

from orchestrator.errors import InputError
from orchestrator.functions import TrialFunction
from orchestrator.spec import SweepSpec

PREFIX = "sweep.identity."
LONGEST = 8000  # characters of a tag; MLflow cuts the rest
MOST_SHOWN = 200  # characters, in a mistake


@dataclass(frozen=True)
class Identity:
    """A sweep file: where it is, what it runs, and the names of the parameters that it gives."""

    file: str
    runs: str
    parameters: str

    @classmethod
    def of(cls, spec: SweepSpec) -> Self:
        """That of a sweep file."""
        file, names = str(spec.source.path.resolve()), ", ".join(sorted(spec.given))
        return cls(file[:LONGEST], _runs(spec.function)[:LONGEST], names[:LONGEST])

    @classmethod
    def recorded(cls, tags: Mapping[str, str]) -> Self | None:
        """That which a parent run's tags have; None for a sweep of an earlier version."""
        names = [field.name for field in fields(cls)]
        if any(PREFIX + name not in tags for name in names):
            return None
        return cls(*(tags[PREFIX + name] for name in names))

    @property
    def tags(self) -> dict[str, str]:
        """As tags of the parent run."""
        return {PREFIX + name: value for name, value in vars(self).items()}


def differences(recorded: Identity, now: Identity, exists: Callable[[str], bool]) -> list[str]:
    """In what a file is not that of a recorded sweep, in words; nothing where it is the same.

    It is the same where it lies at the same place, or where only the place differs and nothing is at the old one.

    Args:
        recorded: what the store has.
        now: the file that is launched.
        exists: whether there is a file at a path.
    """
    if recorded.file == now.file:
        return []
    found = []
    if recorded.runs != now.runs:
        found.append(f"that one runs {_short(recorded.runs)}, this one {_short(now.runs)}")
    if recorded.parameters != now.parameters:
        before, after = ({*text.split(", ")} - {""} for text in (recorded.parameters, now.parameters))
        sides = [("that one", before - after), ("this one", after - before)]
        found += [f"only {who} gives {_short(', '.join(sorted(names)))}" for who, names in sides if names]
        found = found or ["they give different parameters"]
    if not found and exists(recorded.file):
        found.append("that file is still there, so this one is another")
    return found


def check(recorded: Identity | None, spec: SweepSpec) -> None:
    """Refuse to go on with a sweep of another file; a file that has a `name:` of its own is taken at its word.

    Raises:
        InputError: it is another file's.
    """
    if spec.is_named or recorded is None:
        return
    now = Identity.of(spec)
    differ = differences(recorded, now, lambda path: Path(path).exists())
    if differ:
        raise InputError(
            f"{spec.source.path}: the sweep {spec.name} in the store is of another file, {recorded.file}: "
            f"{'; '.join(differ)}. Give this file a `name:` of its own, or launch it with --adopt to go on with that "
            "sweep from this file"
        )


def _short(text: str) -> str:
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def _runs(function: TrialFunction) -> str:
    """What a file runs: the function, or the command with a digest of the program's file."""
    return f"{function.name} {function.digest}" if function.program and function.digest else function.name
