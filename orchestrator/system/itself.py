"""The command `sweep`, as another process runs it.

Modules of the current folder stand in the way of none that it imports: that folder is not on its path, and where this
program is not installed, its own comes last.
"""

import sys
from pathlib import Path

START = "import sys; sys.path.append(sys.argv.pop(1)); from orchestrator.__main__ import main; main()"
COMMAND = (sys.executable, "-P", "-c", START, str(Path(__file__).resolve().parents[2]))
