"""How the command is to be called again."""

import os
import shlex
import shutil
import sys
from pathlib import Path

from orchestrator.system import paths


def command() -> str:
    """How the command was called, as it can be called again from here."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return "python -m orchestrator"
    found = shutil.which("sweep")
    # where it was called by no file, as by an interpreter's -c, there is nothing else to name
    is_sweep = found is not None and (not called.is_file() or Path(found).samefile(called))
    return "sweep" if is_sweep else shlex.quote(os.path.relpath(called))


def uri_option(tracking_uri: str | None) -> str:
    """The option that names the same store again; none for the store that the environment names."""
    if tracking_uri is None or tracking_uri == os.environ.get("MLFLOW_TRACKING_URI"):
        return ""
    return f" --tracking-uri {shlex.quote(paths.redacted(tracking_uri))}"
