"""Which trial is meant: by its run, or within a sweep."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestrator.errors import InputError
from orchestrator.system.printable import in_a_line
from orchestrator.trials.meant import listed, meant

if TYPE_CHECKING:
    from orchestrator.trackers import Store
    from orchestrator.trials.record import Record

LENGTH_OF_ID = 32


def by_run(store: "Store", given: str) -> "Record":
    """The trial of a run, by its id or the first letters of it.

    Raises:
        InputError: there is none, or several begin so; or it is a sweep's name, and that is in the trash.
    """
    if len(given) == LENGTH_OF_ID:
        return store.record(given)
    sweeps = store.sweeps()
    found = [one for name in sweeps for one in store.records(name) if given and one.run_id.startswith(given)]
    if not found:
        store.experiment(given)  # which may be in the trash
        known = ", ".join(sweeps) or "none"
        raise InputError(f"the store has no run and no sweep {in_a_line(given)}; its sweeps: {known}")
    return _only(found, f"{len(found)} runs begin with {given}", [f"{one.run_id} ({one.label})" for one in found])


def by_trial(store: "Store", sweep: str, given: str | None) -> "Record":
    """A trial of a sweep, as `among` has it."""
    return among(store.records(sweep), sweep, given)


def among(records: Sequence["Record"], sweep: str, given: str | None) -> "Record":
    """One of a sweep's trials: by its label, its trial_key, its run, its number from 1 on, the first that began first.

    Raises:
        InputError: there is none, or several are meant; without a trial, the sweep has several.
    """
    numbered = [f"{number} ({one.label or 'the only configuration'})" for number, one in enumerate(records, 1)]
    if given is None:
        return _only(records, f"{sweep} has {len(records)} trials", numbered)
    found = _meant(records, given)
    if not found:
        raise InputError(f"{sweep} has no trial {in_a_line(given)}; it has {listed(numbered) or 'none yet'}")
    names = [name for name, one in zip(numbered, records, strict=True) if one in found]
    return _only(found, f"{len(found)} trials of {sweep} are called {in_a_line(given)}", names)


def _meant(records: Sequence["Record"], given: str) -> list["Record"]:
    """Those that are meant, in the first way in which any are."""
    number = int(given) if given.isdecimal() and len(given) < len(str(len(records))) + 1 else 0
    return meant(records, given, records[number - 1 : number] if number else [])


def _only(found: Sequence["Record"], problem: str, names: Sequence[str]) -> "Record":
    if len(found) == 1:
        return found[0]
    raise InputError(f"{problem}; name one of {listed(names)}" if found else problem)
