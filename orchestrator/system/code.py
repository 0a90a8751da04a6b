"""The source of training code: its files, found without importing any of them, and what tells one state of it apart.

Only imports that stand in the source count: a module that is imported by a computed name is not found.
"""

import ast
import difflib
import hashlib
import io
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from orchestrator.system.paths import redacted
from orchestrator.system.regular import opened

OURS = "orchestrator"  # never part of it
LONGEST_DIFF = 1_000_000  # characters
LARGEST, AT_ONCE = 10_000_000, 1 << 20  # bytes: of a file of source, and of any that are read together
SECONDS_OF_GIT = 10
# as it is without anybody's configuration
PREFIXES = ("--src-prefix=a/", "--dst-prefix=b/")
DIFF = ("-c", "core.quotePath=false", "diff", "--no-ext-diff", "--no-textconv", "--no-color", *PREFIXES)
Where = Callable[[str], Path | None]  # the folder that has a package or module at top level


@dataclass(frozen=True)
class Code:
    """Files of source, by their names."""

    files: Mapping[str, Path]

    @classmethod
    def of(cls, modules: Iterable[str], where: Where, script: Path | None = None) -> "Code":
        """The code of some modules, and of what they import from the same places.

        Args:
            modules: by name.
            where: where modules are; None for those that are not part of it.
            script: a further file to begin with.
        """
        files: dict[str, Path] = {}
        waiting, known = [*modules], set[str]()
        if script is not None:
            files[script.name] = script
            waiting += _imports(script, "") if script.suffix == ".py" else ()
        while waiting:
            name = waiting.pop()
            if name in known or name.partition(".")[0] in ("", OURS):
                continue
            known.add(name)
            folder = where(name.partition(".")[0])
            waiting.append(name.rpartition(".")[0])  # a package runs before what is in it
            file = folder and _file(folder, name)
            if folder and file and file not in files.values():
                files[file.relative_to(folder).as_posix()] = file
                waiting += _imports(file, name if file.name == "__init__.py" else name.rpartition(".")[0])
        return cls(dict(sorted(files.items())))

    @cached_property
    def digest(self) -> str | None:
        """Of the text of its files, comments included; None where there are none, or they cannot be read."""
        found, is_one = hashlib.sha256(), len(self.files) == 1
        try:
            for name, file in self.files.items():
                found.update(b"" if is_one else name.encode() + b"\0")
                with opened(file) as text:
                    while part := text.read(AT_ONCE):
                        found.update(part)
                found.update(b"" if is_one else b"\0")
        except OSError:
            return None
        return found.hexdigest()[:16] if self.files else None

    def diff(self, folder: Path) -> str:
        """What differs from the commit of a folder; files that are in no commit are there from their first line on.

        `git apply` takes it. Passwords in URLs are left out, and so is what is beyond a million characters.
        """
        top = Path(_git(folder, "rev-parse", "--show-toplevel").removesuffix("\n") or folder)
        tracked = [*self._tracked(top)]
        parts = [_git(top, *DIFF, "HEAD", "--", *map(str, tracked))] if tracked else []
        for name, file in self.files.items():
            if file not in tracked:
                with suppress(OSError):
                    path = file.resolve()
                    place = path.relative_to(top).as_posix() if top in path.parents else name
                    parts.append(_added(place, _source(file).decode(errors="replace")))
        text = redacted("".join(parts))
        left_out = len(text) - LONGEST_DIFF
        return f"{text[:LONGEST_DIFF]}\n... and {left_out:,} characters more\n" if left_out > 0 else text

    def _tracked(self, top: Path) -> Iterator[Path]:
        if not _git(top, "rev-parse", "--verify", "--quiet", "HEAD"):
            return
        inside = [file for file in self.files.values() if top in file.resolve().parents]
        listed = _git(top, "ls-files", "-z", "--", *map(str, inside)) if inside else ""
        known = {top / name for name in listed.split("\0") if name}
        yield from (file for file in inside if file.resolve() in known)


def first_of(folders: Sequence[Path]) -> Where:
    """Looks for modules in folders, the first one first."""

    def where(name: str) -> Path | None:
        places = (folder for folder in folders if _file(folder, name) or any((folder / name).glob("*.py")))
        return next(places, None)

    return where


def _file(folder: Path, module: str) -> Path | None:
    path = folder.joinpath(*module.split("."))
    places = (path / "__init__.py", path.parent / f"{path.name}.py")
    return next((place for place in places if place.is_file()), None)


def _source(file: Path) -> bytes:
    """What is in a file; nothing of one that is too large to be source."""
    with opened(file) as text:
        content = text.read(LARGEST + 1)
    return content if len(content) <= LARGEST else b""


def _imports(file: Path, package: str) -> list[str]:
    """The modules that a file of a package imports, anywhere in it, and what may be modules."""
    try:
        tree = ast.parse(_source(file))
    except (OSError, SyntaxError, ValueError):  # what cannot be read has no imports that count
        return []
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            outer = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join(filter(None, [*outer, node.module or ""]))
            found += [base, *(".".join(filter(None, [base, alias.name])) for alias in node.names)]
    return found


def _added(name: str, text: str) -> str:
    """The diff of a new file."""
    lines = io.StringIO(text, newline="\n").readlines()  # what splitlines() takes for an end may stand within a line
    diff = "".join(difflib.unified_diff([], lines, "/dev/null", f"b/{name}"))
    return diff if not text or text.endswith("\n") else f"{diff}\n\\ No newline at end of file\n"


def _git(folder: Path, *arguments: str) -> str:
    try:
        command = ["git", "-C", str(folder), *arguments]
        found = subprocess.run(command, capture_output=True, timeout=SECONDS_OF_GIT, check=True)
        return found.stdout.decode(errors="replace")
    except (OSError, subprocess.SubprocessError):
        return ""
