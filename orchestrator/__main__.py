"""The command `sweep`, as `python -m orchestrator`, too."""

import sys

from orchestrator.errors import InputError
from orchestrator.system import platforms


def main() -> None:
    """Run the command where sweeps can run; elsewhere its very import would fail."""
    try:
        platforms.check()
    except InputError as error:
        print(f"sweep: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
    from orchestrator.cli import main as run

    run()


if __name__ == "__main__":
    main()
