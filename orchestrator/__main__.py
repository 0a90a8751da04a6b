"""The command `sweep`, as `python -m orchestrator`, too."""

import gc
import os
import signal
import sys

from orchestrator.errors import InputError
from orchestrator.system import platforms

OBJECTS_BEFORE_COLLECTION = 50_000  # Python's 700 cost a command a tenth of its start, in imports that are kept
INTERRUPTED = 130  # the exit status


def main() -> None:
    """Run the command where sweeps can run; elsewhere its very import would fail."""
    gc.set_threshold(OBJECTS_BEFORE_COLLECTION)
    try:
        platforms.check()
    except InputError as error:
        print(f"sweep: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
    is_to_end = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_to_end:  # Ctrl-C while modules are loaded, wherever that is: there is nothing to tidy up yet
        signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    from orchestrator.cli import main as run

    if is_to_end:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run()
    finally:
        gc.disable()  # a last collection, of all that was read, takes longer than the system needs to take it back


if __name__ == "__main__":
    main()
