"""Trials of which more than one run stands, and which of these counts.

A server that answers late makes a run twice; a launch that was stopped may make one when it goes on; and somebody may
take a run out of the trash that another has replaced since.
"""

from collections.abc import Iterable
from typing import NamedTuple

from orchestrator.trials.record import REPLACES, TAKEN_BACK, Record


class Double(NamedTuple):
    """A run, and the one that counts instead of it."""

    record: Record
    instead: Record


def apart(records: Iterable[Record]) -> tuple[list[Record], list[Double]]:
    """A record for each trial, in the order in which they come, and what stands beside these."""
    records = list(records)
    doubles = _went_on(records)
    shorter = {double.record.run_id for double in doubles}
    by_key: dict[str, list[Record]] = {}
    for record in records:
        if record.run_id not in shorter:
            by_key.setdefault(record.trial_key, []).append(record)
    kept = []
    for runs in by_key.values():
        if len(runs) > 1:
            replaced = {run.tags.get(REPLACES) for run in runs}
            first = min(runs, key=lambda run: (run.run_id in replaced, *_rank(run)))
            doubles += [Double(run, first) for run in runs if run is not first]
            runs = [first]
        kept += runs
    return kept, doubles


def _went_on(records: Iterable[Record]) -> list[Double]:
    """Those in whose place a trial of more epochs stands, or one of fewer again, and that do not say so yet."""
    others = {record.tags[REPLACES]: record for record in records if REPLACES in record.tags}
    found = ((record, others.get(record.run_id)) for record in records if others)
    return [Double(record, other) for record, other in found if other and other.trial_key != record.trial_key]


def _rank(record: Record) -> tuple[bool, bool, bool, int, float]:
    """Lower is better: a result, an end, most metrics, and of equals the one that was there first."""
    return TAKEN_BACK in record.tags, not record.end, record.outcome is None, -len(record.metrics), record.began
