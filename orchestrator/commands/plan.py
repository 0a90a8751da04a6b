"""`sweep plan`."""

from orchestrator import executors
from orchestrator.commands.lookup import loaded
from orchestrator.commands.options import (
    AsJson,
    Executor,
    FilesArgument,
    Name,
    SetExecutor,
    Sets,
    TrackingUri,
    Workers,
)
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
    as_json: AsJson = False,
) -> None:
    """Show what a launch would run, what is done, what is invalid, and the time it may take. Writes nothing."""
    from orchestrator.plan import make
    from orchestrator.terminal.plan_table import print_plan

    plans = []
    for spec in loaded(files, sets or [], tracking_uri, name):
        place = executors.place_of(spec.executor, executor, set_executor or [])
        plans.append(make(spec, paths.tracking_uri(tracking_uri), workers, place))
        if not as_json:
            print_plan(stdout(), plans[-1])
    if invalid := [line for made in plans for line in made.invalid]:
        raise InputError(*invalid)
    if as_json:
        from orchestrator.documents.plan import PlanDocument
        from orchestrator.terminal.json_output import emit

        emit(PlanDocument.of(plans))
