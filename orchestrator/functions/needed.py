"""The names at top level of what this program itself imports: no file of a user's may take their place."""

import re
import sys
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import PurePath

DISTRIBUTION = "vae-sweeps"
NEVER_IMPORTED = {"test"}  # of Python's own


def is_needed(name: str) -> bool:
    """Whether a module is Python's own, or of a package that this program depends on, however indirectly."""
    return name in sys.stdlib_module_names - NEVER_IMPORTED or name in _of_dependencies()


@cache
def _of_dependencies() -> frozenset[str]:
    waiting, known, names = [DISTRIBUTION], set[str](), set[str]()
    while waiting:
        package = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if package in known:
            continue
        known.add(package)
        try:
            found = distribution(package)
        except PackageNotFoundError:
            continue
        waiting += [word.group() for text in found.requires or () if (word := re.match(r"[\w.-]+", text))]
        names |= _top_level(found) if package != DISTRIBUTION else set()
    return frozenset(names)


def _top_level(found: Distribution) -> set[str]:
    if text := found.read_text("top_level.txt"):
        return set(text.split())
    parts = [PurePath(file).parts for file in found.files or () if file.suffix == ".py"]
    return {first.removesuffix(".py") for first, *_ in parts}
