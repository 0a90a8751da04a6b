"""Who ran what: user, command, git commit and versions, as tags of a run."""

import functools
import getpass
import importlib.metadata
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from orchestrator.system.paths import redacted

VERSIONS = ("vae-sweeps", "torch", "torchvision", "mlflow", "optuna", "scikit-image", "numpy")
TAGS = (  # all that there may be
    *("mlflow.user", "mlflow.source.name", "mlflow.source.type", "mlflow.source.git.commit", "git.dirty"),
    *(f"version.{package}" for package in ("python", *VERSIONS)),
)


@functools.cache
def provenance(folder: Path) -> Mapping[str, str]:
    """Tags that say who ran what: user, command, versions, and the git commit of a folder."""
    tags = {
        "mlflow.user": _user(),
        "mlflow.source.name": redacted(shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])),
        "mlflow.source.type": "LOCAL",
        "version.python": sys.version.split()[0],
    }
    for package in VERSIONS:
        try:
            tags[f"version.{package}"] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    if commit := _git(folder, "rev-parse", "HEAD"):
        tags |= {
            "mlflow.source.git.commit": commit,
            "git.dirty": str(bool(_git(folder, "status", "--porcelain"))).lower(),
        }
    return tags


def packages() -> list[str]:
    """What is installed for this Python, a line each: name and version, and from where if not from a registry."""
    lines = set()
    for found in importlib.metadata.distributions():
        about = found.read_text("METADATA") or found.read_text("PKG-INFO") or ""  # to parse it all takes much longer
        named = [re.search(rf"^{key}: *(\S+)", about, re.MULTILINE) for key in ("Name", "Version")]
        origin = found.read_text("direct_url.json")
        url = f" @ {redacted(json.loads(origin).get('url', ''))}" if origin else ""
        lines.add("==".join(part.group(1) for part in named if part) + url)
    return sorted(lines - {""}, key=str.lower)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in containers
        return str(os.getuid())


def _git(folder: Path, *arguments: str) -> str:
    try:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
