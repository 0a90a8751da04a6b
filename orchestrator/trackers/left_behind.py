"""What launches that died, and servers that were late, have left in the runs of a sweep, put in order."""

from collections.abc import Callable, Iterable

from mlflow import MlflowClient

from orchestrator.trackers import doubles
from orchestrator.trackers.deleted import take_back
from orchestrator.trackers.doubles import Double
from orchestrator.trackers.open_run import STATUS
from orchestrator.trackers.parent_run import PARENT
from orchestrator.trial import Outcome
from orchestrator.trials.record import REPLACED, REPLACES, REUSED, Record


def settled(
    client: MlflowClient,
    parent: str,
    read: Callable[[], Iterable[Record]],
    renew: Callable[[Record], object] | None = None,
) -> dict[str, Record]:
    """The trials that are read from the store, by trial_key: each has one run, under the parent, and none is open.

    Args:
        client: of the store.
        parent: the parent run's id.
        read: reads the trials, all of their runs.
        renew: makes another run in place of one that its launch may yet write to, and deletes that; None where such
            launches are known to be dead.
    """
    known, others = doubles.apart(read())
    for double in others:
        _put_aside(client, double)
    for record in known:
        if record.tags.get(PARENT) != parent:
            client.set_tag(record.run_id, PARENT, parent)
    if _settle(client, known, renew) or others:
        known, _ = doubles.apart(read())
    return {record.trial_key: record for record in known}


def _put_aside(client: MlflowClient, double: Double) -> None:
    """Have a run count no longer: one with a result, or that was to run anew, stays, and says which counts.

    Another is of no use.
    """
    run_id, outcome = double.record.run_id, double.record.outcome
    was_renewed = double.instead.tags.get(REPLACES) == run_id
    if outcome is None or not (outcome.is_result or was_renewed):
        take_back(client, run_id)
        return
    client.set_tag(run_id, REPLACED, double.instead.run_id)
    if double.record.status == "RUNNING":
        client.set_terminated(run_id, STATUS[outcome])


def _settle(client: MlflowClient, records: Iterable[Record], renew: Callable[[Record], object] | None) -> bool:
    """End what a dead launch left RUNNING: with the status of its outcome, else as interrupted.

    A copy from another sweep that was cut off is of no use, and deleted. Returns whether there was anything.
    """
    cut_off = [record for record in records if record.status == "RUNNING"]
    for record in cut_off:
        if record.outcome is None and REUSED in record.tags:
            take_back(client, record.run_id)
        elif renew is not None and record.end is None:
            renew(record)
        else:
            if record.outcome is None:
                client.set_tag(record.run_id, "outcome", Outcome.INTERRUPTED.value)
            client.set_terminated(record.run_id, STATUS[record.outcome or Outcome.INTERRUPTED])
    return bool(cut_off)
