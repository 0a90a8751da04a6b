"""Run as a script: reads a trial's folder a line, and kills that trial's processes when there is nothing to read."""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    workdir = ""
    for line in sys.stdin:
        workdir = line.rstrip("\n")
    if workdir:
        from orchestrator.programs.processes import kill_all

        kill_all(workdir)
