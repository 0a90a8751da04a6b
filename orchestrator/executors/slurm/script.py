"""What `sbatch` is given: the script that each job of a launch runs."""

import hashlib
import re
import sys
from collections.abc import Sequence
from pathlib import Path

NAME = re.compile(r"job-[0-9a-f]{8}\.sh")
START = "import sys; sys.path.append(sys.argv.pop(1)); from orchestrator.executors.slurm.job import main; main()"


def write(folder: Path, setup: Sequence[str], options: Sequence[str]) -> Path:
    """Write it into a folder, under a name that no other script has, nor the same one with other options.

    Args:
        folder: on the shared disk, where the launch leaves its address.
        setup: lines of bash that come first.
        options: of `sbatch`.
    """
    command = [sys.executable, "-P", "-c", START, str(Path(__file__).resolve().parents[3]), str(folder)]
    run = "exec " + " ".join(_quoted(part) for part in command)
    text = "\n".join(["#!/bin/bash", "set -e", *setup, f"cd {_quoted(Path.cwd())}", run, ""])
    digest = hashlib.sha256("\0".join([text, *options]).encode()).hexdigest()[:8]
    script = folder / f"job-{digest}.sh"
    script.write_text(text)
    script.chmod(0o755)
    return script


def is_another(command: str, script: Path) -> bool:
    """Whether what a job runs, as `squeue` has it, is the script of a launch with other options."""
    name = Path(command).name
    return NAME.fullmatch(name) is not None and name != script.name


def _quoted(part: object) -> str:
    return "'" + str(part).replace("'", "'\\''") + "'"
