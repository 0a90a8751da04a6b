"""`sweep status`."""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.commands.lookup import completions, meant, store
from orchestrator.commands.options import AsJson, TrackingUri
from orchestrator.errors import InputError
from orchestrator.system import paths
from orchestrator.terminal.consoles import stdout

if TYPE_CHECKING:
    from orchestrator.progress.status import Status
    from orchestrator.trackers import Follower, Store


def status(
    sweep: Annotated[
        str | None, typer.Argument(metavar="[FILE or NAME]", help="Default: all sweeps.", autocompletion=completions)
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Update until Ctrl-C.")] = False,
    as_json: AsJson = False,
    tracking_uri: TrackingUri = None,
) -> None:
    """Show a sweep's progress: trials by outcome, the best so far, running trials and the time left.

    For a FILE it counts the trials that the file asks for; for a NAME, all trials in the store.
    """
    from orchestrator.progress import published
    from orchestrator.terminal.watch import watch as keep_current
    from orchestrator.workspace import has_others, is_live, sweeps

    if watch and as_json:
        raise InputError("--watch is for people; a program calls `sweep status --json` again")
    uri = paths.tracking_uri(tracking_uri)
    name, spec = (None, None) if sweep is None else meant(sweep)
    followers: dict[str, Follower] = {}

    @cache
    def reader() -> "Store":
        return store(uri)

    def told() -> "tuple[dict[str, Status], bool]":
        """What launches on this machine tell, by sweep, and whether the store has nothing beside that."""
        here = sweeps(uri) if name is None else [name]
        found = {one: status for one in here if (status := published.status(uri, one, spec))}
        return found, bool(found) and (name is not None or not has_others(uri, found))

    def stored(one: str) -> "Status":
        from orchestrator.trackers import Follower  # with MLflow, which takes seconds to import

        if one not in followers:
            followers[one] = Follower(reader(), one if name is None else reader().existing(one), spec)
        return followers[one].status(is_live(uri, one))

    def looks() -> "Iterator[Sequence[Status]]":
        """What launches tell, which takes a moment; and then what only the store does."""
        known, is_all = told()
        if known:
            yield [*known.values()]
        if not is_all:
            names = reader().sweeps() if name is None else [name]
            rest = [stored(one) for one in names if one not in known]
            if rest or not known:
                yield rest

    if watch:
        if not told()[1]:
            reader()  # imports MLflow, once, before the looks that are timed
        keep_current(stdout(), lambda: [*chain.from_iterable(looks())])
    if as_json:
        from orchestrator.documents.status import StatusDocument
        from orchestrator.terminal.json_output import emit

        emit(StatusDocument.of((one, is_live(uri, one.name)) for one in chain.from_iterable(looks())))
        return
    from orchestrator.terminal.tables import print_status

    for statuses in looks():
        print_status(stdout(), statuses)
