"""How large an install is and how long it takes: the orchestrator alone, and with what the default trial imports.

Each goes into an environment of its own, in a temporary folder, without pip's cache, from where pip is set up to look,
in the versions of constraints.txt.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
EXTRAS = ("", "[vae]")


def main() -> None:
    print("| `pip install` | packages | on disk | time |\n| --- | --- | --- | --- |")
    for extras in EXTRAS:
        with tempfile.TemporaryDirectory() as folder:
            print(row(extras, Path(folder)), flush=True)


def row(extras: str, folder: Path) -> str:
    """Install this clone with some extras into a folder, and say in a row of the table what that took."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check"]
    began = time.monotonic()
    options = ["--quiet", "--quiet", "--no-cache-dir", "--constraint", ROOT / "constraints.txt"]
    subprocess.run([*pip, "install", *options, f"{ROOT}{extras}"], check=True)
    seconds = time.monotonic() - began
    packages = subprocess.run([*pip, "list", "--format", "freeze"], capture_output=True, text=True, check=True).stdout
    size = subprocess.run(["du", "-sk", folder], capture_output=True, text=True, check=True).stdout.split()[0]
    return f"| `vae-sweeps{extras}` | {len(packages.splitlines())} | {int(size) / 1024**2:.1f} GB | {seconds:.0f} s |"


if __name__ == "__main__":
    main()
