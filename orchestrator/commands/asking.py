"""Asks the launch that holds a sweep, and prints what came of it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestrator.commands.lookup import name_of
from orchestrator.errors import InputError, SweepError
from orchestrator.system import paths
from orchestrator.terminal.consoles import print_line, stdout

if TYPE_CHECKING:
    from orchestrator.requests.calls import Answer, Call


def ask(sweep: str, call: "Call", tracking_uri: str | None, as_json: bool) -> None:
    """Ask the launch of the sweep that a FILE or NAME means.

    Raises:
        NobodyError: there is none.
        InputError: it cannot do what is asked.
        SweepError: it does not answer.
    """
    answer = _answer(paths.tracking_uri(tracking_uri), name_of(sweep), call)
    if answer.status == InputError.exit_status:
        raise InputError(*answer.lines)
    if answer.status:
        raise SweepError("\n".join(answer.lines))
    tell(answer.lines, as_json)


def tell(lines: Sequence[str], as_json: bool) -> None:
    """Print what was done."""
    if as_json:
        from orchestrator.documents.answer import AnswerDocument
        from orchestrator.terminal.json_output import emit

        emit(AnswerDocument(lines=[*lines]))
        return
    for line in lines:
        print_line(stdout(), line)


def _answer(uri: str, name: str, call: "Call") -> "Answer":
    """Through a folder where the launch is on this machine, else through the store that others may have, too."""
    from orchestrator.requests import asking

    try:
        return asking.ask(uri, name, call)
    except asking.NobodyError:
        if paths.sqlite_path(uri) is not None:
            raise
    from orchestrator.trackers.elsewhere import Elsewhere

    return Elsewhere(uri).ask(name, call)
