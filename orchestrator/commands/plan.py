"""`sweep plan`."""

from orchestrator import paths
from orchestrator.commands.options import File, Sets, TrackingUri, Workers
from orchestrator.errors import InputError
from orchestrator.terminal.consoles import stdout, warn


def plan(file: File, workers: Workers = None, sets: Sets = None, tracking_uri: TrackingUri = None) -> None:
    """Show what a launch would run, what is done, what cannot be, and the time it may take. Writes nothing."""
    from orchestrator.plan import make
    from orchestrator.spec import load
    from orchestrator.terminal.tables import print_plan

    spec = load(file, sets or [])
    for warning in spec.warnings:
        warn(warning)
    made = make(spec, paths.tracking_uri(tracking_uri), workers)
    print_plan(stdout(), made)
    if made.invalid:
        raise InputError(*made.invalid)
