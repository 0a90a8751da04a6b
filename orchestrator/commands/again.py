"""How the command is to be called again."""

import os
import shutil
import sys
from pathlib import Path

from orchestrator import paths


def command() -> str:
    """How the command was called, as it can be called again from here."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return "python -m orchestrator"
    found = shutil.which("sweep")
    return "sweep" if found and Path(found).samefile(called) else os.path.relpath(called)


def uri_option(tracking_uri: str | None) -> str:
    """The store that was named, as it has to be named again."""
    if tracking_uri is None or "MLFLOW_TRACKING_URI" in os.environ:
        return ""
    return f" --tracking-uri {paths.redacted(tracking_uri)}"
