"""`sweep delete`."""

import os
import shlex
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.commands import again
from orchestrator.commands.asking import tell
from orchestrator.commands.lookup import name_of, store
from orchestrator.commands.options import AsJson, SweepArgument, TrackingUri
from orchestrator.errors import InputError
from orchestrator.system import paths, regular
from orchestrator.system.figures import bytes_in_words

if TYPE_CHECKING:
    from orchestrator.trackers.deletion import Belongings
    from orchestrator.workspace import Workspace


def delete(
    sweep: SweepArgument,
    purge: Annotated[
        bool, typer.Option("--purge", help="Remove it for good, also from MLflow's trash, where the store allows that.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
    tracking_uri: TrackingUri = None,
) -> None:
    """Delete a sweep that no launch holds: its runs go to MLflow's trash, its work folder for good."""
    from orchestrator.trackers.deletion import Deletion
    from orchestrator.workspace import Workspace

    name, uri = name_of(sweep), paths.tracking_uri(tracking_uri)
    if as_json and not yes:
        raise InputError("delete asks first, and --json prints a document alone; --yes deletes without asking")
    if not (yes or sys.stdin.isatty()):
        raise InputError("delete asks first, but standard input is not a terminal; --yes deletes without asking")
    store(uri)  # which is to be there
    deletion = Deletion(uri, name, for_good=purge)
    try:
        deletion.belongings()  # before a folder is made for a lock
    except InputError:
        left = Workspace(uri, name)
        if left.is_left_behind():  # by a deletion that was killed as it was about to end
            regular.remove(left.folder)
        raise
    with Workspace(uri, name) as workspace:
        what = deletion.belongings()
        lines = _in_words(name, what, workspace, purge)
        if not as_json:
            tell(lines, as_json)
        if not (yes or typer.confirm(f"Delete {name}?")):
            tell(["nothing is deleted"], as_json)
            return
        workspace.check_unheld()
        # first its work: a launch that finds no run of the sweep is to find nothing of its trials either
        deletion.delete(deletion.belongings(), first=workspace.empty)  # as it is by now
        regular.remove(workspace.folder)
    said = lines if as_json else []  # which people have read before it was done
    if purge:
        tell([*said, f"{name} is deleted for good"], as_json)
        return
    purging = f"{again.command()} delete {shlex.quote(name)} --purge{again.uri_option(tracking_uri)}"
    tell([*said, f"{name} is in MLflow's trash; `{purging}` removes it from there"], as_json)


def _in_words(name: str, what: "Belongings", workspace: "Workspace", purge: bool) -> list[str]:
    """What goes, and where."""
    from orchestrator.trackers.deletion import size

    taken = what.bytes
    files = "files elsewhere" if taken is None else f"{bytes_in_words(taken)} of files"
    models = ", its best model" if what.models else ""
    folder = os.path.relpath(workspace.folder)
    lines = [
        f"{name}: {len(what.runs)} runs ({what.trials} of trials){models}, {files}; "
        f"and {folder}, {bytes_in_words(size(workspace.folder))}"
    ]
    if what.others:
        lines.append(f"{what.others} runs or models of this experiment are not the sweep's, and stay")
    where = "for good, also what is in MLflow's trash" if purge else f"to MLflow's trash; {folder} goes for good"
    return [*lines, f"all of it goes {where}"]
