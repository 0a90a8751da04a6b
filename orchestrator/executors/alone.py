"""Which machines trials have to themselves: what was killed for its memory runs again with nothing beside it."""

from collections import Counter
from collections.abc import Iterable, Sequence

from orchestrator.executors.limits import ActiveTrial
from orchestrator.executors.slot import Slot


def kept(slots: Sequence[Slot], waiting: Iterable[ActiveTrial]) -> set[str]:
    """The machines that a trial has to itself, or is about to have."""
    taken = {slot.machine for slot in slots if any(run.is_alone for run in slot.runs.values())}
    return taken | {*_quietest(slots)} if any(run.is_alone for run in waiting) else taken


def quiet_slot(slots: Sequence[Slot]) -> Slot | None:
    """A slot of a machine on which nothing runs: of the one that has the least, which others leave alone."""
    quiet = {*_quietest(slots)} - {slot.machine for slot in slots if slot.runs}
    return next((slot for slot in slots if slot.machine in quiet), None)


def _quietest(slots: Iterable[Slot]) -> list[str]:
    """The machine on which the least runs, if there is any: where what is to run alone begins once nothing does."""
    busy = Counter[str]()
    for slot in slots:
        busy[slot.machine] += bool(slot.runs)
    return [min(busy, key=lambda machine: (busy[machine], machine))] if busy else []
