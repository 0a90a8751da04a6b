"""Environments of their own, with this package installed from a wheel: no clone is in sight there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
NOT_OF_THE_PACKAGE = shutil.ignore_patterns(".*", "mlruns", "build", "*.egg-info")


def wheel(folder: Path) -> Path:
    """The wheel of this clone, built in a folder."""
    source = folder / "source"
    shutil.copytree(ROOT, source, symlinks=False, ignore=NOT_OF_THE_PACKAGE)
    pip(sys.executable, "wheel", "--no-deps", "-w", folder / "wheels", source)
    (built,) = (folder / "wheels").glob("*.whl")
    return built


def environment(folder: Path, *requirements: object) -> Path:
    """A new environment with these packages, in the versions of constraints.txt; returns its folder of programs."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip(folder / "bin" / "python", "install", "--constraint", ROOT / "constraints.txt", *requirements)
    return folder / "bin"


def pip(python: object, *arguments: object) -> None:
    """Run pip of a Python."""
    options = ["--quiet", "--disable-pip-version-check"]
    subprocess.run([str(python), "-m", "pip", *options, *map(str, arguments)], check=True, env=outside())


def outside() -> dict[str, str]:
    """The environment variables without those that lead to this clone's modules."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
