"""Run as a script: reads a channel's path a line, and kills what logs to the last one when there is nothing to read."""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    channel = ""
    for line in sys.stdin:
        channel = line.rstrip("\n")
    if channel:
        from orchestrator.programs.processes import CHANNEL, kill_all

        kill_all(channel, variable=CHANNEL)
