"""`sweep plan`."""

from orchestrator import executors
from orchestrator.commands.lookup import loaded
from orchestrator.commands.options import Executor, FilesArgument, Name, SetExecutor, Sets, TrackingUri, Workers
from orchestrator.errors import InputError
from orchestrator.system import paths
from orchestrator.terminal.consoles import stdout


def plan(
    files: FilesArgument,
    workers: Workers = None,
    executor: Executor = None,
    set_executor: SetExecutor = None,
    sets: Sets = None,
    tracking_uri: TrackingUri = None,
    name: Name = None,
) -> None:
    """Show what a launch would run, what is done, what is invalid, and the time it may take. Writes nothing."""
    from orchestrator.plan import make
    from orchestrator.terminal.plan_table import print_plan

    invalid: list[str] = []
    for spec in loaded(files, sets or [], tracking_uri, name):
        place = executors.place_of(spec.executor, executor, set_executor or [])
        made = make(spec, paths.tracking_uri(tracking_uri), workers, place)
        print_plan(stdout(), made)
        invalid += made.invalid
    if invalid:
        raise InputError(*invalid)
